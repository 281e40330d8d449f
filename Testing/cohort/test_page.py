"""The table and the page of a cohort; the page in a real browser where there is one."""

import base64
import csv
import io
import re
import shutil
import subprocess

import pytest
from PIL import Image

from MMIFAminLib.cohort import Result, Row, Table
from MMIFAminLib.cohort.page import write_page


def pixel():
    content = io.BytesIO()
    Image.new("L", (1, 1)).save(content, "JPEG")
    return base64.b64encode(content.getvalue()).decode()


@pytest.fixture
def table(tmp_path):
    rows = [Row(id_, tmp_path / "mr.nrrd", options="--rgb") for id_ in ("s10", "s9", "s2", "<b>&", "later")]
    told = Table(rows)
    shown = {"thumbnail": pixel(), "output": "s10/fused.nrrd", "preview": "s10/pre view.png"}
    told.add(Result("s10", "fused", seconds=12.5, metrics={"VIF": 0.8, "SSIM": 1.25}, hashes={"fused": "ab"}, **shown))
    told.add(Result("s9", "kept", seconds=3.0, metrics={"VIF": 0.9}, warnings=("one", "two")))
    told.add(Result("s2", "refused", "it is <truncated>", 0.1))
    told.add(Result("<b>&", "failed", "RuntimeError: no"))
    return told


def test_a_line_a_row_in_the_order_of_the_manifest(table, tmp_path):
    table.write(tmp_path / "cohort.csv")
    with open(tmp_path / "cohort.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["id"], line["status"]) for line in lines] == [
        ("s10", "fused"),
        ("s9", "kept"),
        ("s2", "refused"),
        ("<b>&", "failed"),
        ("later", "waiting"),
    ]
    assert (lines[0]["seconds"], lines[0]["VIF"], lines[0]["Qabf"], lines[0]["options"]) == ("12.5", "0.8", "", "--rgb")
    assert lines[0]["fused_sha256"] == "ab" and lines[1]["warnings"] == "one | two"


def browser():
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


# Clicks, then writes what the page shows into its end, where the browser's dump of the page has it.
PROBE = """<script>
const ids = () => [...document.querySelectorAll("tbody tr")].map((row) => row.cells[1].textContent).join("|");
const click = (column) => document.querySelectorAll("th button")[column].click();
const seen = [ids()];
for (const column of [1, 1, 3, 3, 4]) { click(column); seen.push(ids()); }
const image = document.querySelector("img");
seen.push(image.naturalWidth, image.parentElement.getAttribute("href"), document.querySelectorAll("b").length);
document.body.insertAdjacentHTML("beforeend", "<pre id=seen></pre>");
document.getElementById("seen").textContent = seen.join("\\n");
</script>"""


def test_a_browser_shows_refused_rows_first_and_sorts_by_a_click(table, tmp_path):
    if browser() is None:
        pytest.skip("no Chromium here; on Debian: apt-get install chromium-headless-shell")
    page = tmp_path / "cohort.html"
    write_page(table, page)
    page.write_text(page.read_text().replace("</html>", f"{PROBE}</html>"))
    command = [browser(), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [*command, "--virtual-time-budget=2000", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    seen = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    assert seen, done.stderr
    first, by_id, back, quick, slow, vif, width, link, bold = seen[1].split("\n")
    assert first == "s2|&lt;b&gt;&amp;|later|s10|s9"
    assert by_id == "&lt;b&gt;&amp;|later|s2|s9|s10" and back == "s10|s9|s2|later|&lt;b&gt;&amp;"
    assert quick.startswith("s2|s9|s10|") and slow.startswith("s10|s9|s2|")
    assert vif.startswith("s10|s9|")
    assert (width, link, bold) == ("1", "s10/pre%20view.png", "0")


def test_the_page_needs_no_other_file(table, tmp_path):
    write_page(table, tmp_path / "cohort.html")
    text = (tmp_path / "cohort.html").read_text()
    assert not re.search(r"<link|<script src|@import|url\(|https?://", text)
    assert "5 studies: 1 refused, 1 failed, 1 waiting, 1 fused, 1 kept" in text
    assert "it is &lt;truncated&gt;" in text and "<truncated>" not in text

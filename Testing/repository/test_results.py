"""The results pages say what the saved scores say, of the weights that ship."""

import subprocess
import sys

import numpy as np
import pytest

from MMIFAminLib.evaluation import metrics


@pytest.fixture
def results(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / "docs"))
    import make_results

    return make_results


def row(method, name, value):
    return {"method": method, "id": name} | {metric.name: str(value) for metric in metrics.METRICS}


def test_the_table_ranks_the_means(results):
    rows = [row("MMIF-AMIN", "1", 1), row("MMIF-AMIN", "2", 5), row("peer", "1", 2), row("peer", "2", 2)]
    text, ranks = results.ranked_table(rows)
    assert ranks == {"MMIF-AMIN": 1.0, "peer": 2.0}
    first, second = text.splitlines()[2:]
    assert first.startswith("| **MMIF-AMIN** | **1.00** | **3.00** |") and second.startswith("| peer | 2.00 | 2.00 |")


def test_a_metric_that_no_image_has_is_no_column(results):
    rows = [row("MMIF-AMIN", "1", 1) | {"MSSSIM": "nan"}, row("peer", "1", 2) | {"MSSSIM": "nan"}]
    text, _ = results.ranked_table(rows)
    assert "nan" not in text and "MSSSIM" not in text and "| PSNR |" in text
    assert "MSSSIM" in results.ranked_table([row("MMIF-AMIN", "1", 1), row("peer", "1", 2)])[0]


def test_a_rank_that_hangs_on_one_pair_is_not_firm(results):
    def ranks(first, second):
        rows = [row("MMIF-AMIN", "1", first), row("MMIF-AMIN", "2", second), row("peer", "1", 2), row("peer", "2", 2)]
        return results.resampled_ranks(rows, draws=200)

    assert ranks(3, 3) == [1, 1, 1]
    assert ranks(1, 1) == [2, 2, 2]
    assert ranks(1, 5) == [1, 1, 2]  # lost where the first pair is drawn twice, a quarter of the time


def test_the_narrowest_lead_is_over_the_nearest_behind(results):
    step = results.STEP["SSIM"]
    flat = {metric: 1.0 for metric in metrics.RANKED}
    scores = {"MMIF-AMIN": flat, "near": flat | {"SSIM": np.exp(-2 * step)}, "far": flat | {"SSIM": np.exp(-3 * step)}}
    scores["ahead"] = {metric: 2.0 for metric in metrics.RANKED}
    metric, method, lead = results.narrowest_lead(scores)
    assert (metric, method) == ("SSIM", "near") and lead == pytest.approx(2)


def test_best_median_and_worst_are_picked_by_rank_on_the_pair(results):
    from result_pictures import chosen_pairs  # beside make_results

    rows = []
    for name, value in (("a", 3.0), ("b", 1.5), ("c", 0.5)):
        rows += [row("ours", name, value), row("x", name, 1), row("y", name, 2)]
    rows.append(row("x", "not ours", 9))
    assert chosen_pairs(rows, "ours") == {"best": ("a", 1.0), "median": ("b", 2.0), "worst": ("c", 3.0)}


def test_the_committed_pages_are_up_to_date(repository, shared):
    if not (repository / "docs" / "results.md").is_file():
        pytest.skip("docs/results.md is not made yet")
    assert (shared / "reference").is_dir()
    command = [sys.executable, "docs/make_results.py", "--shared", shared, "--check"]
    result = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_further_methods_and_the_authors_images_have_tables_of_their_own(results):
    def scores(method, name, value):
        return row(method, name, value) | {"task": "PET-MRI"}

    own = [scores("MMIF-AMIN", "1", 3), scores("MMIF-AMIN", "2", 3)]
    peers = [scores("peer", "1", 1), scores("peer", "2", 9)]
    wider = results.wider_field(own, peers, [scores("later", "1", 2), scores("later", "2", 2)], results.ranked_table)
    assert "later" in wider and wider.count("| peer | 1.00 |") == 1 and results.wider_field(own, peers, [], None) == ""
    theirs = results.authors(own, peers, [scores("authors", "1", 2)], results.ranked_table)
    assert "(1 pair)" in theirs and "| **MMIF-AMIN** | **1.00** |" in theirs and "| authors | 2.00 |" in theirs

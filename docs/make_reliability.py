"""Brings the counts of the campaigns into the tables of docs/reliability.md.

    python docs/make_reliability.py            # fills in the tables
    python docs/make_reliability.py --check    # fails if a table is not that of the CSVs

The CSVs in Testing/benchmarks/results are made by ``make fuzz`` (fuzz.csv), ``Testing/campaigns/faults.py``
(faults.csv), ``Testing/campaigns/damaged_dicom.py`` (damaged_dicom.csv), ``Testing/campaigns/bounds.py`` (bounds.csv) and
``Testing/benchmarks/local_range.py`` (local_range.csv). A table stands between ``<!-- NAME -->`` and ``<!-- end -->``.
"""

from pages import DOCS, fill_in, read, table

FUZZED = {
    "volumes": "pairs of volumes through `VolumeFuser.fuse`",
    "nodes": "pairs of nodes under transforms through `fuse_nodes`",
    "headers": "damaged headers through `mmifamin fuse`",
}


def fuzz(rows: list[dict]) -> str:
    counts = {(row["campaign"], row["outcome"]): int(row["examples"]) for row in rows}
    body = []
    for campaign, what in FUZZED.items():
        fused, refused = (counts.get((campaign, outcome), 0) for outcome in ("fused", "refused"))
        body.append([what, fused + refused, fused, refused])
    return table(["what", "tried", "fused", "refused"], body)


def damaged_dicom(rows: list[dict]) -> str:
    counts = {row["outcome"]: int(row["files"]) for row in rows}
    refused, read_all, tried = counts.get("refused", 0), counts.get("read", 0), sum(counts.values())
    header = ["what", "tried", "refused in one line", "read", "anything else"]
    return table(header, [["damaged DICOM files", tried, refused, read_all, tried - refused - read_all]])


def faults(rows: list[dict]) -> str:
    names = {"SIGKILL": "killed", "SIGINT": "interrupted (Ctrl-C)"}
    header = ["campaign", "runs", "struck", "hidden files left half-written", "corrupt files", "reruns that failed"]
    struck = [row for row in rows if row["signal"]]
    columns = ("runs", "struck", "files begun", "corrupt", "rerun failed")
    return table(
        header,
        [[f"`{row['campaign']}` {names[row['signal']]}", *(row[column] for column in columns)] for row in struck],
    )


def scene(rows: list[dict]) -> str:
    found = {row["campaign"]: row for row in rows}
    cancels, growth = found["cancel in the scene"], found["growth"]
    return table(
        ["campaign", "runs", "result"],
        [
            ["fusions of nodes cancelled at a random fraction", cancels["runs"], f"{cancels['corrupt']} left a trace"],
            ["fusions in one process", growth["runs"], f"memory grew by {float(growth['MB grown']):.2f} MB"],
        ],
    )


def bounds(rows: list[dict]) -> str:
    body = [
        [row["campaign"], row["pairs"], f"{float(row['gain']):.3f}", f"{max(0.0, float(row['below'])):.4f}"]
        for row in rows
    ]
    return table(["campaign", "pairs", "least gain (bound: 0.25)", "deepest below both (bound: 0.0039)"], body)


def local_range(rows: list[dict]) -> str:
    columns = list(rows[0])[4:]
    shown = [row for row in rows if row["method"] != "average"]  # which cannot leave the range
    body = [[row["task"], row["method"], row["pairs"], *(f"{float(row[key]):.2f}" for key in columns)] for row in shown]
    return table(["task", "method", "pairs", *columns], body)


def tables() -> dict[str, str]:
    """Every table of the page, by name."""
    return {
        "fuzz": fuzz(read("fuzz.csv")),
        "damaged dicom": damaged_dicom(read("damaged_dicom.csv")),
        "faults": faults(read("faults.csv")),
        "scene": scene(read("faults.csv")),
        "bounds": bounds(read("bounds.csv")),
        "local range": local_range(read("local_range.csv")),
    }


if __name__ == "__main__":
    fill_in(DOCS / "reliability.md", tables)

"""Sections of docs/results.md on further competitors: methods that were scored later, and the paper's first author's images."""

from collections.abc import Callable

Rows = list[dict]


def wider_field(
    own: Rows, peers: Rows, more: Rows, ranked_table: Callable[[Rows], tuple[str, dict[str, float]]]
) -> str:
    """The tables of every task with the methods of `more` in the field; "" where there are none."""
    if not more:
        return ""
    methods = ", ".join(sorted({row["method"] for row in more}))
    text = (
        "## A wider field\n\nThe same images with further learned methods among the competitors, scored in the same way with their "
        f"authors' weights: {methods}.\n(FAMAFuse returns nearly a copy of the MR, which MI, VIF and Qabf reward.)\n\n"
    )
    parts = []
    for task in dict.fromkeys(row["task"] for row in own):
        rows = [row for row in (*own, *peers, *more) if row["task"] == task]
        parts.append(f"### {task}, wider field\n\n{ranked_table(rows)[0]}")
    return text + "\n".join(parts)


def authors(own: Rows, peers: Rows, theirs: Rows, ranked_table: Callable[[Rows], tuple[str, dict[str, float]]]) -> str:
    """The tables of the images of `val` that the repository of the paper's first author shows fused; "" without scores."""
    if not theirs:
        return ""
    text = (
        "## The paper's own images\n\nThe repository that bears the first author's name (docs/method.md) shows fused images of some pairs "
        "that are in `val`.\nHere all methods are compared on just these; nothing says whether those pairs were unseen to its "
        "network.\n\n"
    )
    parts = []
    for task in dict.fromkeys(row["task"] for row in theirs):
        pairs = {row["id"] for row in theirs if row["task"] == task}
        rows = [row for row in (*own, *theirs, *peers) if row["task"] == task and row["id"] in pairs]
        count = f"{len(pairs)} pair{'s' if len(pairs) > 1 else ''}"
        parts.append(f"### {task}, the paper's images ({count})\n\n{ranked_table(rows)[0]}")
    return text + "\n".join(parts)

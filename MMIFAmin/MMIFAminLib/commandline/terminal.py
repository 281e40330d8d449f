"""What the command line shows: warnings, progress bars, tables. Nothing here is drawn where nobody looks."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager


def say(kind: str, message: str) -> None:
    """Print one line of `kind`, "error" or "warning", to the error stream."""
    print(f"mmifamin: {kind}:", " ".join(message.split()), file=sys.stderr)


@contextmanager
def progress_bar() -> Iterator[Callable[[float, str], None]]:
    """A callback `progress(fraction, text)` that draws a bar with the time left, or nothing where nobody looks."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda fraction, text: None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=1.0)
        # After the comma fusion texts give the time left, which the bar shows already.
        yield lambda fraction, text: bar.update(task, completed=fraction, description=text.partition(",")[0])


def print_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows of texts under `headings`, which may be empty, as wide as the terminal allows."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    # Text: what stands in brackets is no markup of rich's.
    console.print(Text(title), style="bold")  # a title of the table would be wrapped at its width
    table = Table(box=box.SIMPLE_HEAD, show_header=any(headings))
    for heading in headings:
        table.add_column(Text(heading), overflow="fold")  # a path is told in full
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)

"""The command ``mmifamin``: its options, what each subcommand does, what the terminal shows, and the demo."""

from .parser import main

__all__ = ["main"]

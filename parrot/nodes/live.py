"""The live table where there is a terminal, else a line every few seconds."""

from __future__ import annotations

import time

from rich.console import Console
from rich.live import Live

from parrot.rl.display import line, table
from parrot.rl.status import Status

__all__ = ["LiveTable"]

LINE_PERIOD = 10.0
"""Seconds between two lines where there is no terminal."""


class LiveTable:
    """Shows where a run stands, on standard output."""

    def __init__(self, title: str) -> None:
        self.console = Console()
        self.title = title
        self._live: Live | None = None
        self._printed_at = 0.0

    def update(self, status: Status) -> None:
        """Shows the status."""
        if self.console.is_terminal:
            if self._live is None:
                self._live = Live(
                    console=self.console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
                )
                self._live.start()
            self._live.update(table(status, self.title), refresh=True)
        elif time.monotonic() - self._printed_at >= LINE_PERIOD:
            self._print(status)

    def close(self, status: Status) -> None:
        """Shows the status for the last time and leaves the terminal as it was."""
        if self.console.is_terminal:
            self.update(status)
        else:
            self._print(status)
        if self._live is not None:
            self._live.stop()

    def _print(self, status: Status) -> None:
        self._printed_at = time.monotonic()
        self.console.print(line(status), soft_wrap=True, highlight=False)

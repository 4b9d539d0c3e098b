"""The terminal as a keyboard: keys as they are pressed, unechoed; and as it was before, whatever ends us."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from contextlib import suppress
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parrot.errors import ConfigError

__all__ = ["Terminal", "picture", "room_for"]


class Terminal:
    """Standard input without lines and echo, from `open` to `close`.

    Raises:
        ConfigError: it is no terminal.
    """

    def __init__(self) -> None:
        self._fd = sys.stdin.fileno() if sys.stdin is not None else -1
        if self._fd < 0 or not os.isatty(self._fd):
            raise ConfigError(
                "standard input is no terminal, so there is no keyboard (launch gives its nodes none); run it in "
                "a terminal of its own, e.g. `ros2 run parrot teleop_node`; that also takes a gamepad, input:=joy"
            )
        self._before: list[Any] | None = None
        self.ended = False
        """Whether the terminal has gone."""

    @property
    def is_open(self) -> bool:
        """Whether keys are taken one by one."""
        return self._before is not None

    def open(self) -> None:
        """Takes keys one by one; Ctrl-C and Ctrl-Z stay what they are."""
        self._before = termios.tcgetattr(self._fd)
        tty.setcbreak(self._fd)
        signal.signal(signal.SIGCONT, self._again)

    def _again(self, number: int, frame: FrameType | None) -> None:
        """The shell has set the terminal its own way while we were stopped."""
        tty.setcbreak(self._fd)

    def read(self) -> bytes:
        """What was typed since the last call."""
        if self.ended or not select.select([self._fd], [], [], 0)[0]:
            return b""
        try:
            data = os.read(self._fd, 1024)
        except OSError:
            data = b""
        self.ended = not data
        return data

    def close(self) -> None:
        """Gives the terminal back as it was, without the keys that nobody has read."""
        if self._before is None:
            return
        signal.signal(signal.SIGCONT, signal.SIG_DFL)
        # We may no longer be in the foreground, where this would stop us.
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        with suppress(termios.error):  # it may have gone
            termios.tcflush(self._fd, termios.TCIFLUSH)
            termios.tcsetattr(self._fd, termios.TCSANOW, self._before)
        self._before = None


def picture(image: NDArray[np.uint8]) -> list[str]:
    """The image (H, W, 3) as lines of coloured half blocks, two rows in each; H is even."""
    lines = []
    for top, bottom in zip(image[::2], image[1::2], strict=True):
        cells = (f"\x1b[38;2;{r};{g};{b};48;2;{R};{G};{B}m▀" for (r, g, b), (R, G, B) in zip(top, bottom, strict=True))
        lines.append("".join(cells) + "\x1b[0m")
    return lines


def room_for(rows: int, columns: int) -> bool:
    """Whether standard output is a terminal of that size."""
    if not sys.stdout.isatty():
        return False
    size = os.get_terminal_size(sys.stdout.fileno())  # not what COLUMNS and LINES said before it was resized
    return size.lines >= rows and size.columns >= columns

"""Run a ROS 2 launch file of parrot, with or without an installed ROS 2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from parrot.errors import ConfigError

__all__ = ["COMMANDS", "launch"]

USAGE = """\
usage: parrot launch FILE [key:=value ...] [--show-args]

Runs a launch file that comes with parrot, or one of your own by its path, just as `ros2 launch parrot FILE` does.
With ROS 2 installed it hands over to the real `launch`; without, it starts the very same nodes itself.

  --show-args  show the arguments that the launch file takes, and end

Launch files that come with parrot:
"""


def launch(argv: Sequence[str]) -> int:
    """Runs a launch file; its arguments are `key:=value`, as for `ros2 launch`."""
    from parrot.launching.command import launch_file

    words = list(argv)
    if not words or "-h" in words or "--help" in words:
        print(USAGE + available(), end="")
        return 0 if words else ConfigError.exit_code
    show_args = any(word in ("--show-args", "--show-arguments", "-s") for word in words)
    plain = [word for word in words if not word.startswith("-")]
    unknown = [w for w in words if w.startswith("-") and w not in ("--show-args", "--show-arguments", "-s")]
    if unknown:
        raise ConfigError(f"unknown option {unknown[0]!r}; launch arguments are key:=value, see `parrot launch --help`")
    if not plain:
        raise ConfigError("which launch file? see `parrot launch --help`")
    return launch_file(plain[0], plain[1:], show_args=show_args)


def available() -> str:
    """The launch files that come with parrot, a line each with the first line of what they say of themselves."""
    import ast

    from parrot.resources import share

    lines = []
    for file in sorted(share("launch").glob("*.launch.py")):
        docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        lines.append(f"  {file.name:<28} {docstring.partition(chr(10))[0]}\n")
    return "".join(lines)


COMMANDS: dict[str, Callable[..., Any]] = {"launch": launch}

"""`parrot launch FILE key:=value…`: through the real `launch` where it is installed, else through the stand-ins."""

from __future__ import annotations

import importlib.util
import logging
import textwrap
from collections.abc import Sequence
from pathlib import Path

from parrot.errors import ConfigError
from parrot.launching.actions import LaunchDescription
from parrot.launching.loading import declared, find, load, parse_arguments, plan
from parrot.launching.substitutions import Substitution
from parrot.launching.supervisor import Supervisor

__all__ = ["launch_file", "real_launch_is_installed"]

log = logging.getLogger("parrot.launch")


def real_launch_is_installed() -> bool:
    """Whether `launch` and `launch_ros` can be imported."""
    return all(importlib.util.find_spec(name) is not None for name in ("launch", "launch_ros"))


def launch_file(name: str, arguments: Sequence[str], *, show_args: bool = False) -> int:
    """Runs a launch file to its end, or shows its arguments.

    Returns:
        0, or the exit status of the first node that failed.

    Raises:
        ConfigError: there is no such file or argument, or the file uses what the stand-ins lack.
    """
    file = find(name)
    if real_launch_is_installed():
        return hand_over(file, arguments, show_args=show_args)
    description = load(file)
    if show_args:
        print(describe(file, description))
        return 0
    planned = plan(file, description, parse_arguments(arguments))
    for message in planned.messages:
        log.info(message)
    if not planned.nodes:
        raise ConfigError(f"{file}: no node is left to run with these arguments")
    return Supervisor(planned.nodes).run()


def hand_over(file: Path, arguments: Sequence[str], *, show_args: bool) -> int:
    """Runs the launch file through the real `launch`, just as `ros2 launch` does."""
    from ros2launch.api import launch_a_launch_file, print_arguments_of_launch_file

    if show_args:
        return print_arguments_of_launch_file(launch_file_path=str(file)) or 0
    parse_arguments(arguments)
    return launch_a_launch_file(launch_file_path=str(file), launch_file_arguments=list(arguments)) or 0


def describe(file: Path, description: LaunchDescription) -> str:
    """The arguments with choices, descriptions and defaults, laid out as `ros2 launch --show-args` does."""
    lines = [f"Arguments of {file.name} (pass arguments as '<name>:=<value>'):"]
    for argument in declared(description):
        lines += ["", f"    '{argument.name}':"]
        choices = f" Valid choices are: {', '.join(argument.choices)}." if argument.choices else ""
        lines += textwrap.wrap(argument.description + choices, 110, initial_indent=" " * 8, subsequent_indent=" " * 8)
        if argument.default_value is not None:
            lines.append(f"        (default: {shown(argument.default_value)})")
    return "\n".join(lines)


def shown(value: object) -> str:
    """A default as text: substitutions by the name of what they stand for."""
    if isinstance(value, str):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return " + ".join(shown(part) for part in value)
    if isinstance(value, Substitution):
        return str(value)
    return str(value)

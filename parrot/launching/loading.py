"""Reads a launch file: where it lies, which arguments it takes, and which nodes it asks for."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from parrot.errors import ConfigError
from parrot.launching.actions import DeclareLaunchArgument, IncludeLaunchDescription, LaunchDescription
from parrot.launching.modules import importable
from parrot.launching.substitutions import Context, Plan
from parrot.resources import share

__all__ = ["declared", "find", "load", "parse_arguments", "plan"]


def find(name: str) -> Path:
    """The launch file of this path, or of this name among those that come with parrot.

    Raises:
        ConfigError: there is none.
    """
    if (path := Path(name)).is_file():
        return path.resolve()
    try:
        folder = share("launch")
    except ConfigError as error:
        raise ConfigError(f"{name}: there is no such launch file, and none comes with this installation") from error
    known = sorted(p.name for p in folder.glob("*.launch.py"))
    if name in known:
        return folder / name
    raise ConfigError(f"{name}: there is no such launch file; give a path or one of {', '.join(known)}")


def parse_arguments(words: Sequence[str]) -> dict[str, str]:
    """`key:=value` words as a dictionary.

    Raises:
        ConfigError: a word is none.
    """
    found = {}
    for word in words:
        key, separator, value = word.partition(":=")
        if not separator or not key:
            raise ConfigError(f"{word!r} is no launch argument; write key:=value, for example task:=grasp_cap")
        found[key] = value
    return found


def load(file: Path) -> LaunchDescription:
    """What the file's `generate_launch_description` returns.

    Raises:
        ConfigError: it has none, or uses what the stand-ins lack.
    """
    spec = importlib.util.spec_from_file_location("parrot_launch_file", file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{file}: only Python launch files (.launch.py) are known to `parrot launch`")
    module = importlib.util.module_from_spec(spec)
    with importable():
        spec.loader.exec_module(module)
        if not hasattr(module, "generate_launch_description"):
            raise ConfigError(f"{file}: has no generate_launch_description(); is it a ROS 2 launch file?")
        return module.generate_launch_description()


def declared(description: LaunchDescription) -> list[DeclareLaunchArgument]:
    """The arguments that the file takes, and those of files that it includes, except what it gives them itself."""
    found: dict[str, DeclareLaunchArgument] = {}
    for action in description.entities:
        if isinstance(action, DeclareLaunchArgument):
            found.setdefault(action.name, action)
        elif isinstance(action, IncludeLaunchDescription):
            for argument in declared(action.description):
                if argument.name not in action.launch_arguments:
                    found.setdefault(argument.name, argument)
    return list(found.values())


def plan(file: Path, description: LaunchDescription, arguments: dict[str, str]) -> Plan:
    """The nodes to run with these arguments.

    Raises:
        ConfigError: an argument is unknown or has a value that is not among its choices.
    """
    known = [argument.name for argument in declared(description)]
    for name in arguments:
        if name not in known:
            raise ConfigError(f"launch argument {name!r} is unknown to {file.name}; it takes {', '.join(known)}")
    context = Context(file, arguments)
    for action in description.entities:
        action.visit(context)
    return context.plan

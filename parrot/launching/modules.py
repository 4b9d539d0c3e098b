"""Lets a launch file import the stand-ins under their real names, and names whatever they lack."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from parrot.errors import ConfigError
from parrot.launching import actions, substitutions

__all__ = ["CONTENTS", "importable"]

CONTENTS: dict[str, tuple[str, ...]] = {
    "launch": ("LaunchDescription", "Substitution"),
    "launch.actions": (
        "DeclareLaunchArgument", "IncludeLaunchDescription", "LogInfo", "SetEnvironmentVariable", "Shutdown",
    ),
    "launch.conditions": ("IfCondition", "UnlessCondition"),
    "launch.launch_description_sources": ("PythonLaunchDescriptionSource",),
    "launch.substitutions": (
        "EnvironmentVariable", "LaunchConfiguration", "PathJoinSubstitution", "PythonExpression", "TextSubstitution",
        "ThisLaunchFileDir",
    ),
    "launch_ros": (),
    "launch_ros.actions": ("Node",),
    "launch_ros.parameter_descriptions": ("ParameterValue",),
}  # fmt: skip
"""Module -> the classes that a launch file may import from it."""

REMEDY = "write the launch file without it, or install ROS 2 and use `ros2 launch`"


class StandIn(ModuleType):
    """A module of `launch` or `launch_ros`, as far as we have it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        known = ", ".join(CONTENTS[self.__name__]) or "nothing"
        raise ConfigError(f"{self.__name__}.{name} is not known to `parrot launch`, which knows {known}; {REMEDY}")


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the stand-in modules."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module, if it is one of `launch` or `launch_ros`.

        Raises:
            ConfigError: it is, but we have none of that name.
        """
        if fullname.partition(".")[0] not in ("launch", "launch_ros"):
            return None
        if fullname not in CONTENTS:
            raise ConfigError(f"{fullname} is not known to `parrot launch`; {REMEDY}")
        return importlib.machinery.ModuleSpec(fullname, self, is_package="." not in fullname)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """An empty one."""
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Fills it."""
        for name in CONTENTS[module.__name__]:
            home = actions if name in actions.__all__ else substitutions
            setattr(module, name, getattr(home, name))


def _ours() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] in ("launch", "launch_ros")]


@contextmanager
def importable() -> Iterator[None]:
    """Within the block `launch` and `launch_ros` are the stand-ins."""
    real = {name: sys.modules.pop(name) for name in _ours()}
    finder = Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in _ours():
            del sys.modules[name]
        sys.modules.update(real)

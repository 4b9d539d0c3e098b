"""Stand-ins for the substitutions and conditions of `launch`: same names, same arguments.

A class or argument which is not here is named in a ConfigError, never ignored.
"""

from __future__ import annotations

import ast
import operator
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parrot.errors import ConfigError

__all__ = [
    "Context",
    "EnvironmentVariable",
    "IfCondition",
    "LaunchConfiguration",
    "PathJoinSubstitution",
    "Plan",
    "PlannedNode",
    "PythonExpression",
    "Substitution",
    "TextSubstitution",
    "ThisLaunchFileDir",
    "UnlessCondition",
    "reject",
    "text",
    "truth",
]

Some = Any
"""What launch calls SomeSubstitutionsType: text, a substitution, or a sequence of both to be joined."""


@dataclass(frozen=True)
class PlannedNode:
    """One process to run."""

    package: str
    executable: str
    name: str | None
    arguments: tuple[str, ...]
    """Everything after the executable, `--ros-args` included."""
    environment: Mapping[str, str]
    output: str
    """`screen` or `log`, as launch has it."""
    required: bool
    """Its end ends the graph."""


@dataclass
class Plan:
    """What a launch file asks for, once its substitutions are worked out."""

    nodes: list[PlannedNode] = field(default_factory=list)
    """In the order of the file."""
    messages: list[str] = field(default_factory=list)
    """What LogInfo says."""


class Context:
    """What a launch file has set so far: arguments and environment; and where it lies."""

    def __init__(self, file: Path, arguments: Mapping[str, str]) -> None:
        self.file = file
        self.launch_configurations: dict[str, str] = dict(arguments)
        self.environment: dict[str, str] = dict(os.environ)
        self.plan = Plan()


def reject(owner: object, unknown: Mapping[str, Any]) -> None:
    """Names the arguments that a stand-in does not know.

    Raises:
        ConfigError: there are any.
    """
    if unknown:
        raise ConfigError(
            f"{type(owner).__name__}({', '.join(unknown)}=...) is not known to `parrot launch`; "
            "leave it out of the launch file, or install ROS 2 and use `ros2 launch`"
        )


class Substitution:
    """Text that is worked out when the graph starts."""

    def perform(self, context: Context) -> str:
        """The text."""
        raise NotImplementedError


def text(value: Some, context: Context) -> str:
    """The text of a string, a substitution, a path or a sequence of these, joined."""
    if isinstance(value, Substitution):
        return value.perform(context)
    if isinstance(value, (list, tuple)):
        return "".join(text(part, context) for part in value)
    if isinstance(value, (str, os.PathLike)):
        return os.fspath(value)
    raise ConfigError(f"{value!r} is neither text nor a substitution that `parrot launch` knows; use a string")


def truth(value: Some, context: Context) -> bool:
    """A condition's text as launch reads it: true or 1, false or 0.

    Raises:
        ConfigError: it is something else.
    """
    word = text(value, context).strip().lower()
    if word in ("true", "1"):
        return True
    if word in ("false", "0"):
        return False
    raise ConfigError(f"{word!r} is neither true nor false; write true or false")


class TextSubstitution(Substitution):
    """Text as it stands."""

    def __init__(self, *, text: str, **unknown: Any) -> None:
        reject(self, unknown)
        self.text = text

    def perform(self, context: Context) -> str:
        """The text."""
        return self.text


class LaunchConfiguration(Substitution):
    """The value of a launch argument."""

    def __init__(self, variable_name: Some, **unknown: Any) -> None:
        reject(self, unknown)
        self.variable_name = variable_name

    def __str__(self) -> str:
        return str(self.variable_name)

    def perform(self, context: Context) -> str:
        """The value.

        Raises:
            ConfigError: no such argument was declared.
        """
        name = text(self.variable_name, context)
        if name not in context.launch_configurations:
            raise ConfigError(f"launch argument {name!r} is used but not declared; declare it before its use")
        return context.launch_configurations[name]


class EnvironmentVariable(Substitution):
    """The value of an environment variable."""

    def __init__(self, name: Some, *, default_value: Some = None, **unknown: Any) -> None:
        reject(self, unknown)
        self.name, self.default_value = name, default_value

    def __str__(self) -> str:
        return f"${self.name}, else {self.default_value!r}"

    def perform(self, context: Context) -> str:
        """The value, or the default.

        Raises:
            ConfigError: there is neither.
        """
        name = text(self.name, context)
        if name in context.environment:
            return context.environment[name]
        if self.default_value is None:
            raise ConfigError(f"environment variable {name} is not set; set it")
        return text(self.default_value, context)


class PathJoinSubstitution(Substitution):
    """A path of several parts."""

    def __init__(self, substitutions: Iterable[Some], **unknown: Any) -> None:
        reject(self, unknown)
        self.substitutions = list(substitutions)

    def perform(self, context: Context) -> str:
        """The joined path."""
        return os.path.join(*(text(part, context) for part in self.substitutions))


class ThisLaunchFileDir(Substitution):
    """The folder of the launch file."""

    def perform(self, context: Context) -> str:
        """The folder."""
        return str(context.file.parent)


class PythonExpression(Substitution):
    """The value of a Python expression: comparisons of literals by ==, !=, in, not in, and X if COMPARISON else Y."""

    def __init__(self, expression: Some, **unknown: Any) -> None:
        reject(self, unknown)
        self.expression = expression

    def __str__(self) -> str:
        parts = self.expression if isinstance(self.expression, (list, tuple)) else [self.expression]
        return "".join(str(part) for part in parts)

    def perform(self, context: Context) -> str:
        """`True` or `False`, or the literal that was chosen.

        Raises:
            ConfigError: it is another expression.
        """
        written = text(self.expression, context)
        try:
            tree = ast.parse(written, mode="eval").body
            if isinstance(tree, ast.IfExp):
                return str(ast.literal_eval(tree.body if _compared(tree.test) else tree.orelse))
            return str(_compared(tree))
        except (SyntaxError, ValueError) as error:
            raise ConfigError(
                f"PythonExpression {written!r}: `parrot launch` knows only comparisons of literals by ==, !=, in and "
                "not in, and choices by these; install ROS 2 and use `ros2 launch`"
            ) from error


def _compared(tree: ast.expr) -> bool:
    """The value of a comparison of two literals; ValueError, if it is something else."""
    if not (isinstance(tree, ast.Compare) and len(tree.ops) == 1 and type(tree.ops[0]) in _COMPARISONS):
        raise ValueError(ast.dump(tree))
    left, right = ast.literal_eval(tree.left), ast.literal_eval(tree.comparators[0])
    try:
        return bool(_COMPARISONS[type(tree.ops[0])](left, right))
    except TypeError as error:
        raise ValueError(str(error)) from error


_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}


class IfCondition:
    """Holds if its text is true."""

    def __init__(self, predicate_expression: Some, **unknown: Any) -> None:
        reject(self, unknown)
        self.predicate_expression = predicate_expression

    def evaluate(self, context: Context) -> bool:
        """Whether it holds."""
        return truth(self.predicate_expression, context)


class UnlessCondition(IfCondition):
    """Holds if its text is false."""

    def evaluate(self, context: Context) -> bool:
        """Whether it holds."""
        return not super().evaluate(context)

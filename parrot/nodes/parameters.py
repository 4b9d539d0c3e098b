"""ROS parameters from a frozen dataclass: its docstrings become what `ros2 param describe` says."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node

from parrot.errors import ConfigError

__all__ = ["Range", "declare", "field_docs"]


@dataclass(frozen=True)
class Range:
    """Limits of a number, both included: `Annotated[int, Range(0, 10)]`."""

    low: float
    high: float


def field_docs(cls: type) -> dict[str, str]:
    """The docstring below each field of a dataclass, on one line."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for statement, following in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
            and isinstance(following.value.value, str)
        ):
            found[statement.target.id] = " ".join(following.value.value.split())
    return found


def declare(node: Node, cls: type, leave_out: Sequence[str] = ()) -> dict[str, Any]:
    """Declares a read-only parameter for each field of the dataclass; field -> value given, or default.

    ROS has no None: where a field may be None, the empty string says it.

    Raises:
        ConfigError: a value has the wrong type, or lies outside the range or the choices.
    """
    assert is_dataclass(cls)
    docs, hints = field_docs(cls), get_type_hints(cls, include_extras=True)
    values: dict[str, Any] = {}
    for field in fields(cls):
        if field.name in leave_out:
            continue
        assert field.default is not MISSING, f"{cls.__name__}.{field.name} has no default"
        default: Any = "" if field.default is None else field.default
        hint = hints[field.name]
        choices = get_args(hint) if get_origin(hint) is Literal else ()
        descriptor = ParameterDescriptor(description=docs.get(field.name, ""), read_only=True)
        if choices:
            descriptor.additional_constraints = f"one of {', '.join(choices)}"
        if get_origin(hint) is Annotated:
            _limit(descriptor, hint)
        try:
            value = node.declare_parameter(field.name, default, descriptor).value
        except InvalidParameterTypeException as error:
            wanted = type(default).__name__
            remedy = "; write it with a decimal point" if wanted == "float" else ""
            raise ConfigError(f"parameter {field.name}: expected {wanted} ({docs.get(field.name)}){remedy}") from error
        except InvalidParameterValueException as error:
            limits = next(a for a in get_args(hint) if isinstance(a, Range))
            raise ConfigError(
                f"parameter {field.name} is outside {limits.low:g} to {limits.high:g} ({docs.get(field.name)})"
            ) from error
        if choices and value not in choices:
            raise ConfigError(f"parameter {field.name} is {value!r}; choose one of {', '.join(choices)}")
        values[field.name] = None if field.default is None and value == "" else value
    return values


def _limit(descriptor: ParameterDescriptor, hint: Any) -> None:
    """Puts the range of `Annotated[number, Range]` into the descriptor."""
    base, *notes = get_args(hint)
    for limits in (note for note in notes if isinstance(note, Range)):
        if base is int:
            descriptor.integer_range = [IntegerRange(from_value=int(limits.low), to_value=int(limits.high))]
        else:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(limits.low), to_value=float(limits.high))
            ]

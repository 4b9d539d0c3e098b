"""Frozen dataclasses from YAML: fields have types, and a mistake is one line that names file, field and remedy."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import yaml

from parrot.errors import ConfigError

__all__ = ["build", "read_yaml"]

T = TypeVar("T")


def read_yaml(path: Path) -> Any:
    """What a YAML file holds.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error


def build(cls: type[T], values: Any, where: str) -> T:
    """An instance of the dataclass, nested ones included; a field without a default must be there.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Point:
        ...     x: float
        ...     y: float = 0.0
        >>> build(Point, {"x": 1}, "point.yaml")
        Point(x=1.0, y=0.0)

    Raises:
        ConfigError: a field is missing, unknown or of another type.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: expected fields, found {values!r}")
    hints = get_type_hints(cls)
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    names = [f.name for f in fields]
    needed = {f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING}
    for problem, found in (("unknown", set(values) - set(names)), ("missing", needed - set(values))):
        if found:
            wrong = ", ".join(sorted(map(str, found)))
            raise ConfigError(f"{where}: {problem} {wrong}; the fields are {', '.join(names)}")
    return cls(**{name: _convert(hints[name], values[name], f"{where}: {name}") for name in names if name in values})


def _convert(hint: Any, value: Any, where: str) -> Any:
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        return build(cast(type, hint), value, where)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):  # only `X | None`
        return None if value is None else _convert(arguments[0], value, where)
    if origin is Literal:
        if value not in arguments:
            raise ConfigError(f"{where}: expected one of {', '.join(map(str, arguments))}, found {value!r}")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"{where}: expected a list, found {value!r}")
        if arguments[-1] is not Ellipsis and len(value) != len(arguments):
            raise ConfigError(f"{where}: expected a list of {len(arguments)}, found {value!r}")
        return tuple(_convert(arguments[0], item, where) for item in value)
    if origin in (dict, Mapping):
        if not isinstance(value, dict):
            raise ConfigError(f"{where}: expected fields, found {value!r}")
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ConfigError(f"{where}: expected {hint.__name__}, found {value!r}")
    return value

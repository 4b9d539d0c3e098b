"""Settings of a mapping YAML as dataclasses: what is unknown, missing or of another type is one clear line."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import MISSING
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from parrot.errors import ConfigError

__all__ = ["read_settings"]

T = TypeVar("T")


def read_settings(cls: type[T], values: Any, where: str) -> T:
    """The settings in a YAML section; fields with a default may be left out.

    Raises:
        ConfigError: a field is unknown, missing, or of another type.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Topic:
        ...     name: str
        ...     timeout: float = 0.1
        >>> read_settings(Topic, {"name": "/twist", "timeout": 1}, "action")
        Topic(name='/twist', timeout=1.0)
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: expected settings, found {values!r}")
    hints, fields = get_type_hints(cls), dataclasses.fields(cls)  # type: ignore[arg-type]
    needed = {f.name for f in fields if f.default is MISSING and f.default_factory is MISSING}
    known = [f.name for f in fields]
    for problem, found in (("unknown", set(values) - set(known)), ("missing", needed - set(values))):
        if found:
            raise ConfigError(f"{where}: {problem} {', '.join(sorted(map(str, found)))}; it takes {', '.join(known)}")
    return cls(**{name: _convert(hints[name], value, f"{where}: {name}") for name, value in values.items()})


def _convert(hint: Any, value: Any, where: str) -> Any:
    if get_origin(hint) in (Union, UnionType):
        (hint, *_) = [kind for kind in get_args(hint) if kind is not NoneType]
        return None if value is None else _convert(hint, value, where)
    if dataclasses.is_dataclass(hint):
        return read_settings(hint, value, where)  # type: ignore[arg-type]
    if get_origin(hint) is tuple:
        kind, *rest = get_args(hint)
        length = None if rest == [Ellipsis] else 1 + len(rest)
        if not isinstance(value, (list, tuple)) or length not in (None, len(value)):
            raise ConfigError(f"{where}: expected a list{f' of {length}' if length else ''}, found {value!r}")
        return tuple(_convert(kind, item, where) for item in value)
    # Bool topics are opened and closed by true and false, so that these are numbers here.
    if hint is float and isinstance(value, (int, bool)):
        return float(value)
    if not isinstance(value, hint):
        raise ConfigError(f"{where}: expected {hint.__name__}, found {value!r}")
    return value

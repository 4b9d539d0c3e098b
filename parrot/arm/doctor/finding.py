"""What the doctor says of one thing: the thing, the value, and the remedy if there is something to put right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from parrot.errors import ParrotError

__all__ = ["SUBJECTS", "Finding", "Level", "failure", "of_error", "ok", "warning"]

Level = Literal["ok", "warning", "failure"]

SUBJECTS = (
    "robot file", "driver", "joint states", "camera", "clock", "safety", "gripper", "reward", "prior", "policy",
)  # fmt: skip
"""What findings are about, in the order in which they are told."""


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    subject: str
    """One of `SUBJECTS`."""
    level: Level
    """`failure`: do not let the arm move. `warning`: look at it first."""
    thing: str
    """What was looked at."""
    value: str
    """What was found."""
    remedy: str = ""
    """What to do about it; empty if it is ok."""


def ok(subject: str, thing: str, value: str) -> Finding:
    """Nothing to do."""
    return Finding(subject, "ok", thing, value)


def warning(subject: str, thing: str, value: str, remedy: str) -> Finding:
    """The arm may move; look at this first."""
    return Finding(subject, "warning", thing, value, remedy)


def failure(subject: str, thing: str, value: str, remedy: str) -> Finding:
    """The arm must not move before this is put right."""
    return Finding(subject, "failure", thing, value, remedy)


def of_error(subject: str, thing: str, error: ParrotError) -> Finding:
    """The failure that an error tells of: our errors say what is wrong, a semicolon, and what to do.

    Example:
        >>> from parrot.errors import ConfigError
        >>> of_error("camera", "crop", ConfigError("crop is 3; give four numbers")).remedy
        'give four numbers'
    """
    value, _, remedy = str(error).partition("; ")
    return failure(subject, thing, value, remedy or "correct it, and ask again")

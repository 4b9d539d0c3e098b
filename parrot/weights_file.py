"""Reads safetensors files: of priors, classifiers and policies, each of which knows its own metadata."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from parrot.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["read_weights"]


def read_weights(path: Path, noun: str, remedy: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a file.

    Args:
        path: the file.
        noun: what it is to hold, for the message.
        remedy: what to do if it cannot be read.

    Raises:
        WeightsError: it is missing or truncated.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such {noun}; {remedy}")
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: not a whole safetensors file ({error}); copy it again or {remedy}") from error

"""Weights and a card that says what they are for, in one safetensors file under one SHA-256.

What is deployed on an arm must be all of what was exported: a file that was cut, patched or put together from two is
refused. Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from parrot.durable import write_bytes
from parrot.errors import WeightsError
from parrot.weights_file import read_weights

__all__ = ["file_digest", "read_sealed", "write_sealed"]


def write_sealed(path: Path, kind: str, card: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Writes the file, whole or not at all; returns its SHA-256.

    Args:
        path: where it goes.
        kind: what the file calls itself, e.g. `parrot-policy-1`.
        card: JSON.
        tensors: weights by name.

    Raises:
        RunError: the disk is full or the folder cannot be written.
    """
    text = json.dumps(card, sort_keys=True)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    digest = _digest(kind, text, weights)
    write_bytes(path, save(weights, metadata={"format": kind, "card": text, "sha256": digest}))
    return digest


def read_sealed(path: Path, kind: str, maker: str) -> tuple[dict[str, Any], dict[str, Tensor], str]:
    """Card, weights and SHA-256 of such a file.

    Args:
        path: the file.
        kind: what it must call itself.
        maker: the command that makes such files.

    Raises:
        WeightsError: the file is missing, damaged, of another kind or of a version that this parrot does not know.
    """
    remedy = f"give a file made by `{maker}`"
    meta, weights = read_weights(path, "file", remedy)
    if (found := meta.get("format")) != kind:
        raise WeightsError(f"{path}: has format {found!r}, this parrot reads {kind!r}; {remedy} of this version")
    digest = _digest(kind, meta.get("card", ""), weights)
    if digest != meta.get("sha256"):
        raise WeightsError(f"{path}: is damaged, its contents do not match their SHA-256; copy it again or {remedy}")
    return json.loads(meta["card"]), weights, digest


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest(kind: str, card: str, weights: Mapping[str, Tensor]) -> str:
    """SHA-256 over the card and every weight's name, type, shape and bytes, in the order of the names."""
    found = hashlib.sha256(json.dumps([kind, card]).encode())
    for name, tensor in sorted(weights.items()):
        found.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        found.update(tensor.numpy().tobytes())
    return found.hexdigest()

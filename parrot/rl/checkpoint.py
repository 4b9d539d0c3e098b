"""Checkpoints: every weight and moment in one safetensors file, its counters beside it as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from parrot.durable import write_bytes, write_json
from parrot.errors import WeightsError

__all__ = ["load_checkpoint", "save_checkpoint"]

WEIGHTS, COUNTERS = "agent.safetensors", "agent.json"


def save_checkpoint(folder: Path, state: dict[str, Tensor], counters: dict[str, Any]) -> None:
    """Replaces the checkpoint in this folder, as a whole.

    Raises:
        RunError: the disk is full or the folder cannot be written; the last checkpoint stays.
    """
    # The counters that belong to these weights travel with them; the JSON is for people.
    write_bytes(folder / WEIGHTS, save(state, metadata={"counters": json.dumps(counters)}))
    write_json(folder / COUNTERS, counters)


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The state and counters in this folder, or None if there is no checkpoint yet.

    Raises:
        WeightsError: the file is damaged.
    """
    path = folder / WEIGHTS
    if not path.exists():
        return None
    try:
        with safe_open(str(path), "pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, json.loads(file.metadata()["counters"])  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise WeightsError(f"{path} is damaged ({error}); delete it: learning restarts from the replay") from error

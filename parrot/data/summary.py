"""A dataset at a glance: its counts, what its actions look like, and a contact sheet of its images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from rich.table import Table

from parrot.data.dataset import Dataset
from parrot.durable import atomic_path
from parrot.spaces import ACTION_NAMES, IMAGE_SIZE

__all__ = ["action_table", "contact_sheet", "histograms", "manifest_table", "save_sheet", "size_bytes", "task_table"]

BINS = 20
"""Bars of a histogram over [-1, 1]."""

_BARS = " ▁▂▃▄▅▆▇█"
_LABEL = 14  # pixels of a line of text on the contact sheet
_GAP = 4


def size_bytes(dataset: Dataset) -> int:
    """Bytes on disk."""
    return sum(p.stat().st_size for path in dataset.paths for p in path.rglob("*") if p.is_file())


def histograms(actions: NDArray[np.float32]) -> NDArray[np.int64]:
    """How often each component lies in each of 20 equal parts of [-1, 1]: (N, 7) to (7, 20)."""
    part = np.clip(((actions + 1.0) * (BINS / 2)).astype(np.int64), 0, BINS - 1)
    return np.stack([np.bincount(column, minlength=BINS) for column in part.T])


def manifest_table(dataset: Dataset) -> Table:
    """Counts, and what the manifest says."""
    manifest, lengths = dataset.manifest, np.diff(dataset.offsets)
    table = Table(title=", ".join(map(str, dataset.paths)), show_header=False, title_justify="left")
    table.add_column()
    table.add_column(overflow="fold")
    span = f"{lengths.min()} to {lengths.max()}" if len(lengths) else "none"
    rows = {
        "episodes": f"{len(dataset):,}" + ("" if manifest.complete else " (still growing, or interrupted)"),
        "steps": f"{dataset.steps:,} ({span} an episode)",
        "size": f"{size_bytes(dataset) / 1e6:,.1f} MB",
        "success": f"{np.mean(dataset.success):.1%}" if len(dataset) else "none",
        "seeds": f"{len(np.unique(dataset.seeds)):,} different, from base seed {manifest.seed}",
        "kind": manifest.kind,
        "task": manifest.task,
        "robot": manifest.robot,
        "renderer": manifest.renderer,
        "camera": _short(manifest.camera),
        "action scale": _short(manifest.action_scale),
        "control rate": "none" if manifest.control_hz is None else f"{manifest.control_hz:g} Hz",
        "objects": f"{manifest.object_split} split, catalogue {manifest.catalogue[:12] or 'none'}",
        "extra arrays": ", ".join(f"{s.name} {s.dtype} {s.shape}" for s in manifest.extra) or "none",
        "created": manifest.created or "unknown",
        "made by": ", ".join(f"{k} {v}" for k, v in manifest.provenance.items()) or "unknown",
        "checksum": manifest.checksum or "none yet",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def task_table(dataset: Dataset) -> Table:
    """Episodes by task and, of a sealed dataset, the attempts behind them."""
    table = Table("task", "episodes", "successful", "attempts", "kept", title="Tasks", title_justify="left")
    for task in np.unique(dataset.tasks):
        mine = dataset.tasks == task
        tried = dataset.manifest.tasks.get(str(task), {}).get("tried") if len(dataset.paths) == 1 else None
        share = f"{mine.sum() / tried:.1%}" if tried else "-"
        table.add_row(str(task), f"{mine.sum():,}", f"{dataset.success[mine].mean():.1%}", f"{tried or '-'}", share)
    return table


def action_table(dataset: Dataset) -> Table:
    """Mean, spread, limits and histogram of each action component."""
    table = Table("action", "mean", "std", "min", "max", "at ±1", "-1 to 1", title="Actions", title_justify="left")
    actions = dataset.actions
    if not len(actions):
        return table
    for name, column, counts in zip(ACTION_NAMES, actions.T, histograms(actions), strict=True):
        height = np.ceil(counts / counts.max() * (len(_BARS) - 1)).astype(int)
        table.add_row(
            name, f"{column.mean():+.3f}", f"{column.std():.3f}", f"{column.min():+.3f}", f"{column.max():+.3f}",
            f"{np.mean(np.abs(column) >= 1):.1%}", "".join(_BARS[h] for h in height),
        )  # fmt: skip
    return table


def contact_sheet(dataset: Dataset, *, rows: int = 8, columns: int = 2, scale: int = 3) -> Image.Image:
    """First, middle and last image of episodes spread evenly over the dataset, each three side by side."""
    count = min(rows * columns, len(dataset))
    chosen = np.unique(np.linspace(0, len(dataset) - 1, count).astype(int)) if count else np.zeros(0, int)
    frame = IMAGE_SIZE * scale
    wide, high = 3 * (frame + 2) + _GAP, frame + _LABEL + _GAP
    rows = max(-(-len(chosen) // columns), 1)
    sheet = Image.new("RGB", (columns * wide + _GAP, rows * high + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for place, i in enumerate(chosen):
        x, y = place % columns * wide + _GAP, place // columns * high + _GAP
        outcome = "success" if dataset.success[i] else "no success"
        draw.text((x, y), f"{i}  {dataset.tasks[i]}  {outcome}", fill="black")
        first, last = int(dataset.offsets[i]), int(dataset.offsets[i + 1]) - 1
        for k, image in enumerate(dataset.images([first, (first + last) // 2, last])):
            big = Image.fromarray(image).resize((frame, frame), Image.Resampling.NEAREST)
            sheet.paste(big, (x + k * (frame + 2), y + _LABEL))
    return sheet


def save_sheet(dataset: Dataset, path: Path) -> None:
    """Writes the contact sheet as a picture.

    Raises:
        RunError: the disk is full, or the place cannot be written.
    """
    with atomic_path(path) as tmp:
        contact_sheet(dataset).save(tmp)


def _short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value).replace('"', "")

"""A dataset at a glance: its counts, what its actions look like, and a contact sheet of its images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from rich import box
from rich.table import Table

from parrot.data.dataset import Dataset
from parrot.durable import atomic_path
from parrot.spaces import ACTION_NAMES, GRIPPER_CLOSE, GRIPPER_OPEN, IMAGE_SIZE

__all__ = [
    "action_table",
    "contact_sheet",
    "histograms",
    "manifest_table",
    "rate_table",
    "remark",
    "save_sheet",
    "size_bytes",
    "task_table",
]

BINS = 20
"""Bars of a histogram over [-1, 1]."""

STAMPS = "stamps"
"""Extra array with the time of each step, int64 nanoseconds, where a dataset has one."""

SATURATED = 0.2
"""Share of steps at ±1 from which on a displacement's scale is suspect: the demonstrations move faster than the arm."""

TINY = 0.05
"""A displacement that hardly ever exceeds this is suspect: its unit may be another than its map says."""

GAPS = 3
"""Gaps that are listed."""

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
        "seeds": f"{len(np.unique(dataset.seeds)):,} different"
        + ("" if manifest.seed is None else f", from base seed {manifest.seed}"),
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
        "made by": ", ".join(f"{k} {v}" for k, v in manifest.provenance.items() if not _is_source(k)) or "unknown",
        **{k.replace("_", " "): v for k, v in manifest.provenance.items() if _is_source(k)},
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
    """Of each action component mean, spread, range, shares at the limits and at 0, and histogram; then what is odd."""
    table = Table(title="Actions", title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("action", "mean", "std", "range", "at ±1", "at 0"):
        table.add_column(head, no_wrap=True)
    table.add_column("-1 to 1", no_wrap=True, min_width=BINS)
    actions = dataset.actions
    if not len(actions):
        return table
    odd = []
    for name, column, counts in zip(ACTION_NAMES, actions.T, histograms(actions), strict=True):
        height = np.ceil(counts / counts.max() * (len(_BARS) - 1)).astype(int)
        table.add_row(
            name, f"{column.mean():+.3f}", f"{column.std():.3f}", f"{column.min():+.2f} {column.max():+.2f}",
            f"{np.mean(np.abs(column) >= 1):.1%}", f"{np.mean(column == 0):.1%}", "".join(_BARS[h] for h in height),
        )  # fmt: skip
        if words := remark(name, column):
            odd.append(f"{name}: {words}")
    table.caption = "\n".join(odd) or None
    return table


def remark(name: str, column: NDArray[np.float32]) -> str:
    """What a wrong mapping would show in this component (N,), N > 0; empty: nothing odd.

    Example:
        >>> remark("dx", np.zeros(9, np.float32)), remark("gripper", np.linspace(0, 1, 9, dtype=np.float32))
        ('always 0', 'never closes')
    """
    if np.ptp(column) == 0:
        return f"always {column[0]:g}"
    if name == "gripper":
        never = [
            word
            for word, seen in (("opens", column > GRIPPER_OPEN), ("closes", column < GRIPPER_CLOSE))
            if not seen.any()
        ]
        return f"never {' or '.join(never)}" if never else ""
    if np.mean(np.abs(column) >= 1) > SATURATED:
        return "often at its limits"
    if np.quantile(np.abs(column), 0.99) < TINY:
        return "hardly moves"
    return ""


def rate_table(dataset: Dataset) -> Table | None:
    """Rate and longest gaps between the steps of an episode, where the dataset has stamps."""
    if not any(spec.name == STAMPS and spec.shape == () for spec in dataset.manifest.extra) or not dataset.steps:
        return None
    stamps = dataset.gather(STAMPS, slice(None)).astype(np.int64)
    inside = np.ones(dataset.steps, bool)
    inside[dataset.offsets[:-1]] = False  # no step before an episode's first
    places = np.flatnonzero(inside)
    seconds = (stamps[places] - stamps[places - 1]) / 1e9
    table = Table(title="Rates, from the steps' stamps", show_header=False, title_justify="left")
    if not len(seconds):
        return table
    median, wanted = float(np.median(seconds)), dataset.manifest.control_hz
    low, high = np.quantile(seconds, (0.05, 0.95))
    rate = f"{1 / median:.2f} Hz" if median > 0 else "none"
    table.add_row("rate", rate + (f" (control rate {wanted:g} Hz)" if wanted else ""))
    table.add_row("between steps", f"{median:.4f} s; {low:.4f} to {high:.4f} s in 90%")
    gaps = []
    for place in places[np.argsort(-seconds, kind="stable")[:GAPS]]:
        episode = int(np.searchsorted(dataset.offsets, place, side="right")) - 1
        step = place - dataset.offsets[episode]
        gaps.append(f"{(stamps[place] - stamps[place - 1]) / 1e9:.3f} s before step {step} of episode {episode}")
    table.add_row("longest gaps", "\n".join(gaps))
    table.add_row("not later than the step before", f"{int((seconds <= 0).sum()):,} steps")
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


def _is_source(key: str) -> bool:
    """Whether provenance names a dataset there that this one was made of."""
    return key.startswith("source_")

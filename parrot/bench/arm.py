"""The arm's loop while it learns, on the emulated arm: how long from image to command, and which periods it misses.

The emulated arm and its camera run on the same cores, which an arm in a lab does not ask for. The prior is the shipped
one, renamed: what counts here is what it costs, not what it can.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from parrot.bench.graph import environment
from parrot.errors import RunError
from parrot.nodes.timing import COMMAND, MISSED, NO_ACTION, NO_PICTURE, PERIOD
from parrot.rl.run_folder import read_rows

__all__ = ["Rate", "events_in", "line", "measure", "rate_of", "row"]

WARM = 20.0
"""Seconds after the first command that do not count: networks' first passes, the learner's start."""

CHANGES = {"start_successes": 0, "start_steps": 25}
"""Of the preset `arm`: the learner begins at once, whether or not anything succeeds."""

HELD_UP = "physics was held up"
"""What the emulated arm says when the machine has no time for it."""

Event = tuple[float, str, float]
"""Seconds, what happened, milliseconds, as arm_node's parameter `timing` has them."""


@dataclass(frozen=True)
class Rate:
    """What came of a run."""

    minutes: float
    """That were measured."""
    commands: int
    """Images that were answered by a command."""
    p50_ms: float
    """From the image's publication to the command's, median."""
    p99_ms: float
    """99th percentile; the goal is 30 ms."""
    max_ms: float
    """The longest."""
    periods: int
    """Control periods, resets included."""
    late_ms: float
    """The most that one began too late."""
    missed: int
    """Periods that began more than half a period late; the goal is none."""
    without_action: int
    """Periods at which the image before had no action yet; the goal is none."""
    without_picture: int
    """Periods for which the camera had nothing new."""
    updates: int
    """Gradient updates of the whole run."""
    held_up: int
    """Times that the emulated physics was held up: then the machine was too busy to measure anything."""


def measure(minutes: float, seed: int) -> Rate:
    """Fine-tunes on the emulated arm for so long.

    Raises:
        RunError: the run failed, or learnt nothing.
    """
    from parrot.prior import FlowPrior, load_prior, save_prior

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prior = load_prior()
        assert isinstance(prior, FlowPrior)
        prior.card = {**prior.card, "robot": "emulated"}
        save_prior(prior, folder / "prior.safetensors")
        arguments = {
            "robot": "emulated", "task": "grasp_can", "prior": folder / "prior.safetensors", "run_dir": folder / "run",
            "timing": folder / "timing.csv", "seed": seed, "minutes": minutes + WARM / 60, "episodes": 100_000,
            "eval_before": 0, "eval_after": 0, "changes": "; ".join(f"{k}={v}" for k, v in CHANGES.items()),
        }  # fmt: skip
        words = [f"{key}:={value}" for key, value in arguments.items()]
        command = [sys.executable, "-m", "parrot.cli", "launch", "real_finetune.launch.py", *words]
        done = subprocess.run(command, capture_output=True, text=True, env=environment(), cwd=folder)
        if done.returncode:
            raise RunError(f"the run of the benchmark failed: {done.stderr.strip() or done.stdout[-500:]}")
        rows = read_rows(folder / "run" / "episodes.csv")
        if not rows or not rows[-1].updates:
            raise RunError(f"the run of the benchmark learnt nothing in {minutes:g} minutes; give it more --minutes")
        held_up = (done.stdout + done.stderr).count(HELD_UP)
        return rate_of(events_in(folder / "timing.csv"), WARM, rows[-1].updates, held_up)


def events_in(path: Path) -> list[Event]:
    """The events in a file that arm_node wrote."""
    with open(path) as file:
        return [(float(row["seconds"]), row["event"], float(row["milliseconds"])) for row in csv.DictReader(file)]


def rate_of(events: list[Event], warm: float, updates: int, held_up: int) -> Rate:
    """What the events say, from so many seconds after the first command on.

    Raises:
        RunError: there is no command after that.
    """
    begin = next((seconds for seconds, event, _ in events if event == COMMAND), float("inf")) + warm
    events = [event for event in events if event[0] >= begin]
    counts = Counter(event for _, event, _ in events)
    took = [ms for _, event, ms in events if event == COMMAND]
    if not took:
        raise RunError(f"the arm got no command in the time that counts, {warm:g} s after the first; give it longer")
    half, most, longest = np.percentile(took, (50, 99, 100))
    return Rate(
        minutes=round((events[-1][0] - begin) / 60, 3), commands=len(took), p50_ms=round(float(half), 2),
        p99_ms=round(float(most), 2), max_ms=round(float(longest), 2), periods=counts[PERIOD],
        late_ms=max((ms for _, event, ms in events if event == PERIOD), default=0.0), missed=counts[MISSED],
        without_action=counts[NO_ACTION], without_picture=counts[NO_PICTURE], updates=updates, held_up=held_up,
    )  # fmt: skip


def line(rate: Rate) -> str:
    """In a sentence."""
    return (
        f"image to command: p50 {rate.p50_ms:.1f} ms, p99 {rate.p99_ms:.1f} ms (goal: below 30), at most "
        f"{rate.max_ms:.1f} ms, over {rate.commands:,} commands; of {rate.periods:,} periods in {rate.minutes:.1f} "
        f"minutes {rate.missed} missed, {rate.without_action} without an action, {rate.without_picture} without a new "
        f"picture; {rate.updates:,} updates"
    )


def row(rate: Rate, seed: int) -> dict[str, object]:
    """For arm_rate.csv and arm_rate.json."""
    return {**asdict(rate), "seed": seed}

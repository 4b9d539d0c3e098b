"""Trials of a deployed policy: each on disk as it ends, counted through all starts; how often and how fast.

The folder is laid out like a run's (`config.json`, `episodes.csv`, `summary.json`), so that a simulator which goes on
with it finds how many scenes it has shown.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
from dataclasses import asdict, astuple, dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import Any

from parrot.durable import disk_errors, write_json
from parrot.errors import RunError
from parrot.provenance import provenance
from parrot.results import wilson

__all__ = ["Trial", "TrialAbout", "TrialFolder"]


@dataclass(frozen=True)
class TrialAbout:
    """What all trials in a folder share."""

    task: str
    """The task."""
    robot: str
    """The robot."""
    policy: str
    """SHA-256 of the policy, as its file has it."""


@dataclass(frozen=True)
class Trial:
    """One line of `episodes.csv`."""

    trial: int
    """Counts from 1, through all starts."""
    success: int
    """1 if the objective was met at its end."""
    steps: int
    """Control steps."""
    seconds: float
    """From its first image to the end of its last step; simulated time in simulation."""
    cycle: float
    """From the end of the trial before, or else from its own first image, to its end: what is between trials counts."""
    finished: str
    """When: ISO 8601, UTC."""


class TrialFolder:
    """Opens or creates the folder; its trials so far are counted.

    Args:
        path: the folder.
        about: what the trials are of; if there are some already it must agree.
        trials: how many there are to be in all.

    Raises:
        RunError: the folder is in use, holds other trials or something else, or the disk is full.
    """

    def __init__(self, path: Path, about: TrialAbout, trials: int) -> None:
        self.path, self.about, self.wanted = Path(path), about, trials
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._agree()
            self.trials = self._read()
        except BlockingIOError:
            os.close(self._lock)
            raise RunError(f"{self.path} is in use by trials that still go on; stop them, or choose another") from None
        except BaseException:
            os.close(self._lock)
            raise

    trials: list[Trial]
    """The trials so far."""

    @property
    def done(self) -> bool:
        """Whether all trials are there."""
        return len(self.trials) >= self.wanted

    def add(self, success: bool, steps: int, seconds: float, cycle: float) -> Trial:
        """Records a trial; when this returns, neither a kill nor a power cut loses it.

        Raises:
            RunError: the disk is full; the trials before are safe.
        """
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        trial = Trial(len(self.trials) + 1, int(success), steps, round(seconds, 3), round(cycle, 3), now)
        with disk_errors(self._csv), open(self._csv, "ab", buffering=0) as file:
            file.write(_line(astuple(trial)))
            os.fsync(file.fileno())
        self.trials.append(trial)
        return trial

    def report(self) -> dict[str, Any]:
        """The figures so far."""
        n, k = len(self.trials), sum(t.success for t in self.trials)
        low, high = wilson(k, n) if n else (0.0, 1.0)
        won = [t.seconds for t in self.trials if t.success]
        return {
            **asdict(self.about), "trials": n, "wanted": self.wanted, "successes": k, "success": k / n if n else None,
            "success_low": round(low, 4), "success_high": round(high, 4),
            "seconds_of_successes": median(won) if won else None,
            "cycle_seconds": median(t.cycle for t in self.trials) if n else None,
        }  # fmt: skip

    def sentence(self) -> str:
        """The figures so far, for people."""
        r = self.report()
        if not r["trials"]:
            return f"{self.about.task} on {self.about.robot}: no trial yet"
        text = (
            f"{self.about.task} on {self.about.robot}: success in {r['successes']} of {r['trials']} trials, "
            f"{r['success']:.0%} (95% interval {r['success_low']:.0%} to {r['success_high']:.0%})"
        )
        if r["seconds_of_successes"] is not None:
            text += f"; a success takes {r['seconds_of_successes']:.1f} s"
        return f"{text}; cycle {r['cycle_seconds']:.1f} s (medians)"

    def close(self) -> None:
        """Writes `summary.json` and frees the folder for another process.

        Raises:
            RunError: the disk is full; the trials are safe.
        """
        if self._lock < 0:
            return
        try:
            write_json(self.path / "summary.json", {**self.report(), "provenance": provenance("torch", "pybullet")})
        finally:
            os.close(self._lock)
            self._lock = -1

    @property
    def _csv(self) -> Path:
        return self.path / "episodes.csv"

    def _agree(self) -> None:
        path = self.path / "config.json"
        if not path.exists():
            if any(p.name != ".lock" for p in self.path.iterdir()):
                raise RunError(f"{self.path} holds something else than trials; choose a new or empty folder")
            write_json(path, asdict(self.about))
            return
        try:
            there = TrialAbout(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise RunError(f"{path} is not that of trials; choose another folder") from error
        for field in fields(TrialAbout):
            mine, theirs = getattr(self.about, field.name), getattr(there, field.name)
            if mine != theirs:
                raise RunError(
                    f"{self.path} holds trials of another {field.name}, {theirs[:12]}, not {mine[:12]}; "
                    "choose another folder"
                )

    def _read(self) -> list[Trial]:
        names = [f.name for f in fields(Trial)]
        with disk_errors(self._csv), open(self._csv, "a+b", buffering=0) as file:
            file.seek(0)
            text = file.readall() or b""
            whole = text[: text.rfind(b"\n") + 1]
            file.truncate(len(whole))  # a line that a full disk cut short
            if not whole:
                file.write(_line(names))
                os.fsync(file.fileno())
        lines = list(csv.DictReader(io.StringIO(whole.decode())))
        try:
            kinds = [int, int, int, float, float, str]
            return [Trial(*(k(line[n]) for k, n in zip(kinds, names, strict=True))) for line in lines]
        except (KeyError, ValueError, TypeError) as error:
            raise RunError(f"{self._csv} is damaged ({error}); choose another folder") from error


def _line(values: Any) -> bytes:
    return (",".join(str(v) for v in values) + "\n").encode()

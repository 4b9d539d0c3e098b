"""What came of the bags: which topics they hold, what was kept, what was dropped and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from rich.table import Column, Table

from parrot.data.rosbag.survey import Track

__all__ = ["BagReport", "TopicReport", "report_tables", "topic_report"]


@dataclass(frozen=True)
class TopicReport:
    """A topic of a bag."""

    name: str
    type: str
    use: str
    """What it is used as; empty: not at all."""
    messages: int
    hz: float
    """Messages per second from first to last, by the time of reception."""
    longest_gap: float
    """Seconds."""


@dataclass
class BagReport:
    """What came of one bag."""

    bag: str
    seconds: float = 0.0
    """From its first to its last message."""
    topics: list[TopicReport] = field(default_factory=list)
    kept: int = 0
    """Episodes."""
    succeeded: int = 0
    """Of these, successful ones."""
    steps: int = 0
    """Steps of the kept episodes."""
    clipped: int = 0
    """Of these, steps whose action is beyond [-1, 1] and was clipped."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Episodes by the reason why they were not kept."""
    notes: list[str] = field(default_factory=list)
    """What else should be known: damage, unusable messages, rates that do not fit."""

    @property
    def found(self) -> int:
        """Episodes, kept or not."""
        return self.kept + sum(self.dropped.values())

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {**vars(self), "topics": [asdict(topic) for topic in self.topics], "dropped": dict(self.dropped)}

    @classmethod
    def from_json(cls, value: MappingType[str, Any]) -> BagReport:
        """The inverse of `to_json`."""
        topics = [TopicReport(**topic) for topic in value["topics"]]
        return cls(**{**value, "topics": topics, "dropped": Counter(value["dropped"])})


def topic_report(name: str, track: Track, use: str) -> TopicReport:
    """Counts of a topic."""
    times = np.sort(track.receive)
    seconds = float(times[-1] - times[0]) / 1e9 if len(times) else 0.0
    gap = float(np.diff(times).max(initial=0)) / 1e9
    return TopicReport(name, track.type, use, len(times), round((len(times) - 1) / seconds, 3) if seconds else 0.0, gap)


def report_tables(reports: Sequence[BagReport]) -> list[Table]:
    """Tables for the terminal: topics of each bag, then episodes of all."""
    tables = []
    for report in reports:
        table = Table(
            "topic", Column("type", overflow="fold"), "used as", "messages", "per second", "longest gap",
            title=f"{report.bag}: {report.seconds:,.1f} s", title_justify="left",
        )  # fmt: skip
        for t in report.topics:
            table.add_row(
                t.name, t.type.replace("/msg/", "/"), t.use or "-", f"{t.messages:,}", f"{t.hz:.1f}",
                f"{t.longest_gap:.2f} s",
            )  # fmt: skip
        tables.append(table)
    table = Table("episodes", "", "", title="Episodes", title_justify="left", show_header=False)
    kept, steps = sum(r.kept for r in reports), sum(r.steps for r in reports)
    found = sum(r.found for r in reports)
    table.add_row("found", f"{found:,}", "")
    table.add_row("kept", f"{kept:,}", f"{steps:,} steps; {sum(r.succeeded for r in reports):,} successful")
    for why, count in sum((r.dropped for r in reports), Counter()).most_common():
        table.add_row("dropped", f"{count:,}", why)
    clipped = sum(r.clipped for r in reports)
    if steps:
        table.add_row("clipped", f"{clipped / steps:.1%}", "of the steps: their action was beyond the robot's scale")
    tables.append(table)
    return tables

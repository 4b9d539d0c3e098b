"""What a report says beside counts: damage, messages that could not be used, clocks and rates that do not fit."""

from __future__ import annotations

from collections import Counter

import numpy as np

from parrot.data.rosbag.actions import ActionSource
from parrot.data.rosbag.mapping import Mapping
from parrot.data.rosbag.reader import Bag
from parrot.data.rosbag.report import BagReport
from parrot.data.rosbag.survey import Survey

__all__ = ["odd"]

OFF = 0.2
"""Share by which a rate may differ from the control rate."""


def odd(
    bag: Bag, survey: Survey, mapping: Mapping, hz: float, report: BagReport, source: ActionSource | None,
    broken: Counter[str],
) -> list[str]:  # fmt: skip
    """One line for each thing that a user should know.

    Args:
        bag: The bag, read.
        survey: What it holds.
        mapping: What its topics mean.
        hz: Steps in a second.
        report: What is counted so far.
        source: What derived the actions.
        broken: Messages that were needed and could not be read, by what is wrong.
    """
    lines = [*bag.notes, *map(str, bag.damage)]
    lines += [f"{topic}: {count} messages cannot be read" for topic, count in survey.broken.items()]
    lines += [f"{count} times {what}" for what, count in broken.most_common(5)]
    if survey.asked:
        lines.append(
            f"actions are those of {mapping.topics.action}, what the arm was told after its limits; {survey.asked}, "
            "what was asked of it, is not used"
        )
    if source:
        lines += [f"{count} messages of no use for actions: {what}" for what, count in source.dropped.items()]
    if mapping.pairing == "resample":
        rates = {topic.use: topic.hz for topic in report.topics if topic.use in ("image", "action") and topic.messages}
        if rates.get("image", hz) < (1 - OFF) * hz:
            lines.append(f"images come {rates['image']:.1f} times a second, steps {hz:g} times: lower control_hz")
        if abs(rates.get("action", hz) - hz) > OFF * hz:
            lines.append(
                f"actions were recorded {rates['action']:.1f} times a second, steps are {hz:g} times: an action moves "
                "the arm in one step, so set control_hz to their rate, or derive actions"
            )
        if mapping.time == "header" and len(survey.image):
            late = float(np.median(survey.image.receive - survey.image.stamp)) / 1e9
            if abs(late) > mapping.jump:
                lines.append(
                    f"images are stamped {late:.1f} s before they were received: if topics do not share that clock, "
                    "say time: receive"
                )
    if not report.found:
        lines.append("no episode was found; do episodes: by and the topics fit the bag?")
    return lines

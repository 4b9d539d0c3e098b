"""Where episodes begin and end: by outcomes, by markers, at gaps between images, or by length. Works on times alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parrot.data.rosbag.candidate import DISCARDED, NO_IMAGE, UNFINISHED
from parrot.data.rosbag.clock import epochs_of
from parrot.data.rosbag.mapping import Mapping
from parrot.data.rosbag.replay import replay
from parrot.data.rosbag.survey import Survey
from parrot.data.rosbag.verdicts import Told

__all__ = ["Segment", "discards", "segments", "why_not"]


@dataclass
class Segment:
    """A stretch of images that is to become an episode."""

    images: NDArray[np.int64]
    """Places in the image track, by time."""
    begin: int
    """When it begins, as the mapping tells time, ns."""
    end: int
    """When it ends, ns."""
    epoch: int
    """Number of the stretch between two jumps of a clock that it lies in."""
    whole: bool = False
    """Whether it stands for one demonstration, which may not be cut in two."""
    success: bool | None = None
    """What a marker or, without one, the last outcome says."""
    why: str | None = None
    """Why it is no episode."""


def segments(survey: Survey, mapping: Mapping, cuts: dict[int, str]) -> list[Segment]:
    """All segments of a bag, in the order of time within each epoch.

    Args:
        survey: The bag.
        mapping: How it is cut.
        cuts: Places that no episode may span, as of `clock_cuts`.
    """
    by = {"outcome": _by_told, "markers": _by_told, "gaps": _by_gap, "length": _by_length}[mapping.episodes.by or ""]
    time, epochs = survey.image.time(mapping), epochs_of(survey.image.order, cuts)
    reasons, found = list(cuts.values()), []
    for epoch in range(len(cuts) + 1):
        mine = np.flatnonzero(epochs == epoch)
        mine = mine[np.argsort(time[mine], kind="stable")]
        here = list(by(survey, mapping, mine, epoch, cuts)) if len(mine) else []
        if mapping.episodes.by in ("gaps", "length") and here:
            # What ends or begins at a cut was one episode with what is on its other side, unless there is a pause.
            if epoch < len(reasons) and not _pause(survey, mapping, epochs == epoch, epochs == epoch + 1):
                here[-1].why = reasons[epoch]
            if epoch > 0 and not _pause(survey, mapping, epochs == epoch - 1, epochs == epoch):
                here[0].why = reasons[epoch - 1]
        found += here
    return found


def discards(survey: Survey, cuts: dict[int, str], begins: list[tuple[int, int]]) -> list[int]:
    """Which episodes by gaps or length discard markers drop: that under way, or the last one before the next begins.

    Args:
        survey: The bag.
        cuts: Places that no episode spans, as of `clock_cuts`.
        begins: In which epoch, and when, the first image of each episode was received, ns.
    """
    marker = survey.marker
    times = zip(epochs_of(marker.order, cuts).tolist(), marker.receive.tolist(), marker.values or (), strict=True)
    found = set()
    for epoch, time, text in times:
        before = [i for i, begin in enumerate(begins) if text == "discard" and begin < (epoch, time)]
        found |= {max(before, key=lambda i: begins[i])} if before else set()
    return sorted(found)


def _pause(survey: Survey, mapping: Mapping, before: NDArray, after: NDArray) -> bool:
    """Whether the images of two epochs are a gap apart, by the clock of reception and by that of the stamps."""
    image, gap = survey.image, mapping.episodes.gap * 1e9
    if not before.any() or not after.any():
        return True
    last, first = np.flatnonzero(before)[-1], np.flatnonzero(after)[0]
    return bool(image.receive[first] - image.receive[last] > gap and abs(image.stamp[first] - image.stamp[last]) > gap)


def _segment(survey: Survey, mapping: Mapping, images: NDArray[np.int64], epoch: int, **more: object) -> Segment:
    time = survey.image.time(mapping)[images]
    begin, end = (int(time[0]), int(time[-1])) if len(time) else (0, 0)
    return Segment(images, begin, end, epoch, **more)  # type: ignore[arg-type]


def _by_told(
    survey: Survey, mapping: Mapping, images: NDArray[np.int64], epoch: int, cuts: dict[int, str]
) -> Iterator[Segment]:
    """By outcomes and markers; images received after an episode's end belong to the next one."""
    received = survey.image.receive[images]
    for told in replay(survey, mapping, cuts, epoch)[0].told:
        after = received >= told.begin if told.started else received > told.begin
        inside = images[after if told.end is None else after & (received <= told.end)]
        if len(inside) or told.end is not None:
            why = why_not(told) or (_cut_off(cuts, epoch) if told.end is None else None if len(inside) else NO_IMAGE)
            success = None if told.verdict is None else told.verdict == "success"
            yield _segment(survey, mapping, inside, epoch, whole=True, success=success, why=why)


def why_not(told: Told) -> str | None:
    """Why what was told is no episode, whatever images there are."""
    return DISCARDED if told.verdict == "discard" else told.flaw


def _by_gap(
    survey: Survey, mapping: Mapping, images: NDArray[np.int64], epoch: int, cuts: dict[int, str]
) -> Iterator[Segment]:
    gaps = np.flatnonzero(np.diff(survey.image.time(mapping)[images]) > mapping.episodes.gap * 1e9)
    for run in np.split(images, gaps + 1):
        yield _segment(survey, mapping, run, epoch)


def _by_length(
    survey: Survey, mapping: Mapping, images: NDArray[np.int64], epoch: int, cuts: dict[int, str]
) -> Iterator[Segment]:
    length = round(mapping.episodes.length * 1e9)
    for run in _by_gap(survey, mapping, images, epoch, cuts):
        time = survey.image.time(mapping)[run.images]
        for begin in range(run.begin, run.end + 1, length):
            # The image that is seen at the beginning may be older.
            first = int(np.searchsorted(time, begin, side="right")) - 1
            last = int(np.searchsorted(time, begin + length, side="left"))
            yield Segment(run.images[first:last], begin, min(begin + length, run.end), epoch)


def _cut_off(cuts: dict[int, str], epoch: int) -> str:
    """Why an episode has no end."""
    reasons = list(cuts.values())
    return reasons[epoch] if epoch < len(reasons) else UNFINISHED

"""Where episodes begin and end: by outcomes, by markers, at gaps between images, or by length. Works on times alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parrot.data.rosbag.clock import epochs_of
from parrot.data.rosbag.mapping import Mapping
from parrot.data.rosbag.survey import MARKERS, Survey

__all__ = ["DISCARDED", "UNBEGUN", "UNFINISHED", "Segment", "discards", "segments"]

UNFINISHED = "it has no end in the bag"
UNBEGUN = "its beginning is not in the bag"
DISCARDED = "it was discarded by a marker"


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
    """What a marker or the last outcome says."""
    why: str | None = None
    """Why it is no episode."""


def segments(survey: Survey, mapping: Mapping, cuts: dict[int, str]) -> list[Segment]:
    """All segments of a bag, in the order of time within each epoch.

    Args:
        survey: The bag.
        mapping: How it is cut.
        cuts: Places that no episode may span, as of `clock_cuts`.
    """
    by = {"outcome": _by_outcome, "markers": _by_marker, "gaps": _by_gap, "length": _by_length}[mapping.episodes.by]
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
    """Which episodes discard markers drop: that under way, or the last one before the next one's first image.

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


def _by_outcome(
    survey: Survey, mapping: Mapping, images: NDArray[np.int64], epoch: int, cuts: dict[int, str]
) -> Iterator[Segment]:
    """Images received after an episode's last outcome belong to the next episode."""
    mine = np.flatnonzero(epochs_of(survey.outcome.order, cuts) == epoch)
    mine = mine[np.argsort(survey.outcome.receive[mine], kind="stable")]
    values, times = survey.outcome.values[mine], survey.outcome.receive[mine]
    received = survey.image.receive[images]
    ended = np.flatnonzero((values[:, 2] > 0) | (values[:, 3] > 0))
    first, since = 0, int(np.iinfo(np.int64).min)
    for last in ended:
        inside = images[(received > since) & (received <= times[last])]
        steps = values[first : last + 1, 4]
        if len(inside):
            why = None
            if steps[0] != 0:
                why = UNBEGUN
            elif not np.array_equal(steps, np.arange(len(steps))):
                why = "an outcome is missing in it"
            yield _segment(survey, mapping, inside, epoch, whole=True, success=bool(values[last, 1]), why=why)
        first, since = int(last) + 1, int(times[last])
    left = images[received > since]
    if first < len(mine) and len(left):
        yield _segment(survey, mapping, left, epoch, whole=True, why=_cut_off(cuts, epoch))


def _by_marker(
    survey: Survey, mapping: Mapping, images: NDArray[np.int64], epoch: int, cuts: dict[int, str]
) -> Iterator[Segment]:
    mine = np.flatnonzero(epochs_of(survey.marker.order, cuts) == epoch)
    mine = mine[np.argsort(survey.marker.receive[mine], kind="stable")]
    received = survey.image.receive[images]
    found: list[Segment] = []
    since: int | None = None

    def end(begin: int, time: int, **more: object) -> None:
        inside = images[(received >= begin) & (received <= time)]
        if len(inside):
            found.append(_segment(survey, mapping, inside, epoch, whole=True, **more))

    for i in mine:
        text, time = survey.marker.values[i], int(survey.marker.receive[i])
        if text not in MARKERS:
            continue
        if text == "discard":
            if since is not None:
                end(since, time, why=DISCARDED)
            elif found:
                found[-1].why = DISCARDED
        elif since is not None:
            end(since, time, success=None if text == "start" else text == "success")
        since = time if text == "start" else None
    if since is not None:
        end(since, int(np.iinfo(np.int64).max), why=_cut_off(cuts, epoch))
    yield from found


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

"""Clocks that jump: where in a bag they do, so that no episode is put together from both sides.

The clock of reception jumps where it goes back. The clock behind stamps jumps where the time from stamp to reception
changes for good, and not for a few late messages; where two topics' clocks differ, theirs differ from each other, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from parrot.data.rosbag.mapping import Mapping
from parrot.data.rosbag.survey import DAMAGED, Survey, Track

__all__ = ["JUMPED", "TORN", "Latency", "clock_cuts", "epochs_of"]

WINDOW = 9
"""Messages of a topic whose median latency is compared; fewer than half of it may be late."""

JUMPED = "a clock jumped"
TORN = "a file ends in it, damaged"


def clock_cuts(survey: Survey, mapping: Mapping, others: Sequence[Track] = ()) -> dict[int, str]:
    """Places (`Track.order` of the last message before) that no episode may span, and why.

    Args:
        survey: The bag.
        mapping: How it tells time.
        others: Tracks beside those of the survey that are used.
    """
    found = [(tear, tear + 1, TORN) for tear in survey.tears]
    tracks = [t for t in (survey.image, survey.action, survey.outcome, survey.marker, *others) if len(t)]
    threshold = round(mapping.jump * 1e9)
    for track in tracks:  # each by itself: a bag may hold one topic after the other
        found += _between(track, np.diff(track.receive) < -threshold)
    if mapping.pairing == "exact":
        stamps = survey.image.exact
        found += _between(survey.image, (np.diff(stamps) < 0) & (stamps[1:] != DAMAGED))
    elif mapping.time == "header":
        for track in (t for t in tracks if t.stamped):
            latency = median_filter(track.receive - track.stamp, WINDOW, mode="nearest")
            found += _between(track, np.abs(np.diff(latency)) > threshold)
    cuts: dict[int, str] = {}
    last = -1
    # A jump lies between two messages of each topic. One cut does for all topics that may have seen the same jump.
    for before, after, why in sorted(found, key=lambda item: item[1]):
        if before > last:
            last = after - 1
            cuts[last] = why
    return cuts


def _between(track: Track, jumps: NDArray[np.bool_]) -> list[tuple[int, int, str]]:
    """Places of the messages on both sides of each jump."""
    return [(int(track.order[i]), int(track.order[i + 1]), JUMPED) for i in np.flatnonzero(jumps)]


def epochs_of(order: NDArray[np.int64], cuts: dict[int, str]) -> NDArray[np.int64]:
    """The number of cuts before each message, (n,)."""
    return np.searchsorted(np.fromiter(cuts, np.int64, len(cuts)), order, side="left")


class Latency:
    """From stamp to reception, of a topic over time, within an epoch."""

    def __init__(self, track: Track, here: NDArray[np.bool_]) -> None:
        receive, latency = track.receive[here], (track.receive - track.stamp)[here]
        by_time = np.argsort(receive, kind="stable")
        self._receive, self._latency = receive[by_time], latency[by_time]

    def between(self, begin: int, end: int) -> float | None:
        """The median of what was received between two times, ns; None if nothing was."""
        first, last = np.searchsorted(self._receive, (begin, end + 1))
        return float(np.median(self._latency[first:last])) if first < last else None

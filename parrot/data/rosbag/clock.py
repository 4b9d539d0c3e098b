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

__all__ = ["JUMPED", "TORN", "clock_cuts", "epochs_of", "skew"]

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
    cuts = {tear: TORN for tear in survey.tears}
    tracks = [t for t in (survey.image, survey.action, survey.outcome, survey.marker, *others) if len(t)]
    threshold = round(mapping.jump * 1e9)
    order = np.concatenate([t.order for t in tracks])
    by_order = np.argsort(order)
    receive = np.concatenate([t.receive for t in tracks])[by_order]
    for i in np.flatnonzero(np.diff(receive) < -threshold):
        cuts.setdefault(int(order[by_order[i]]), JUMPED)
    if mapping.pairing == "exact":
        stamps = survey.image.exact
        for i in np.flatnonzero(np.diff(stamps) < 0):
            if stamps[i + 1] != DAMAGED and stamps[i] != DAMAGED:
                cuts.setdefault(int(survey.image.order[i + 1]) - 1, JUMPED)
    elif mapping.time == "header":
        for track in (t for t in tracks if t.stamped):
            latency = median_filter(track.receive - track.stamp, WINDOW, mode="nearest")
            for i in np.flatnonzero(np.abs(np.diff(latency)) > threshold):
                cuts.setdefault(int(track.order[i]), JUMPED)
    return dict(sorted(cuts.items()))


def epochs_of(order: NDArray[np.int64], cuts: dict[int, str]) -> NDArray[np.int64]:
    """The number of cuts before each message, (n,)."""
    return np.searchsorted(np.fromiter(cuts, np.int64, len(cuts)), order, side="left")


def skew(image: Track, other: Track, begin: int, end: int) -> int:
    """By how much the clocks of two topics differ between two places in the bag, ns; 0 if one is silent there."""
    latencies = []
    for track in (image, other):
        first, last = np.searchsorted(track.order, (begin, end + 1))
        if first == last:
            return 0
        latencies.append(np.median(track.receive[first:last] - track.stamp[first:last]))
    return round(abs(latencies[0] - latencies[1]))

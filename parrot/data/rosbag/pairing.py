"""From segments to steps: which image and which action make a step. Works on times alone, before a picture is decoded.

`exact` is for loops like parrot's, in which the answer to an image carries that image's stamp: nothing is guessed.
`resample` is for everything else: at each control time the latest image, and the action that followed it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from parrot.data.rosbag.candidate import DISCARDED, GAP, SKEWED, Candidate
from parrot.data.rosbag.clock import Latency, clock_cuts, epochs_of
from parrot.data.rosbag.episodes import Segment, discards, segments
from parrot.data.rosbag.loop import loop_candidates
from parrot.data.rosbag.mapping import Mapping
from parrot.data.rosbag.survey import DAMAGED, Survey, Track
from parrot.spaces import ACTION_DIM

__all__ = ["candidates"]


def candidates(survey: Survey, mapping: Mapping, hz: float, others: Sequence[Track] = ()) -> list[Candidate]:
    """All that may become an episode, in order.

    Args:
        survey: The bag.
        mapping: What its topics mean.
        hz: Steps in a second.
        others: Tracks of the topics that actions are derived from.
    """
    cuts = clock_cuts(survey, mapping, others)
    if mapping.pairing == "exact" and mapping.episodes.by == "outcome":
        found = list(loop_candidates(survey, mapping, cuts))
    else:
        parts = segments(survey, mapping, cuts)
        ended = epochs_of(survey.outcome.order, cuts)
        for part in parts:
            part.success = _verdict(survey, mapping, part, ended)
        epochs = epochs_of(survey.action.order, cuts)
        actions = [_Actions(survey.action, mapping, epochs == epoch) for epoch in range(len(cuts) + 1)]
        if mapping.pairing == "exact":
            found = [_exact(survey, mapping, part, actions[part.epoch]) for part in parts]
        else:
            found = [_resample(survey, mapping, part, hz, actions[part.epoch]) for part in parts]
            if mapping.time == "header":
                _drop_skewed(survey, mapping, cuts, found, others)
    if mapping.episodes.by in ("gaps", "length"):
        begins = [(c.epoch, int(survey.image.receive[c.images[0]])) if len(c) else (c.epoch, -1) for c in found]
        for i in discards(survey, cuts, begins):
            found[i].why = DISCARDED
    return found


class _Actions:
    """The recorded actions of an epoch, in order of time."""

    def __init__(self, track: Track, mapping: Mapping, here: NDArray[np.bool_]) -> None:
        mine = np.flatnonzero(here)
        time = track.exact if mapping.pairing == "exact" else track.time(mapping)
        mine = mine[np.argsort(time[mine], kind="stable")]
        self.when = time[mine]
        self.values: NDArray[np.float64] = track.values[mine] if len(mine) else np.zeros((0, ACTION_DIM))

    def since(self, times: NDArray[np.int64], within: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The first action at or after each time, (T, 7), and whether it came within so many ns and whole, (T,)."""
        if not len(self.when):
            return np.zeros((len(times), ACTION_DIM)), np.zeros(len(times), bool)
        place = np.searchsorted(self.when, times, side="left")
        there = place < len(self.when)
        place = np.minimum(place, len(self.when) - 1)
        values = self.values[place]
        whole = np.asarray(np.isfinite(values).all(axis=1))
        return np.where(whole[:, None], values, 0.0), there & whole & (self.when[place] - times <= within)


def _exact(survey: Survey, mapping: Mapping, part: Segment, actions: _Actions) -> Candidate:
    """A segment whose actions carry the stamps of its images; the last image may have none."""
    if not len(part.images):
        return _empty(part)
    stamps = survey.image.exact[part.images]
    first = np.append(True, np.diff(stamps) > 0)  # an image that was sent again is one
    images, stamps = part.images[first], stamps[first]
    values, there = actions.since(stamps, 0)
    if len(stamps) > 1 and not there[-1]:
        images, stamps, values, there = images[:-1], stamps[:-1], values[:-1], there[:-1]
    why = part.why
    if why is None and np.diff(stamps).max(initial=0) > mapping.episodes.gap * 1e9:
        why = GAP
    return Candidate(
        images, np.append(stamps, stamps[-1] + 1), stamps, part.epoch, actions=values,
        action_there=there & (stamps != DAMAGED), success=part.success, whole=part.whole, why=why,
    )  # fmt: skip


def _resample(survey: Survey, mapping: Mapping, part: Segment, hz: float, actions: _Actions) -> Candidate:
    """Steps of equal length from the first image on."""
    if not len(part.images):
        return _empty(part)
    tolerance = round(mapping.tolerance * 1e9)
    times = survey.image.time(mapping)[part.images]
    why = part.why
    if part.whole and why is None and np.diff(times).max(initial=0) > mapping.episodes.gap * 1e9:
        why = GAP
    # Where it is no episode, it may be of any length: a damaged stamp can be anywhere.
    count = int((part.end - part.begin) * hz / 1e9 + 1e-6) if why is None else 1
    borders = part.begin + np.round(np.arange(count + 1) * (1e9 / hz)).astype(np.int64)
    index = np.searchsorted(times, borders[:-1], side="right") - 1
    stamps = times[index]
    found = Candidate(
        part.images[index], borders, stamps, part.epoch, image_there=borders[:-1] - stamps <= tolerance,
        success=part.success, whole=part.whole, why=why,
    )  # fmt: skip
    if mapping.recorded:
        # After the image, not after the step's beginning: where a loop answers images, that is the answer to this one.
        # An image that serves again has had its answer.
        again = np.append(False, np.diff(index) == 0)
        found.actions, found.action_there = actions.since(np.where(again, borders[:-1], stamps), tolerance)
    return found


def _empty(part: Segment) -> Candidate:
    """A segment without images, to be counted."""
    nothing = np.zeros(0, np.int64)
    return Candidate(nothing, np.array([part.begin]), nothing, part.epoch, success=part.success, why=part.why)


def _verdict(survey: Survey, mapping: Mapping, part: Segment, epochs: NDArray[np.int64]) -> bool | None:
    """Whether the segment succeeded, as the mapping tells it; None: nobody said."""
    if mapping.success in ("all", "none"):
        return mapping.success == "all"
    if mapping.success == "outcome" and mapping.episodes.by != "outcome" and len(part.images):
        received = survey.image.receive[part.images]
        inside = (survey.outcome.receive >= received.min()) & (survey.outcome.receive <= received.max())
        inside &= epochs == part.epoch
        return bool(survey.outcome.values[inside][-1, 1] > 0) if inside.any() else None
    return part.success


def _drop_skewed(
    survey: Survey, mapping: Mapping, cuts: dict[int, str], found: Sequence[Candidate], others: Sequence[Track]
) -> None:
    """Drops candidates in which the clocks of their topics cannot be compared."""
    used = [survey.image, *others, *([survey.action] if mapping.recorded else [])]
    epochs = [epochs_of(track.order, cuts) for track in used]
    alive = [c for c in found if c.why is None and len(c)]
    for epoch in sorted({c.epoch for c in alive}):
        image, *tracks = (Latency(track, e == epoch) for track, e in zip(used, epochs, strict=True))
        for candidate in (c for c in alive if c.epoch == epoch):
            received = survey.image.receive[candidate.images]
            span = int(received.min()), int(received.max())
            mine, theirs = image.between(*span), [track.between(*span) for track in tracks]
            if mine is not None and any(abs(t - mine) > mapping.jump * 1e9 for t in theirs if t is not None):
                candidate.why = SKEWED

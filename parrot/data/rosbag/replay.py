"""Plays a bag's images, outcomes and markers to the tally that the recorder keeps, in the order of their reception."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parrot.data.rosbag.clock import epochs_of
from parrot.data.rosbag.mapping import Mapping
from parrot.data.rosbag.survey import DAMAGED, Survey, Track
from parrot.data.rosbag.verdicts import MARKERS, Tally
from parrot.spaces import Outcome

__all__ = ["replay"]


def replay(survey: Survey, mapping: Mapping, cuts: dict[int, str], epoch: int) -> tuple[Tally, NDArray[np.int64]]:
    """What the markers, and for episodes by outcome the outcomes, tell of the episodes of an epoch.

    Args:
        survey: The bag.
        mapping: How it is cut.
        cuts: Places that no episode spans, as of `clock_cuts`.
        epoch: Number of the stretch between two of them.

    Returns:
        The tally, whose times are those of reception, ns, and the place in the outcome track of each outcome that it
        was told, (n,).
    """
    outcomes = survey.outcome if mapping.episodes.by == "outcome" else Track()
    tracks = (survey.image, outcomes, survey.marker)
    mine = [_new(track, epochs_of(track.order, cuts) == epoch) for track in tracks[:2]]
    mine.append(np.flatnonzero(epochs_of(survey.marker.order, cuts) == epoch))
    kinds = np.repeat(np.arange(3), [len(places) for places in mine])
    places = np.concatenate(mine)
    receive = np.concatenate([track.receive[here] for track, here in zip(tracks, mine, strict=True)])
    order = np.concatenate([track.order[here] for track, here in zip(tracks, mine, strict=True)])
    tally, heard = Tally(), []
    for i in np.lexsort((order, receive)).tolist():
        place, when = int(places[i]), int(receive[i])
        if kinds[i] == 0:
            tally.image()
        elif kinds[i] == 2:
            if (word := survey.marker.values[place]) in MARKERS:
                tally.mark(word, when)
        elif np.isfinite(outcomes.values[place]).all():  # else it is damaged, and says nothing
            outcome = Outcome.from_vector(outcomes.values[place])
            tally.outcome(done=outcome.done, success=outcome.success, step=outcome.step, when=when)
            heard.append(place)
    return tally, np.array(heard, np.int64)


def _new(track: Track, here: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The places, by reception, of messages that are whole and not the last one said again."""
    places = np.flatnonzero(here & (track.exact != DAMAGED))
    places = places[np.lexsort((track.order[places], track.receive[places]))]
    stamps = track.exact[places]
    return places[np.append(True, (np.diff(stamps) != 0) | (stamps[1:] == 0))[: len(places)]]

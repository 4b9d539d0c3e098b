"""From what may become an episode to what does: steps without image or action are cut off, or end it."""

from __future__ import annotations

import math

import numpy as np

from parrot.data.rosbag.candidate import NO_ACTION, NO_IMAGE, NO_STEP, Candidate
from parrot.data.rosbag.mapping import Mapping

__all__ = ["Part", "cut"]

Part = tuple[slice, str | None]
"""Steps of a candidate, and why they are no episode."""


def cut(candidate: Candidate, mapping: Mapping, hz: float, keep_failures: bool = False) -> list[Part]:
    """The episodes in a candidate, and what is dropped of it.

    A whole demonstration may lack the steps at its ends for which images or actions do not yet, or no longer, come: as
    many as fit into the tolerance. If it lacks others it is dropped. Any other stretch is cut where a step is missing.
    """
    count, everything = len(candidate), slice(0, len(candidate))
    if candidate.why is not None:
        return [(everything, candidate.why)]
    if count == 0:
        return [(everything, NO_STEP)]
    here = np.ones(count, bool)
    image = here if candidate.image_there is None else candidate.image_there
    action = here if candidate.action_there is None else candidate.action_there
    good = np.flatnonzero(image & action)
    missing = NO_ACTION if image.all() or (image & ~action).any() else NO_IMAGE
    if not len(good):
        return [(everything, missing)]
    runs = [slice(int(run[0]), int(run[-1]) + 1) for run in np.split(good, np.flatnonzero(np.diff(good) > 1) + 1)]
    if candidate.whole:
        edge = math.ceil(mapping.tolerance * hz)
        if len(runs) > 1 or runs[0].start > edge or count - runs[0].stop > edge:
            return [(everything, missing)]
    return [(run, _unwanted(candidate, mapping, run.stop - run.start, keep_failures)) for run in runs]


def _unwanted(candidate: Candidate, mapping: Mapping, steps: int, keep_failures: bool) -> str | None:
    """Why these steps, though complete, are no episode to keep."""
    rule = mapping.episodes
    if steps < rule.min_steps:
        return f"it is shorter than {rule.min_steps} steps"
    if steps > rule.max_steps:
        return f"it is longer than {rule.max_steps} steps"
    if mapping.success != "none" and not candidate.success and not keep_failures:
        return "it did not succeed (--keep-failures keeps it)"
    return None

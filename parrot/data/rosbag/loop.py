"""Steps of a lockstep loop like parrot's: image, action and outcome of the very same stamp, cut as the tally tells."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from parrot.data.rosbag.candidate import GAP, NO_ACTION, NO_IMAGE, NO_STEP, UNFINISHED, Candidate
from parrot.data.rosbag.clock import epochs_of
from parrot.data.rosbag.episodes import why_not
from parrot.data.rosbag.mapping import Mapping
from parrot.data.rosbag.replay import replay
from parrot.data.rosbag.survey import DAMAGED, Survey, Track
from parrot.data.rosbag.verdicts import NO_OUTCOME, UNBEGUN, Told
from parrot.spaces import ACTION_DIM, OUTCOME_NAMES

__all__ = ["loop_candidates"]


def loop_candidates(survey: Survey, mapping: Mapping, cuts: dict[int, str]) -> Iterator[Candidate]:
    """Episodes of a lockstep loop, in order.

    Args:
        survey: The bag.
        mapping: What its topics mean.
        cuts: Places that no episode spans, as of `clock_cuts`.
    """
    reasons = list(cuts.values())
    for epoch in range(len(cuts) + 1):
        yield from _Loop(survey, mapping, cuts, epoch).episodes(reasons[epoch] if epoch < len(reasons) else UNFINISHED)


class _Loop:
    """The loop between two cuts."""

    def __init__(self, survey: Survey, mapping: Mapping, cuts: dict[int, str], epoch: int) -> None:
        self.survey, self.mapping, self.epoch = survey, mapping, epoch
        self.image, self.action, self.outcome = (
            _by_stamp(track, epochs_of(track.order, cuts) == epoch)
            for track in (survey.image, survey.action, survey.outcome)
        )
        tally, places = replay(survey, mapping, cuts, epoch)
        self.told = tally.told
        stamps = survey.outcome.exact[places].tolist()
        self.owner = {stamp: told for told in self.told for stamp in stamps[told.first : told.first + told.steps]}
        """Stamp of an outcome -> whose step it ends; others follow a verdict, or are of a reset before any step."""
        self.last = {id(told): max(stamps[told.first : told.first + told.steps], default=0) for told in self.told}

    def episodes(self, cut_off: str) -> Iterator[Candidate]:
        """All that begin here; of one without an end `cut_off` says why it has none."""
        for empty in self.told:
            if not empty.steps and empty.end is not None:
                yield self._none(why_not(empty) or NO_STEP)
        steps: list[int] = []
        mine: Told | None = None
        idle = False
        """Whether an episode was ended by hand, so that images come to which nothing answers."""
        for stamp in sorted(self.image.keys() | self.outcome.keys()):
            told: Told | None = self.owner.get(stamp)
            if told is None and stamp in self.outcome:
                ended = self.survey.outcome.values[self.outcome[stamp]][2:4]
                steps, idle = [] if mine is None else steps, idle and not (ended > 0).any()
                continue
            if told is None and idle:
                continue
            if told is not None:
                if mine is not None and mine is not told:
                    yield self._episode(steps, mine, NO_OUTCOME)
                    steps = []
                mine, idle = told, False
            steps.append(stamp)
            if mine is not None and mine.end is not None and stamp == self.last[id(mine)]:
                yield self._episode(steps, mine, None)
                steps, idle, mine = [], mine.marked or mine.verdict is None, None
        if any(stamp in self.action or stamp in self.outcome for stamp in steps):
            yield self._episode(steps, mine or Told(), cut_off)

    def _episode(self, steps: list[int], told: Told, why: str | None) -> Candidate:
        """The episode of these stamps, or why it is none."""
        values, actions = self._outcomes(steps), self._actions(steps)
        if why is None and _is_reset(told, values[-1], actions[-1]):
            steps, values, actions = steps[:-1], values[:-1], actions[:-1]
            if not steps:
                return self._none(why_not(told) or NO_STEP)
        stamps = np.array(steps, np.int64)
        why = why_not(told) or why
        if why == UNBEGUN and np.isnan(values[0, 4]):
            why = NO_OUTCOME  # its beginning is there, but for this
        if why is None:
            if not all(s in self.image for s in steps):
                why = NO_IMAGE
            elif not np.isfinite(actions).all():
                why = NO_ACTION
            elif not np.array_equal(values[:, 4] - told.offset, np.arange(len(steps))):
                why = NO_OUTCOME
            elif np.diff(stamps).max(initial=0) > self.mapping.episodes.gap * 1e9:
                why = GAP
        success = told.verdict == "success"
        rewards = values[:, 0].astype(np.float32)
        if told.marked:  # the objective is met where the human says so, and nowhere else
            rewards = np.where(success, rewards, 0).astype(np.float32)
            rewards[-1] = success
        if self.mapping.success in ("all", "none"):
            success = self.mapping.success == "all"
        images = np.array([self.image[s] for s in steps if s in self.image], np.int64)
        return Candidate(
            images, np.append(stamps, stamps[-1] + 1), stamps, self.epoch, actions=actions, rewards=rewards,
            success=success, why=why,
        )  # fmt: skip

    def _outcomes(self, steps: list[int]) -> NDArray[np.float64]:
        """(T, 5), not a number where there is none."""
        lost = np.full(len(OUTCOME_NAMES), np.nan)
        return np.array([self.survey.outcome.values[self.outcome[s]] if s in self.outcome else lost for s in steps])

    def _actions(self, steps: list[int]) -> NDArray[np.float64]:
        """(T, 7), not a number where there is none."""
        lost = np.full(ACTION_DIM, np.nan)
        return np.array([self.survey.action.values[self.action[s]] if s in self.action else lost for s in steps])

    def _none(self, why: str) -> Candidate:
        """An episode in which nothing was done, to be counted."""
        nothing = np.zeros(0, np.int64)
        return Candidate(nothing, np.zeros(1, np.int64), nothing, self.epoch, why=why)


def _is_reset(told: Told, outcome: NDArray[np.float64], action: NDArray[np.float64]) -> bool:
    """Whether an episode's last outcome is that of a reset, whose image nobody has acted on."""
    reward, success, _, truncated, _ = outcome.tolist()
    return bool(np.isnan(action).all() and truncated > 0 and (told.marked or not (reward > 0 or success > 0)))


def _by_stamp(track: Track, here: NDArray[np.bool_]) -> dict[int, int]:
    """Stamp -> place of the first message that has it."""
    places = np.flatnonzero(here & (track.exact != DAMAGED))[::-1]
    return dict(zip(track.exact[places].tolist(), places.tolist(), strict=True))

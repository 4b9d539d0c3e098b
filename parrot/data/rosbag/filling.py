"""Second reading of a bag: decodes the images that steps use, and those alone; derives actions; yields episodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parrot.data.rosbag.actions import ActionSource
from parrot.data.rosbag.candidate import DAMAGED_MESSAGE, Candidate
from parrot.data.rosbag.clock import epochs_of
from parrot.data.rosbag.images import to_rgb
from parrot.data.rosbag.mapping import Mapping
from parrot.data.rosbag.reader import Bag
from parrot.data.rosbag.storage import ALL
from parrot.data.rosbag.survey import Survey, Track
from parrot.errors import DatasetError, SpaceError
from parrot.observe import observe
from parrot.spaces import ACTION_DIM, IMAGE_SHAPE

__all__ = ["Filled", "fill"]

_ROUNDING = 1e-6
"""By which a component may pass 1 before it counts as clipped."""

EVERY = 200
"""Messages between two calls of a progress bar."""


@dataclass
class Filled:
    """A candidate with its images and actions."""

    candidate: Candidate
    images: NDArray[np.uint8]
    """(T, 48, 48, 3)."""
    actions: NDArray[np.float32]
    """(T, 7) in [-1, 1]."""
    clipped: NDArray[np.float64]
    """(T,) share of clipped steps: 0 or 1 for recorded actions, that of the candidate for derived ones."""


class _Filler:
    """What stands ready of the candidates that are under way."""

    def __init__(
        self, bag: Bag, survey: Survey, mapping: Mapping, found: Sequence[Candidate], source: ActionSource | None,
        cuts: dict[int, str],
    ) -> None:  # fmt: skip
        self.bag, self.survey, self.mapping, self.source = bag, survey, mapping, source
        self.topic = mapping.topics.image
        self.tracks: dict[str, Track] = {name: survey.tracks[name] for name in source.topics} if source else {}
        used = {**self.tracks, self.topic: survey.image}
        self.epochs = {topic: epochs_of(track.order, cuts) for topic, track in used.items()}
        self.frames: dict[int, NDArray[np.uint8] | None] = {}
        self.broken: Counter[str] = Counter()
        alive = [c for c in found if c.why is None and len(c)]
        self.wanted = {self.topic: np.zeros(len(survey.image), np.int32)}
        self.last = {id(c): 0 for c in found}
        """Place of the last message that each candidate needs."""
        for c in alive:
            places = np.unique(c.images)
            self.wanted[self.topic][places] += 1
            self.last[id(c)] = int(survey.image.order[places].max())
        for topic, track in self.tracks.items():
            self.wanted.setdefault(topic, np.zeros(len(track), np.int32))
            self._want(topic, track, alive)

    def _want(self, topic: str, track: Track, alive: Sequence[Candidate]) -> None:
        """Marks the messages of a source from the one before a candidate's beginning to the one after its end."""
        time = track.time(self.mapping)
        by_time = np.argsort(time, kind="stable")
        # What was beyond a jump may have the same stamps.
        epochs = self.epochs[topic][by_time]
        for epoch in sorted({c.epoch for c in alive}):
            mine = by_time[epochs == epoch]
            when = time[mine]
            for c in (c for c in alive if c.epoch == epoch):
                first = max(int(np.searchsorted(when, c.borders[0], side="right")) - 1, 0)
                places = mine[first : int(np.searchsorted(when, c.borders[-1], side="right")) + 1]
                self.wanted[topic][places] += 1
                self.last[id(c)] = max(self.last[id(c)], int(track.order[places].max(initial=0)))
        if self.source and topic in self.source.lasting:  # said once, and true until something else is said
            self.wanted[topic] += 1

    def take(self, topic: str, place: int, data: bytes | memoryview) -> None:
        """Decodes or feeds a message that a candidate needs."""
        try:
            message = self.bag.deserialise(topic, data)
            picture = to_rgb(message) if topic == self.topic else None
        except (DatasetError, SpaceError) as error:
            self.broken[f"{topic}: {str(error).removeprefix(f'{self.bag.path}: ')}"] += 1
            return
        if picture is not None:
            self.frames[place] = observe(picture, self.mapping.image.crop)  # a crop that leaves it ends everything
        if self.source and topic in self.tracks:
            self.source.feed(topic, message, int(self.tracks[topic].time(self.mapping)[place]))

    def finish(self, c: Candidate) -> Filled | None:
        """The candidate with images and actions; None for one that is no episode."""
        if c.why is not None or not len(c):
            return None
        images = np.zeros((len(c), *IMAGE_SHAPE), np.uint8)
        there = np.ones(len(c), bool) if c.image_there is None else c.image_there.copy()
        damaged = False
        for step, place in enumerate(c.images.tolist()):
            if (frame := self.frames.get(place)) is None:
                there[step], damaged = False, True
            else:
                images[step] = frame
        for place in np.unique(c.images).tolist():
            self.wanted[self.topic][place] -= 1
            if not self.wanted[self.topic][place]:
                self.frames.pop(place, None)
        if c.whole and damaged:
            c.why = DAMAGED_MESSAGE
        c.image_there = there
        if self.source is None:
            asked = np.zeros((len(c), ACTION_DIM)) if c.actions is None else c.actions
            clipped = np.asarray((np.abs(asked) > 1 + _ROUNDING).any(axis=1), np.float64)
            return Filled(c, images, np.clip(asked, -1, 1).astype(np.float32), clipped)
        derived = self.source.actions(c.borders)
        c.action_there = derived.gap <= self.mapping.tolerance * 1e9
        return Filled(c, images, derived.actions, np.full(len(c), derived.clipped))


def fill(
    bag: Bag, survey: Survey, mapping: Mapping, found: Sequence[Candidate], cuts: dict[int, str],
    source: ActionSource | None, broken: Counter[str], progress: Callable[[int], None] | None = None,
) -> Iterator[tuple[int, Filled | None]]:  # fmt: skip
    """Each candidate's number, in order, and what it holds; None for one that is no episode.

    Args:
        bag: The bag.
        survey: What is known of it.
        mapping: What its topics mean.
        found: The candidates, as of `candidates`.
        cuts: Where clocks jump, as of `clock_cuts`: beyond, nothing from before counts.
        source: What derives actions; None where they are recorded.
        broken: Where messages that are needed and cannot be read are counted, by what is wrong.
        progress: Called now and then with the place of the message that is being read.

    Raises:
        ConfigError: the source's settings do not fit its messages.
    """
    filler = _Filler(bag, survey, mapping, found, source, cuts)
    filler.broken = broken
    tracks = {**filler.tracks, mapping.topics.image: survey.image}
    seen = dict.fromkeys(tracks, 0)
    epoch, done = 0, 0

    def need(topic: str) -> int:
        seen[topic] += 1
        # A bag that is being recorded may have grown since.
        return ALL if seen[topic] <= len(tracks[topic]) and filler.wanted[topic][seen[topic] - 1] else 0

    for part in bag.parts(set(tracks), need):
        for topic, _, data in part:
            place = seen[topic] - 1
            if place >= len(tracks[topic]):
                continue
            order = int(tracks[topic].order[place])
            while done < len(found) and filler.last[id(found[done])] < order:
                yield done, filler.finish(found[done])
                done += 1
                if source and done < len(found) and found[done].epoch == epoch and found[done].why is None:
                    source.forget(int(found[done].borders[0]))
            if filler.epochs[topic][place] > epoch:
                epoch = int(filler.epochs[topic][place])
                if source:
                    source.forget(None)
            if filler.wanted[topic][place]:
                filler.take(topic, place, data)
            if progress and order % EVERY == 0:
                progress(order)
    for number in range(done, len(found)):
        yield number, filler.finish(found[number])

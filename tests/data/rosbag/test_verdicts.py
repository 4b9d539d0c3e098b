"""Which episodes a recording has, told by markers and outcomes: the tally by itself, and what bags make of it."""

from __future__ import annotations

import numpy as np
import pytest
from bag_makers import ABOUT, START, Lab, number_of, numbered
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parrot.data.rosbag.verdicts import MARKERS, Tally
from parrot.spaces import ACTION_NAMES, OUTCOME_NAMES

MS = 1_000_000


class Told(Tally):
    """Hears words: i image, o outcome, S success and F failure as an episode's last outcome, else a marker."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.step = 0
        for word in words.split():
            self.hear(word)

    def hear(self, word: str) -> None:
        if word == "i":
            self.image()
        elif word in ("o", "S", "F"):
            self.outcome(done=word != "o", success=word == "S", step=self.step)
            self.step = self.step + 1 if word == "o" else 0
        else:
            self.mark(word)

    @property
    def figures(self) -> tuple[int, ...]:
        kinds = ("success", "failure", "discarded", "without verdict", "incomplete")
        return tuple(self.counts[kind] for kind in kinds)


@pytest.mark.parametrize(
    ("words", "success", "failure", "discarded", "unjudged"),
    [
        ("i o i S i o i F", 1, 1, 0, 0),  # a graph with outcomes needs no markers
        ("i o o S o o F o o S i i i i i i i i", 2, 1, 0, 0),  # images are large and come late
        ("start i i success start i failure", 1, 1, 0, 0),  # an arm without outcomes
        ("i i success", 0, 0, 0, 0),  # nothing was begun
        ("start i start i success", 1, 0, 0, 1),
        ("start start i success", 1, 0, 0, 0),
        ("i o i discard F i o i S", 1, 0, 1, 0),  # the simulator's reset ends what was discarded: no episode
        ("i o i success F i o i S", 2, 0, 0, 0),  # nor is what it ends after a verdict
        ("i o i discard o o S i o i S", 1, 0, 1, 0),  # without a reset, what is left of it is none either
        ("i o i success o o F i o i S", 2, 0, 0, 0),
        ("i o i F success i o S", 2, 0, 0, 0),  # a human comes late, and knows better
        ("i o i S i failure F i o S", 1, 1, 0, 0),
        ("i o i success failure", 0, 1, 0, 0),  # and may think again
        ("i o i S discard", 0, 0, 1, 0),  # the last one, before the next image
        ("i o i S i discard", 1, 0, 1, 0),  # the one under way
        ("i o i S i discard o o S i o S", 2, 0, 1, 0),
        ("start i success i i discard", 0, 0, 1, 0),  # a camera goes on between episodes
        ("start i success i i start i discard", 1, 0, 1, 0),
        ("start i success discard discard", 0, 0, 1, 0),
        ("i o i start F i o i success F", 1, 0, 0, 1),  # `start` gives up what was under way; its reset is no episode
        ("i o i start i o i S", 1, 0, 0, 1),  # without a reset the episode begins amid the simulator's
        ("i F i o S", 1, 0, 0, 0),  # a reset before anything was done
        ("start i success F i o S", 2, 0, 0, 0),  # judged before its first outcome
        ("discard", 0, 0, 0, 0),
    ],
)
def test_episodes_are_counted_as_they_are_told(words, success, failure, discarded, unjudged):
    assert Told(words).figures == (success, failure, discarded, unjudged, 0)


def test_what_lacks_its_beginning_or_an_outcome_is_not_kept_whatever_its_verdict():
    late = Told("")
    late.step = 3  # the recorder came late
    for word in ["i", "o", "i", "success", "F", "i", "o", "S"]:
        late.hear(word)
    assert late.figures == (1, 0, 0, 0, 1)
    lost = Told("i o")
    lost.step += 1
    for word in ["o", "S", "i", "o", "S"]:
        lost.hear(word)
    assert lost.figures == (1, 0, 0, 0, 1)
    assert str(lost) == "episodes kept: 1 (1 success, 0 failure), 1 incomplete"


def test_a_marker_that_means_nothing_now_says_so():
    tally = Tally()
    assert not tally.mark("success")
    assert not tally.mark("discard")
    assert tally.mark("start")
    assert tally.mark("failure")
    assert str(tally) == "episodes kept: 1 (0 success, 1 failure)"


class Graph:
    """Parrot's loop with a human beside it: writes a bag, and tells a tally what the recorder would."""

    def __init__(self) -> None:
        self.lab, self.tally, self.now = Lab(), Tally(), START
        self.number = self.step = 0
        self.lab.kinds["/marker"] = "std_msgs/msg/String"
        self.show()

    def after(self) -> int:
        self.now += MS
        return self.now

    def show(self) -> None:
        self.number += 1
        self.stamp = self.after()
        self.lab.image("/camera/image", numbered(self.number, 48), self.stamp)
        self.tally.image()

    def act(self, done: bool = False, success: bool = False) -> None:
        action = np.full(7, self.number / 1000)
        self.lab.vector("/action", ACTION_NAMES, action, self.stamp, self.after())
        self.conclude(done, success, float(success))

    def conclude(self, done: bool, success: bool, reward: float) -> None:
        when = self.after()
        outcome = [reward, success, False, done, self.step]
        self.lab.vector("/outcome", OUTCOME_NAMES, outcome, self.stamp, when)
        self.tally.outcome(done=done, success=success, step=self.step, when=when)
        self.step = 0 if done else self.step + 1
        self.show()

    def reset(self) -> None:
        self.conclude(True, False, 0.0)

    def say(self, marker: str) -> None:
        if self.tally.mark(marker, self.after()):  # the recorder keeps no other one
            self.lab.marker(marker, self.now)

    def run(self, words: str) -> Graph:
        """a act, S and F the last step, r reset, else a marker."""
        for word in words.split():
            if word in ("a", "S", "F"):
                self.act(word != "a", word == "S")
            elif word == "r":
                self.reset()
            else:
                self.say(word)
        return self


def converted(graph, tmp_path, from_bags, out="data"):
    bag = graph.lab.write(tmp_path / f"{out}_bag", about=ABOUT)
    return from_bags(bag, min_steps=1, keep_failures=True, out=out)


def steps_of(dataset):
    return [[number_of(image) for image in episode.images] for episode in dataset]


@pytest.mark.parametrize(
    ("words", "steps", "success"),
    [
        ("a a success r a a S", [[1, 2], [4, 5, 6]], [True, True]),  # the reset says failure, and is not believed
        ("a a failure r a S", [[1, 2], [4, 5]], [False, True]),
        ("a a discard r a S", [[4, 5]], [True]),
        ("a a F success r a S", [[1, 2, 3], [5, 6]], [True, True]),  # judged after it was over
        ("a a S failure r a S", [[1, 2, 3], [5, 6]], [False, True]),
        ("a a success S a S", [[1, 2, 3], [4, 5]], [True, True]),  # an arm hears the marker, too, and ends the step
        ("a a failure S a S", [[1, 2, 3], [4, 5]], [False, True]),
        ("a a success a a F a S", [[1, 2], [6, 7]], [True, True]),  # nobody resets
        ("a a start r a a success r", [[1, 2], [4, 5]], [False, True]),
        ("a a start a a S", [[1, 2], [3, 4, 5]], [False, True]),
        ("r a a r a S", [[2, 3], [5, 6]], [False, True]),  # resets alone
    ],
)
def test_a_humans_verdict_wins_over_that_of_the_outcomes(tmp_path, from_bags, words, steps, success):
    dataset, _ = converted(Graph().run(words), tmp_path, from_bags)
    assert steps_of(dataset) == steps
    assert dataset.success.tolist() == success
    for episode in dataset:
        assert episode.rewards.tolist() == [0.0] * (len(episode) - 1) + [float(episode.success)]
        np.testing.assert_allclose(episode.actions[:, 0] * 1000, [number_of(i) for i in episode.images], rtol=1e-5)


WORDS = ("a", "a", "a", "a", "S", "F", "r", *MARKERS)


@example(["a", "a", "start", "F", "start"])
@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(WORDS), min_size=5, max_size=40))
def test_what_the_recorder_calls_kept_is_what_bags_yield(tmp_path_factory, words):
    from functools import cache

    from parrot.data import Dataset
    from parrot.data.rosbag.convert import Conversion, convert
    from parrot.data.rosbag.mapping import EpisodeRule, Mapping
    from parrot.sim.config import load_robot

    graph = Graph().run("a S " + " ".join(words))  # outcomes are known from the first one on
    folder = tmp_path_factory.mktemp("told")
    bag = graph.lab.write(folder / "bag", about=ABOUT)
    mapping = Mapping(episodes=EpisodeRule(min_steps=1))
    (report,) = convert([bag], folder / "data", mapping, Conversion(cache(load_robot), {}, True))
    dataset, kept = Dataset.open(folder / "data"), graph.tally.kept
    judged = graph.tally.counts["without verdict"]  # kept, too, if failures are
    assert (dataset.success.sum(), len(dataset)) == (kept["success"], kept.total() + judged)
    assert report.dropped["it was discarded by a marker"] == graph.tally.counts["discarded"]

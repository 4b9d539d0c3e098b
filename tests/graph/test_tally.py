"""Which episodes a recording has, told by markers and outcomes."""

from __future__ import annotations

import pytest

from parrot.nodes.tally import Tally


def told(words: str) -> Tally:
    """A tally that has heard these: i image, o outcome, S success and F failure as an outcome, else a marker."""
    tally = Tally()
    for word in words.split():
        if word == "i":
            tally.image()
        elif word in ("o", "S", "F"):
            tally.outcome(done=word != "o", success=word == "S")
        else:
            tally.mark(word)
    return tally


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
        ("i o i S discard", 0, 0, 1, 0),  # the last one, before the next image
        ("i o i S i discard", 1, 0, 1, 0),  # the one under way
        ("start i success i i discard", 0, 0, 1, 0),  # a camera goes on between episodes
        ("start i success i i start i discard", 1, 0, 1, 0),
        ("start i success discard discard", 0, 0, 1, 0),
        ("discard", 0, 0, 0, 0),
    ],
)
def test_episodes_are_counted_as_they_are_told(words, success, failure, discarded, unjudged):
    tally = told(words)
    assert (tally.kept["success"], tally.kept["failure"], tally.discarded, tally.unjudged) == (
        success, failure, discarded, unjudged,
    )  # fmt: skip


def test_a_marker_that_means_nothing_now_says_so():
    tally = Tally()
    assert not tally.mark("success")
    assert not tally.mark("discard")
    assert tally.mark("start")
    assert tally.mark("failure")
    assert str(tally) == "episodes kept: 1 (0 success, 1 failure)"

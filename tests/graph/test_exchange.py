"""The learner's side of the lockstep, without ROS: whatever the order of arrival, one step at a time."""

from __future__ import annotations

import itertools

import pytest

from parrot.nodes.exchange import GONE, KEPT, Exchange


@pytest.mark.parametrize("order", list(itertools.permutations(["outcome", "action", "image"])))
def test_a_step_is_complete_once_outcome_and_action_are_there(order):
    exchange = Exchange()
    assert exchange.image(1, "i1")
    assert exchange.act() == (1, "i1")
    arrivals = {
        "outcome": lambda: exchange.outcome(1, "o1"),
        "action": lambda: exchange.action(1, "a1"),
        "image": lambda: exchange.image(2, "i2"),
    }
    completed, acted = [], []
    for what in order:
        arrivals[what]()
        completed += [c for c in [exchange.complete()] if c]
        acted += [a for a in [exchange.act()] if a]
    assert completed == [("o1", "a1")]
    assert acted == [(2, "i2")]


def test_the_next_image_waits_until_the_step_is_complete():
    exchange = Exchange()
    exchange.image(1, "i1")
    exchange.act()
    exchange.image(2, "i2")
    assert exchange.act() is None
    assert exchange.missing() == "action"
    exchange.action(1, "a1")
    assert exchange.missing() == "outcome"
    exchange.outcome(1, "o1")
    assert exchange.complete() == ("o1", "a1")
    assert exchange.missing() == ""
    assert exchange.act() == (2, "i2")


def test_a_repeated_image_is_told_from_a_new_one():
    exchange = Exchange()
    assert exchange.image(1, "i1")
    assert not exchange.image(1, "i1")
    assert exchange.act() == (1, "i1")
    assert not exchange.image(1, "i1")
    assert exchange.act() is None


@pytest.mark.parametrize("came", ["outcome", "action", ""])
def test_a_step_that_the_world_has_given_up_is_skipped_once_a_newer_image_is_repeated(came):
    exchange = Exchange()
    exchange.image(1, "i1")
    assert exchange.act() == (1, "i1")
    exchange.image(1, "i1")
    exchange.image(1, "i1")
    assert not exchange.skip()  # that image still waits for its answer
    if came:
        getattr(exchange, came)(1, "x1")
    exchange.image(2, "i2")
    for _ in range(GONE):
        assert not exchange.skip()  # the rest may be on its way
        exchange.image(2, "i2")
    assert exchange.skip() == ("outcome" if came == "action" else "action")
    assert exchange.act() == (2, "i2")
    exchange.outcome(1, "late")
    exchange.action(1, "late")
    assert exchange.complete() is None
    assert not exchange.skip()


def test_a_repeated_outcome_completes_nothing_twice():
    exchange = Exchange()
    exchange.image(1, "i1")
    exchange.act()
    exchange.action(1, "a1")
    exchange.outcome(1, "o1")
    assert exchange.complete() is not None
    exchange.outcome(1, "o1")
    assert exchange.complete() is None


def test_a_step_is_completed_after_a_clock_went_back_whatever_was_left_over():
    exchange = Exchange()
    for stamp in range(1000, 1000 + 2 * KEPT):
        exchange.outcome(stamp, "old")
    exchange.image(1, "i1")
    assert exchange.act() == (1, "i1")
    exchange.action(1, "a1")
    exchange.outcome(1, "o1")
    assert exchange.complete() == ("o1", "a1")


def test_what_nobody_waits_for_does_not_pile_up():
    exchange = Exchange()
    for stamp in range(100):
        exchange.outcome(stamp, "o")
    assert len(exchange.moments) == KEPT
    assert min(exchange.moments) == 100 - KEPT

"""How much better than expected each step turned out: hand-computed, and drawn in proportion."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot.rl.advantage import AGED, NEW, Advantages, advantages_of
from parrot.rl.replay import Replay

DISCOUNT = 0.5


def episode(replay, rewards, terminated, first):
    n = len(rewards)
    images = np.broadcast_to(np.arange(first, first + n, dtype=np.uint8)[:, None, None, None], (n, 48, 48, 3))
    replay.append(
        images, np.zeros((n, 2), np.float32), np.array(rewards, np.float32), success=terminated, terminated=terminated
    )


def by_number(images):
    """Values that can be told from the images."""
    return images[:, 0, 0, 0].astype(np.float32) / 100


def book_of(*episodes):
    replay = Replay(16, 2, DISCOUNT)
    for i, (rewards, terminated) in enumerate(episodes):
        episode(replay, rewards, terminated, 10 * i)
    book = Advantages(replay, DISCOUNT, 0.8)
    book.refresh(by_number)
    book.weigh()
    return book


def test_advantages_match_the_hand_computed_ones():
    rewards = np.array([[0, 0, 1, 9], [0, 0, 9, 9]], np.float32)  # what lies beyond an end does not count
    values = np.array([[0.2, 0.4, 0.8, 9], [0.4, 0.6, 9, 9]], np.float32)
    lengths, terminated = np.array([3, 2]), np.array([True, False])
    found, returns = advantages_of(rewards, values, lengths, terminated, DISCOUNT, decay=0.8, success=1)
    last = 1 - 0.8
    middle = 0.5 * 0.8 - 0.4 + 0.4 * last
    assert found[0].tolist() == pytest.approx([0.5 * 0.4 - 0.2 + 0.4 * middle, middle, last, 0])
    assert found[1].tolist() == pytest.approx([0.5 * 0.6 - 0.4, 0, 0, 0])  # the time limit tells nothing
    assert returns.tolist() == [[0.25, 0.5, 1, 0], [0, 0, 0, 0]]


def test_where_nothing_succeeds_a_step_is_measured_by_the_best_that_followed_in_all_scenes():
    rewards = np.array([[0, 0, 1, 9], [0, 0, 9, 9]], np.float32)
    values = np.array([[0.2, 0.4, 0.8, 9], [0.4, 0.6, 9, 9]], np.float32)
    found, returns = advantages_of(rewards, values, np.array([3, 2]), np.array([True, False]), DISCOUNT, 0.8, 0)
    mean = (0.25 + 0.5 * 0.6) / 2
    assert found[0].tolist() == pytest.approx([0.25 - mean, 0, 0, 0], abs=1e-6)
    assert found[1].tolist() == pytest.approx([0.5 * 0.6 - mean, 0, 0, 0], abs=1e-6)
    assert returns.tolist() == [[0.25, 0.5, 1, 0], [0, 0, 0, 0]]


def test_to_go_to_the_right_object_gains_though_it_falls_and_to_go_to_the_wrong_one_loses():
    right, wrong = [0.01, 0.1, 0.5, 0.5, 0.02, 0.01], [0.01] * 6
    args = np.zeros((4, 6), np.float32), np.array([right, wrong, wrong, wrong], np.float32), np.full(4, 6)
    rare, _ = advantages_of(*args, np.zeros(4, bool), 0.97, 0.9, success=0.02)
    assert (rare[0, :3] > 0.1).all()  # up to where the arm holds it
    assert rare[0, 3] < 0  # and then lets it fall
    assert (rare[1:, :3] < -0.05).all()
    common, _ = advantages_of(*args, np.zeros(4, bool), 0.97, 0.9, success=1)
    assert abs(common[1:]).max() < 0.002  # by what its scene promised, the wrong one is no loss


@given(st.integers(1, 25), st.booleans(), st.integers(0, 1000))
def test_looking_to_the_end_an_advantage_is_the_return_less_the_value(length, terminated, seed):
    rng = np.random.default_rng(seed)
    values, rewards = rng.random((2, 1, 25)).astype(np.float32)
    if not terminated:  # cut off, where the value after it is not known
        rewards[0, length - 1] = values[0, length - 1]
    found, returns = advantages_of(rewards, values, np.array([length]), np.array([terminated]), 0.97, 1.0, 1.0)
    assert found[0, :length] == pytest.approx(returns[0, :length] - values[0, :length], abs=1e-5)
    assert not found[0, length:].any()


def test_steps_are_drawn_in_proportion_to_what_they_gained_or_lost(rng):
    book = book_of(([0, 0, 1], True), ([0, 0, 0], False))
    found, _ = advantages_of(
        np.array([[0, 0, 1], [0, 0, 0]], np.float32), np.array([[0, 0.01, 0.02], [0.1, 0.11, 0.12]], np.float32),
        np.array([3, 3]), np.array([True, False]), DISCOUNT, 0.8, 0.5,
    )  # fmt: skip
    for drawn, weight in (
        (book.draw_gained(rng, 20000), np.maximum(found, 0)),
        (book.draw_lost(rng, 20000), np.maximum(-found, 0)),
        (book.draw(rng, 20000), np.ones((2, 3))),
    ):
        slots, t = np.divmod(drawn, book.replay.steps)
        shares = np.zeros((2, 3))
        np.add.at(shares, (slots, t), 1 / len(drawn))
        np.testing.assert_allclose(shares, weight / weight.sum(), atol=0.02)
        assert not shares[weight == 0].any()
    assert book.balance == pytest.approx(-found[found < 0].sum() / found[found > 0].sum(), rel=1e-5)


def test_nothing_gained_is_no_error(rng):
    book = book_of(([0, 0], False))
    assert len(book.draw_gained(rng, 4)) == 4


def test_every_episode_is_valued_and_again_when_its_turn_comes():
    replay = Replay(64, 2, DISCOUNT)
    for i in range(20):
        episode(replay, [0, 1], True, 2 * i)
    book, counts = Advantages(replay, DISCOUNT, 0.8), np.zeros(40, int)

    def value(images):
        np.add.at(counts, images[:, 0, 0, 0], 1)
        return by_number(images)

    book.refresh(value)
    assert counts.sum() == 2 * NEW
    for _ in range(2):
        book.refresh(value)
    assert counts.min() == 1
    for _ in range(20 // AGED):
        book.refresh(value)
    assert counts.min() >= 2
    assert counts.max() <= 4


def test_an_episode_in_the_place_of_another_is_valued_anew(rng):
    replay = Replay(2, 2, DISCOUNT)
    episode(replay, [0, 1], True, 0)
    episode(replay, [0, 0], False, 100)
    book = Advantages(replay, DISCOUNT, 0.8)
    book.refresh(by_number)
    book.weigh()
    assert set(book.returns(book.draw(rng, 100))) == {0, 0.5, 1}
    episode(replay, [0, 0, 0], False, 200)
    book.weigh()  # until its values are there it is left out
    assert set(book.returns(book.draw(rng, 100))) == {0}
    assert set(book.draw(rng, 100)) == {25, 26}
    book.refresh(by_number)
    book.weigh()
    assert set(book.draw(rng, 200)) == {0, 1, 2, 25, 26}

import numpy as np
import pytest

from parrot.rl.replay import Replay

DISCOUNT = 0.5


def add(replay, rewards, *, success=False, terminated=False, first=0):
    n = len(rewards)
    images = np.broadcast_to(np.arange(first, first + n, dtype=np.uint8)[:, None, None, None], (n, 48, 48, 3))
    latents = np.arange(first, first + n, dtype=np.float32)[:, None].repeat(2, 1)
    replay.append(images, latents, np.array(rewards, np.float32), success=success, terminated=terminated)


def rows(batch):
    """By number of the step: return, discount, number of the image bootstrapped from."""
    return {
        int(z[0]): (float(r), float(d), int(n[0, 0, 0]))
        for z, r, d, n in zip(batch.latents, batch.returns, batch.discounts, batch.next_images, strict=True)
    }


def test_targets_of_a_terminated_episode_match_the_hand_computed_ones(rng):
    replay = Replay(4, 2, DISCOUNT)
    add(replay, [0, 0, 0, 0, 1], success=True, terminated=True)
    found = rows(replay.sample(500, rng, n_step=3))
    assert found.keys() == {0, 1, 2, 3, 4}
    assert found[0] == (0.0, 0.125, 3)  # rewards 0 1 2, then the value at image 3
    assert found[1] == (0.0, 0.125, 4)
    assert found[2][:2] == (0.25, 0.0)  # the reward at step 4, two steps later, and nothing behind it
    assert found[3][:2] == (0.5, 0.0)
    assert found[4][:2] == (1.0, 0.0)


def test_a_truncated_episode_bootstraps_from_its_last_image_and_leaves_its_last_step_out(rng):
    replay = Replay(4, 2, DISCOUNT)
    add(replay, [1, 0, 1, 0, 1])
    found = rows(replay.sample(500, rng, n_step=3))
    assert found.keys() == {0, 1, 2, 3}
    assert found[0] == (1.25, 0.125, 3)
    assert found[1] == (0.5, 0.125, 4)
    assert found[2] == (1.0, 0.25, 4)  # only two steps are left
    assert found[3] == (0.0, 0.5, 4)


def test_the_asked_share_of_a_batch_comes_from_successes(rng):
    replay = Replay(16, 2, DISCOUNT)
    for i in range(9):
        add(replay, [0] * 10, first=10 * i)
    assert not replay.sample(100, rng, success_share=0.25).successes.any()  # there is none yet
    add(replay, [0, 1], success=True, terminated=True, first=200)
    batch = replay.sample(1000, rng, success_share=0.25)
    assert 250 <= batch.successes.sum() <= 320
    assert (batch.latents[batch.successes, 0] >= 200).all()


def test_the_latest_episodes_are_counted_wherever_the_ring_has_them():
    replay = Replay(4, 2, DISCOUNT)
    assert replay.recent_success(3) == 0
    for success in (False, True, True, False, True, True):
        add(replay, [1], success=success, terminated=True)
    assert replay.recent_success(2) == 1
    assert replay.recent_success(3) == pytest.approx(2 / 3)
    assert replay.recent_success(99) == pytest.approx(3 / 4)  # all that it still holds


def test_the_ring_drops_the_oldest(rng):
    replay = Replay(10, 2, DISCOUNT)
    for i in range(25):
        add(replay, [0, 0, 0], first=10 * i % 250)
    drawn = {int(z) // 10 for z in replay.sample(2000, rng).latents[:, 0]}
    assert drawn == set(range(15, 25))
    assert (replay.episodes, replay.env_steps, replay.successes) == (25, 75, 0)


def test_two_replays_on_one_memory_see_the_same_and_the_reader_avoids_what_is_overwritten_next(rng):
    memory = memoryview(np.zeros(Replay.size(10, 2), np.uint8).data)
    writer, reader = Replay(10, 2, DISCOUNT, memory), Replay(10, 2, DISCOUNT, memory)
    with pytest.raises(IndexError):
        reader.sample(1, rng)
    for i in range(25):
        add(writer, [0, 0, 0], first=10 * i)
    drawn = {int(z) // 10 for z in reader.sample(2000, rng).latents[:, 0]}
    assert drawn == set(range(20, 25))


def test_a_row_is_the_same_step_to_all_who_ask_and_has_a_number_of_its_own(rng):
    replay, numbers = Replay(4, 2, DISCOUNT), {}
    for episode in range(11):
        add(replay, [0, 0, 1] if episode % 2 else [0, 0, 0, 0], terminated=bool(episode % 2), first=10 * episode)
        slots, episodes = replay.whole()
        assert sorted(episodes) == list(range(max(0, episode - 3), episode + 1))
        rows = replay.rows(slots)
        lengths, terminated = replay.ends(slots)
        assert terminated.tolist() == [e % 2 == 1 for e in episodes]
        wanted = [10 * e + t for e, n in zip(episodes, lengths, strict=True) for t in range(n)]
        assert replay.images(rows)[:, 0, 0, 0].tolist() == replay.latents(rows)[:, 0].tolist() == wanted
        assert [replay.rewards(slots)[i, : lengths[i]].sum() for i in range(len(slots))] == terminated.tolist()
        for number, step in zip(replay.numbers(rows), wanted, strict=True):
            assert numbers.setdefault(number, step) == step
    assert len(numbers) == 6 * 4 + 5 * 3

"""Pairing by times alone, for any times."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot.data.rosbag.cutting import cut
from parrot.data.rosbag.mapping import EpisodeRule, Mapping
from parrot.data.rosbag.pairing import candidates
from parrot.data.rosbag.survey import Survey, Track

MS = 1_000_000
HZ = 10.0
MAPPING = Mapping(episodes=EpisodeRule(by="gaps", gap=2.0, min_steps=1), tolerance=0.15, jump=1.0)


def track(stamps, receive, order, values=None):
    stamps, receive = np.array(stamps, np.int64), np.array(receive, np.int64)
    return Track("", receive, stamps, np.array(order, np.int64), stamps, True, values)


moments = st.lists(st.integers(0, 6000), min_size=1, max_size=60, unique=True)


@given(images=moments, actions=moments, late=st.integers(0, 400), seed=st.integers(0, 10))
@settings(max_examples=200, deadline=None)
def test_every_step_has_a_recent_image_and_the_action_that_followed_it(images, actions, late, seed):
    rng = np.random.default_rng(seed)
    images, actions = (1_000_000 * MS + np.array(sorted(x), np.int64) * MS for x in (images, actions))
    received = np.concatenate([images, actions]) + rng.integers(0, late + 1, len(images) + len(actions)) * MS
    order = 1 + np.argsort(np.argsort(received, kind="stable"))
    split = len(images)

    def shuffled(stamps, received, order):
        """In the order of the bag, as messages that are late stand in it."""
        by_order = np.argsort(order)
        return stamps[by_order], received[by_order], order[by_order]

    picture = track(*shuffled(images, received[:split], order[:split]))
    acted_at, acted_received, acted_order = shuffled(actions, received[split:], order[split:])
    # Each action tells its own stamp, in ms.
    action = track(acted_at, acted_received, acted_order, np.repeat(acted_at[:, None] // MS, 7, 1).astype(float))
    survey = Survey({}, picture, action, Track(), Track(), [], Counter(), MAPPING)
    steps = 0
    for candidate in candidates(survey, MAPPING, HZ):
        begin = candidate.borders[0]
        assert begin in images
        for part, why in cut(candidate, MAPPING, HZ):
            if why is not None:
                continue
            for k in range(part.start, part.stop):
                time = int(begin + k * 100 * MS)
                assert candidate.borders[k] == time
                seen = max(int(s) for s in images if s <= time)
                assert picture.stamp[candidate.images[k]] == candidate.stamps[k] == seen
                assert time - seen <= 150 * MS
                again = k > 0 and candidate.stamps[k - 1] == seen
                since = time if again else seen
                told = min(int(s) for s in actions if s >= since)
                assert candidate.actions[k, 0] * MS == told
                assert told - since <= 150 * MS
                steps += 1
    assert steps <= 61

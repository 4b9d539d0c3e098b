"""Statistics of runs, against values known otherwise."""

import numpy as np
import pytest

from parrot.experiments.statistics import difference, interval, iqm, mean_std


def test_the_interquartile_mean_leaves_out_a_quarter_at_each_end():
    assert iqm([-1000.0, 1.0, 3.0, 1000.0]) == 2.0
    assert iqm(np.arange(16).reshape(4, 4)) == np.arange(4, 12).mean()


def test_mean_and_deviation_are_those_over_seeds_with_gaps_left_out():
    mean, std = mean_std([[0.0, 0.2, np.nan], [1.0, 0.4, 0.5]])
    np.testing.assert_allclose(mean, [0.5, 0.3, 0.5])
    np.testing.assert_allclose(std, [0.5, 0.1, 0.0])


def test_intervals_cover_the_truth_as_often_as_they_say():
    """Of normal scores, whose interquartile mean is their mean, about 95 of 100 intervals hold it; small-sample
    percentile intervals are known to be somewhat short."""
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(100):
        found = interval(rng.normal(0.5, 0.1, (4, 20)), seed=trial)
        assert found.low <= found.value <= found.high
        hits += found.low <= 0.5 <= found.high
    assert 86 <= hits <= 100


def test_the_interval_shrinks_with_the_root_of_the_runs():
    rng = np.random.default_rng(1)
    widths = []
    for runs in (10, 160):
        found = interval(rng.normal(0.0, 1.0, (2, runs)))
        widths.append(found.high - found.low)
        assert found.runs == 2 * runs
    assert widths[0] / widths[1] == pytest.approx(4.0, rel=0.35)


def test_runs_are_drawn_within_their_task():
    """Tasks that differ but repeat exactly leave no doubt, which drawing over all runs alike would invent."""
    found = interval([[0.1] * 3, [0.9] * 3])
    assert (found.low, found.high) == (found.value, found.value) == (0.5, 0.5)


def test_a_difference_is_decided_where_runs_agree_and_not_where_they_scatter():
    clear = difference([[0.8, 0.9, 1.0]] * 2, [[0.0, 0.1, 0.1]] * 2)
    assert clear.low > 0.5
    open_ = difference([[0.0, 0.5, 1.0]], [[0.1, 0.4, 0.9]])
    assert open_.low < 0 < open_.high


def test_too_few_runs_have_a_value_and_no_interval():
    found = interval([[0.2, 0.4], [0.3, 0.3, 0.3]])
    assert not found.known
    assert found.value == pytest.approx(0.3)

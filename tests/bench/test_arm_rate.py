"""The loop's time on the arm: what is noted, what is read of it, and what counts."""

import pytest

from parrot.bench.arm import events_in, line, rate_of
from parrot.errors import RunError
from parrot.nodes.timing import COMMAND, MISSED, NO_ACTION, NO_PICTURE, Timing


def test_what_the_loop_notes_is_what_the_benchmark_reads(tmp_path):
    timing = Timing(0.1, tmp_path / "new" / "timing.csv")
    begin = timing._began_at
    assert timing.began(begin + 0.1) == pytest.approx(0.0, abs=1e-6)
    timing.commanded(begin + 0.1, begin + 0.112)
    assert timing.began(begin + 0.24) == pytest.approx(0.04)  # late, but within half a period
    timing.missed(NO_ACTION, begin + 0.24)
    timing.flush()
    assert timing.began(begin + 0.40) == pytest.approx(0.06)
    timing.missed(NO_PICTURE, begin + 0.40)
    timing.commanded(begin + 0.40, begin + 0.43)
    timing.flush()
    assert dict(timing.counts) == {NO_ACTION: 1, MISSED: 1, NO_PICTURE: 1}
    assert timing.percentiles() == "21.0 29.8 30.0"
    rate = rate_of(events_in(tmp_path / "new" / "timing.csv"), warm=0.0, updates=7, held_up=0)
    assert (rate.commands, rate.periods, rate.missed, rate.without_action, rate.without_picture) == (2, 2, 1, 1, 1)
    assert (rate.p50_ms, rate.max_ms, rate.late_ms) == (21.0, 30.0, 60.0)
    assert "p50 21.0 ms" in line(rate)


def test_what_happens_while_everything_warms_up_does_not_count():
    slow, fast = (1.0, COMMAND, 500.0), (22.0, COMMAND, 10.0)
    rate = rate_of([(0.5, MISSED, 90.0), slow, (2.0, MISSED, 90.0), fast], warm=20.0, updates=1, held_up=0)
    assert (rate.commands, rate.max_ms, rate.missed) == (1, 10.0, 0)
    with pytest.raises(RunError, match="no command in the time that counts"):
        rate_of([slow], warm=20.0, updates=1, held_up=0)


def test_a_file_that_cannot_be_written_is_one_line_before_the_loop_begins(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot be written .*; name another file"):
        Timing(0.1, tmp_path / "file" / "timing.csv")

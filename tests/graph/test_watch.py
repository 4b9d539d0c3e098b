"""Silent and slow topics, each told once; a clock of our own stands in for waiting."""

from __future__ import annotations

import pytest

from parrot.errors import ConfigError
from parrot.nodes.watch import Overview, Watch, expectations


def lines(watch: Watch, begin: int, seconds: int, rate: int) -> list[str]:
    """What a look each second says while so many messages come per second."""
    found = []
    for second in range(begin, begin + seconds):
        for index in range(rate):
            watch.heard(second + index / rate)
        news = watch.look(second + 1)
        found += [news[1]] if news else []
    return found


def test_a_silence_is_told_once_and_so_is_its_end():
    watch = Watch("image", expected=True, rate=0, silence=3, now=0)
    assert lines(watch, 0, 10, 30) == []
    assert lines(watch, 10, 20, 0) == ["image is silent: no message for 3 s"]
    assert lines(watch, 30, 10, 30) == ["image is back"]
    assert lines(watch, 40, 20, 0) == ["image is silent: no message for 3 s"]


def test_what_never_came_is_silent():
    assert lines(Watch("image", expected=True, rate=0, silence=3, now=0), 0, 20, 0) == [
        "image is silent: no message yet"
    ]


def test_a_slow_topic_is_told_once_and_so_is_its_end():
    watch = Watch("image", expected=True, rate=25, silence=3, now=0)
    assert lines(watch, 0, 20, 30) == []
    (slow,) = lines(watch, 20, 20, 15)
    assert slow.startswith("image is slow: ") and slow.endswith(" per second, at least 25 expected")
    (back,) = lines(watch, 40, 20, 30)
    assert back.startswith("image is fast enough again: ")


def test_a_topic_that_begins_late_is_not_slow_for_that():
    watch = Watch("image", expected=True, rate=25, silence=4, now=0)
    assert lines(watch, 0, 3, 0) + lines(watch, 3, 20, 26) == []


def test_a_topic_at_the_edge_of_its_rate_does_not_flicker():
    watch = Watch("image", expected=True, rate=25, silence=3, now=0)
    told = lines(watch, 0, 20, 20)
    for begin in range(20, 100, 2):
        told += lines(watch, begin, 1, 25) + lines(watch, begin + 1, 1, 26)
    assert len(told) == 1


def test_back_from_silence_but_slow_is_told_as_both():
    watch = Watch("image", expected=True, rate=25, silence=3, now=0)
    lines(watch, 0, 10, 30)
    lines(watch, 10, 10, 0)
    told = lines(watch, 20, 20, 5)
    assert [line.partition(":")[0] for line in told] == ["image is back", "image is slow"]


def test_what_is_not_expected_may_be_silent():
    assert lines(Watch("latent", expected=False, rate=0, silence=3, now=0), 0, 60, 0) == []


def test_a_disk_that_is_nearly_full_is_told_once(tmp_path):
    overview = Overview(tmp_path, ["image"], {}, silence=3, min_free_gb=1e6, now=0)
    told = [news for second in range(1, 20) for news in overview.look(second)]
    assert len(told) == 1
    assert told[0][:2] == ("", True) and "GB left on the disk" in told[0][2]
    assert overview.facts()["disk left"].endswith(" GB")


@pytest.mark.parametrize("text", ["image fast", "image 25 30"])
def test_an_expectation_that_cannot_be_read_is_named(text):
    with pytest.raises(ConfigError, match=f"'{text}': write TOPIC or TOPIC RATE"):
        expectations(text)

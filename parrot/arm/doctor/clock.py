"""Whether the clocks agree: the driver's, the camera's and this machine's, and that none of them is a simulator's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from parrot.arm.doctor.finding import Finding, failure, ok, warning
from parrot.arm.doctor.seen import Seen

__all__ = ["check_clocks", "check_simulated_time"]

SUBJECT = "clock"

CLOCK = "/clock"

OLD, AHEAD = 0.15, 0.02
"""Seconds by which stamps may be older than now, and ahead of it: a message's way, and what chrony leaves."""

WRONG = 0.5
"""Seconds, either way, at which a picture is of another moment than the joints beside it."""

SYNC = "synchronise the machines' clocks (chrony), or let the driver stamp with the system's time"


def check_simulated_time(seen: Seen) -> Iterator[Finding]:
    """Whether /clock is silent: on a real arm, nodes with use_sim_time follow whoever speaks there."""
    speakers = sorted({end.node for end in seen.topic(CLOCK).publishers})
    if speakers:
        value = f"{', '.join(speakers)} publishes {CLOCK}"
        remedy = "end the simulator, or the bag that is played: the real arm's nodes run on the system's time"
        yield failure(SUBJECT, CLOCK, value, remedy)
    else:
        yield ok(SUBJECT, CLOCK, "nobody publishes it: the graph runs on the system's time")


def check_clocks(seen: Seen) -> Iterator[Finding]:
    """How old stamps are when their message comes, of joints and of pictures."""
    yield from _age("joint states", [(j.stamp, j.wall) for j in seen.joints])
    yield from _age("camera", [(p.stamp, p.wall) for p in seen.pictures])


def _age(what: str, times: Sequence[tuple[int, int]]) -> Iterator[Finding]:
    if not times:
        return
    thing = f"age of {what}"
    unstamped = sum(stamp == 0 for stamp, _ in times)
    if unstamped:
        remedy = "let the driver stamp its messages; a node with use_sim_time and no /clock stamps with 0"
        yield warning(SUBJECT, thing, f"{unstamped} of {len(times)} messages have no stamp", remedy)
        return
    ages = np.array([wall - stamp for stamp, wall in times], np.int64) / 1e9
    age = float(np.median(ages))
    value = f"{age * 1000:.0f} ms" if abs(age) < 10 else f"{age:.0f} s"
    if np.ptp(ages) > 2 * WRONG:
        value = f"between {ages.min():.1f} and {ages.max():.1f} s"
        yield failure(SUBJECT, thing, value, "a clock is being set, or messages queue: let it settle, and ask again")
    elif age < -WRONG:
        yield failure(SUBJECT, thing, f"{value}: stamps are from the future", SYNC)
    elif age > WRONG:
        yield failure(SUBJECT, thing, f"{value}: stamps are from the past", f"{SYNC}; or is it that slow?")
    elif age < -AHEAD:
        yield warning(SUBJECT, thing, f"{value}: its clock is ahead", SYNC)
    elif age > OLD:
        yield warning(SUBJECT, thing, f"{value}: late, or its clock is behind", SYNC)
    else:
        yield ok(SUBJECT, thing, value)

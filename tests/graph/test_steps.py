"""Which messages are new, and which steps complete."""

from __future__ import annotations

import struct

from parrot.nodes.steps import KEPT, Steps, stamp_in


def message(stamp: int) -> bytes:
    return b"\0\1\0\0" + struct.pack("<iI", stamp, 0) + b"whatever follows"


def test_a_message_said_again_is_not_new_but_one_without_a_stamp_is():
    steps = Steps(["image", "action"])
    assert [steps.is_new("image", message(stamp)) for stamp in (1, 1, 2, 1)] == [True, False, True, True]
    assert [steps.is_new("joints", message(0)) for _ in range(3)] == [True] * 3


def test_a_step_is_complete_when_all_its_messages_have_come_in_any_order():
    steps = Steps(["image", "action"])
    steps.is_new("action", message(1))
    assert not steps.is_complete(stamp_in(message(1)))
    steps.is_new("action", message(2))
    steps.is_new("image", message(1))
    assert steps.is_complete(stamp_in(message(1)))
    assert steps.incomplete == 1


def test_steps_that_are_never_complete_do_not_pile_up():
    steps = Steps(["image", "action"])
    for stamp in range(1, 3 * KEPT):
        steps.is_new("image", message(stamp))
    assert steps.incomplete <= KEPT

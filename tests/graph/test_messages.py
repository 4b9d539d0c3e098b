"""Between numpy and ROS messages, there and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import pytest
from sensor_msgs.msg import Image

from parrot.errors import SpaceError
from parrot.nodes.health import ERROR, OK, Health
from parrot.nodes.messages import image_from, image_message, nanoseconds, time_message, vector_from, vector_message
from parrot.nodes.parameters import Range, field_docs
from parrot.spaces import ACTION_NAMES

IMAGE = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)


@pytest.mark.parametrize("stamp", [0, 1, 999_999_999, 1_000_000_000, 1_795_436_689_985_475_278])
def test_stamps(stamp):
    assert nanoseconds(time_message(stamp)) == stamp


def test_images():
    message = image_message(IMAGE, 5)
    assert np.array_equal(image_from(message), IMAGE)
    assert nanoseconds(message.header.stamp) == 5


def test_rows_with_padding():
    padded = np.zeros((48, 160), np.uint8)
    padded[:, :144] = IMAGE.reshape(48, 144)
    message = Image(height=48, width=48, encoding="rgb8", step=160, data=padded.tobytes())
    assert np.array_equal(image_from(message), IMAGE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"encoding": "bgr8"}, "bgr8 48x48"),
        ({"encoding": ""}, "no encoding"),
        ({"width": 64}, "rgb8 64x48"),
        ({"step": 100}, "rows of 100"),
        ({"data": b"123"}, "3 bytes"),
    ],
)
def test_what_is_no_observation_is_named(change, words):
    fields = {"height": 48, "width": 48, "encoding": "rgb8", "step": 144, "data": IMAGE.tobytes(), **change}
    with pytest.raises(SpaceError, match=words):
        image_from(Image(**fields))


def test_vectors():
    values = np.linspace(-1, 1, 7)
    message = vector_message(ACTION_NAMES, values, 7)
    assert np.array_equal(vector_from(message, ACTION_NAMES, "action"), values)
    message.name = list(reversed(message.name))
    assert np.array_equal(vector_from(message, ACTION_NAMES, "action"), values[::-1])


def test_a_name_that_stands_twice_is_refused():
    with pytest.raises(SpaceError, match="expected 2 named a, b"):
        vector_from(vector_message(["a", "a"], [1, 2], 0), ["a", "b"], "thing")


def test_health_tells_counts_rates_and_durations():
    health = Health()
    for _ in range(3):
        health.count("steps")
        health.took("step", 0.002)
    values = health.values()
    assert values["steps"] == "3"
    assert values["step, median and 95% in ms"] == "2.00 2.00"
    assert health.level() == (OK, "running")
    health.trouble(ERROR, "bad")
    assert health.level() == (ERROR, "bad")


@dataclass(frozen=True)
class Example:
    one: Annotated[int, Range(0, 1)] = 0
    """What one
    is."""
    two: Literal["a", "b"] = "a"
    """And two."""
    three: int = 3


def test_docstrings_of_fields_are_read():
    assert field_docs(Example) == {"one": "What one is.", "two": "And two."}

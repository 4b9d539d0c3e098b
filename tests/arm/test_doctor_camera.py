"""The doctor's checks of the camera, and the preview of its crop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from doctor_rig import CAMERA, ROBOT, Picture, found, healthy, pictures, troubles, view, with_topic
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot.arm.doctor.camera import check_crop, check_view, preview
from parrot.arm.doctor.seen import Endpoint, Topic
from parrot.errors import SpaceError
from parrot.observe import crop_box, observe

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"


VIEW = view()


def camera(**changes: object):
    return replace(ROBOT, camera=replace(ROBOT.camera, **changes))


def test_a_camera_under_another_name_is_found_and_told():
    finding = found(healthy(), "camera", "topic", camera(topic="/nowhere"))
    assert finding.level == "failure"
    assert CAMERA in finding.remedy


@pytest.mark.parametrize(
    ("publishers", "words"),
    [
        ((Endpoint("camera", COMPRESSED),), "not sensor_msgs/msg/Image"),
        ((Endpoint("left", IMAGE), Endpoint("right", IMAGE)), "left, right"),
    ],
)
def test_one_publisher_of_the_right_type_is_wanted(publishers, words: str):
    finding = found(with_topic(CAMERA, Topic(publishers)), "camera", "topic")
    assert finding.level == "failure" and words in finding.value


def test_no_picture_is_a_failure():
    assert troubles(healthy(pictures=(), view=None)) == {("failure", "camera", "topic")}


@pytest.mark.parametrize(("hz", "level"), [(30.0, "ok"), (26.0, "ok"), (15.0, "warning"), (8.0, "failure")])
def test_the_rate_is_held_against_the_yaml_and_the_control_rate(hz: float, level: str):
    assert found(healthy(pictures=pictures(40, hz=hz)), "camera", "rate").level == level


def test_a_gap_in_which_the_arm_would_stop_is_a_warning():
    shown = pictures()
    assert troubles(healthy(pictures=shown[:60] + shown[80:])) == {("warning", "camera", "rate")}


def test_large_pictures_sent_best_effort_are_a_warning_and_small_ones_not():
    offered = Topic((Endpoint("camera", IMAGE, reliable=False),))
    assert troubles(with_topic(CAMERA, offered)) == {("warning", "camera", "quality of service")}
    assert troubles(with_topic(CAMERA, offered, pictures=pictures(size=(160, 120)))) == set()


def test_pictures_that_cannot_be_used_say_why():
    bad = pictures(error="image encoding '32FC1' is not known; use one of rgb8", encoding="32FC1")
    finding = found(healthy(pictures=bad, view=None), "camera", "pictures")
    assert finding.level == "failure"
    assert "32FC1" in finding.value and "rgb8" in finding.remedy


def test_stamps_that_run_backwards_are_a_failure():
    shown = pictures()
    turned = (*shown[:60], replace(shown[60], stamp=shown[56].stamp), *shown[61:])
    assert troubles(healthy(pictures=turned)) == {("failure", "camera", "stamps")}


def test_a_frozen_picture_is_a_failure_however_shortly_it_is_looked_at():
    assert ("failure", "camera", "change") in troubles(healthy(pictures=pictures(digest=7)))
    assert ("failure", "camera", "change") in troubles(healthy(pictures=pictures(30, digest=7)))


@pytest.mark.parametrize(("same", "level"), [(20, "ok"), (45, "warning"), (75, "failure")])
def test_a_picture_that_stands_for_a_while_is_judged_by_the_limit(same: int, level: str):
    shown = pictures()
    still = tuple(replace(p, digest=-1) if 10 <= i < 10 + same else p for i, p in enumerate(shown))
    assert found(healthy(pictures=still), "camera", "change").level == level


@settings(max_examples=40, deadline=None)
@given(st.tuples(st.integers(-5, 700), st.integers(-5, 500), st.integers(2, 700), st.integers(2, 500)))
def test_a_crop_is_in_order_just_if_it_fits_is_square_and_large_enough(crop):
    (finding,) = check_crop(VIEW, crop)
    try:
        _, _, width, height = crop_box(640, 480, crop)
    except SpaceError:
        assert finding.level == "failure"
        return
    square = max(width, height) <= 1.05 * min(width, height)
    assert finding.level == ("ok" if square and min(width, height) >= 48 else "warning")
    if not square:
        proposed = tuple(int(n) for n in finding.remedy.partition("[")[2].rstrip("]").split(","))
        side = min(width, height)
        assert crop_box(640, 480, proposed)[2:] == (side, side)


@pytest.mark.parametrize(
    ("shown", "level", "words"),
    [
        (np.zeros((480, 640, 3), np.uint8), "failure", "black"),
        (np.full((480, 640, 3), 255, np.uint8), "failure", "white"),
        (np.full((480, 640, 3), 120, np.uint8), "failure", "flat"),
        (np.where(np.arange(640)[None, :, None] < 250, 255, view()).astype(np.uint8), "warning", "white"),
        (view(), "ok", "mean"),
    ],
)
def test_an_observation_shows_something(shown, level: str, words: str):
    (finding,) = check_view(shown, None)
    assert finding.level == level and words in finding.value


def test_the_preview_shows_picture_crop_and_observation():
    crop = (100, 20, 400, 400)
    shown = preview(view(), crop)
    assert shown.shape == (480, 640 + 480, 3)
    frame = np.zeros((480, 640), bool)
    frame[18:422, 98:502] = True
    frame[24:416, 104:496] = False
    away = (shown[:, :640] != view()).any(axis=2)
    assert away.any() and not (away & ~frame).any()
    assert (shown[5::10, 645::10] == observe(view(), crop)).all()
    with pytest.raises(SpaceError, match="leaves the picture"):
        preview(view(), (600, 0, 200, 200))


def test_a_single_picture_is_enough_to_be_judged():
    assert {thing for _, subject, thing in troubles(healthy(pictures=(Picture(0.0, 1, 1, "bgr8", (640, 480)),)))} == {
        "rate",
    }

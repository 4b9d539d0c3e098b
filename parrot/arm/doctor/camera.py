"""Whether a camera's pictures come, can be read, show something, and are cut to the observation that is meant."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from parrot.arm.doctor.driver import START
from parrot.arm.doctor.finding import Finding, failure, of_error, ok, warning
from parrot.arm.doctor.seen import Seen, full, gap, rate
from parrot.errors import SpaceError
from parrot.observe import crop_box, observe
from parrot.sim.config import RobotConfig
from parrot.sim.hardware import CameraSource
from parrot.spaces import IMAGE_SIZE

__all__ = ["check_camera", "check_crop", "check_pictures", "check_view", "kind_of", "preview"]

SUBJECT = "camera"

KINDS = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
"""Types of pictures."""

SHORT = 0.8
"""Share of the YAML's rate below which a camera is slow."""

DARK, BRIGHT = 12, 243
"""Levels of 255 below and above which a pixel shows nothing."""

BLIND, GLARE = 0.95, 0.2
"""Shares of such pixels in an observation: it shows nothing; it shows too little."""

PLAIN = 4.0
"""Standard deviation (levels) below which an observation is one flat colour."""

SQUARE = 1.05
"""Ratio of a crop's sides above which the observation is visibly stretched."""

LARGE = 200_000
"""Bytes of a picture of which many are lost if it is sent best effort (docs/real_arm.md)."""


def kind_of(topic: str) -> str:
    """The type that camera_node expects on a topic."""
    return KINDS[topic.endswith("/compressed")]


def check_camera(robot: RobotConfig, seen: Seen) -> Iterator[Finding]:
    """All about the camera; what cannot be seen without pictures is left out without them."""
    if robot.camera is None:
        yield failure(SUBJECT, "topic", "the YAML names none", "give it a section camera: with topic, hz and crop")
        return
    found = list(_check_topic(robot.camera, seen))
    yield from found
    if any(finding.level == "failure" for finding in found):
        return
    yield from check_pictures(robot, seen)
    if seen.view is not None:
        yield from check_crop(seen.view, robot.camera.crop)
        yield from check_view(seen.view, robot.camera.crop)


def _check_topic(camera: CameraSource, seen: Seen) -> Iterator[Finding]:
    name, kind = full(camera.topic), kind_of(camera.topic)
    topic = seen.topic(name)
    if not topic.publishers:
        others = [n for n, t in sorted(seen.topics.items()) if any(end.type in KINDS for end in t.publishers)]
        remedy = f"set camera: topic to one of {', '.join(others[:6])}" if others else START
        yield failure(SUBJECT, "topic", f"{name}: nobody publishes it", remedy)
    elif wrong := sorted({end.type for end in topic.publishers} - {kind}):
        remedy = "a name in /compressed means CompressedImage, any other Image: set camera: topic to one that does"
        yield failure(SUBJECT, "topic", f"{name} is {', '.join(wrong)}, not {kind}", remedy)
    elif len(topic.publishers) > 1:
        who = ", ".join(end.node for end in topic.publishers)
        value = f"{len(topic.publishers)} publish {name}: {who}"
        yield failure(SUBJECT, "topic", value, "let one camera alone publish it")
    elif not seen.pictures:
        value = f"{name}: no picture came in {seen.seconds:.1f} s from {topic.publishers[0].node}"
        yield failure(SUBJECT, "topic", value, "cable, exposure, lens? restart the camera's driver")
    else:
        yield ok(SUBJECT, "topic", f"{name}, {kind} of {topic.publishers[0].node}")


def check_pictures(robot: RobotConfig, seen: Seen) -> Iterator[Finding]:
    """Whether they can be read, come at their rate and in order, and change."""
    camera, pictures = robot.camera, seen.pictures
    assert camera is not None
    last = pictures[-1]
    width, height = last.size
    shown = f"{last.encoding or 'none'} {width}x{height}"
    wrong = [picture for picture in pictures if picture.error]
    if wrong:
        value = f"{len(wrong)} of {len(pictures)} pictures cannot be used: {wrong[-1].error.partition('; ')[0]}"
        remedy = wrong[-1].error.partition("; ")[2] or "let the driver publish rgb8, bgr8, or jpeg on …/compressed"
        yield failure(SUBJECT, "pictures", value, remedy)
    else:
        yield ok(SUBJECT, "pictures", shown)
    yield from _check_rate(robot, seen)
    back = sum(after.stamp < before.stamp for before, after in pairwise(pictures))
    if back:
        yield failure(SUBJECT, "stamps", f"run backwards {back} times in {len(pictures)}", "is its clock being set?")
    yield from _check_change(robot, seen)


def _check_rate(robot: RobotConfig, seen: Seen) -> Iterator[Finding]:
    camera = robot.camera
    assert camera is not None
    heard = [picture.heard for picture in seen.pictures]
    hz, longest = rate(heard), gap(heard)
    value = f"{hz:.1f} Hz, longest gap {longest * 1000:.0f} ms; the YAML says {camera.hz:g} Hz"
    reliable = all(end.reliable for end in seen.topic(camera.topic).publishers)
    width, height = seen.pictures[-1].size
    large = kind_of(camera.topic) == KINDS[0] and 3 * width * height > LARGE
    remedy = "set camera: hz, or the driver's frame rate and exposure"
    if large and not reliable:
        remedy = "large pictures sent best effort get lost: let the driver publish reliably, or use …/compressed"
    if hz < robot.control_hz:
        yield failure(SUBJECT, "rate", f"{value}, control_hz is {robot.control_hz:g}", remedy)
    elif longest > robot.safety.camera_stale:
        yield warning(SUBJECT, "rate", f"{value}; the arm stops after {robot.safety.camera_stale:g} s", remedy)
    elif hz < SHORT * camera.hz:
        yield warning(SUBJECT, "rate", value, remedy)
    else:
        yield ok(SUBJECT, "rate", value)
    quality = "reliable" if reliable else "best effort"
    if large and not reliable:
        yield warning(SUBJECT, "quality of service", f"{quality}, {width}x{height} uncompressed", remedy)
    else:
        yield ok(SUBJECT, "quality of service", f"{quality}, which camera_node takes")


def _check_change(robot: RobotConfig, seen: Seen) -> Iterator[Finding]:
    """Whether the observation changes: a sensor's noise alone does that, so the same one for long is a still."""
    pictures, limit = [picture for picture in seen.pictures if not picture.error], robot.safety.camera_frozen
    runs = [list(run) for _, run in groupby(pictures, key=lambda picture: picture.digest)]
    if not runs:
        return
    longest = max(run[-1].heard - run[0].heard for run in runs)
    if len(pictures) > 2 and (len(runs) == 1 or longest > limit):
        value = f"the same observation for {longest:.1f} s; the arm stops after {limit:g} s"
        yield failure(SUBJECT, "change", value, "is it frozen? restart the driver, and look at --picture")
    elif longest > limit / 2:
        value = f"the same observation for up to {longest:.1f} s; the arm stops after {limit:g} s"
        yield warning(SUBJECT, "change", value, "does it filter noise away? turn that off, or raise camera_frozen")
    else:
        yield ok(SUBJECT, "change", f"{len(runs)} different observations in {len(pictures)} pictures")


def check_crop(view: NDArray[np.uint8], crop: tuple[float, ...] | None) -> Iterator[Finding]:
    """Whether the crop lies in the picture, is square, and holds as many pixels as the observation.

    Args:
        view: (rows, columns, 3) uint8.
        crop: As in the YAML.
    """
    rows, columns = view.shape[:2]
    try:
        x, y, width, height = crop_box(columns, rows, crop)
    except SpaceError as error:
        yield of_error(SUBJECT, "crop", error)
        return
    value = f"x {x}, y {y}, {width}x{height} of {columns}x{rows}"
    side = min(width, height)
    square = f"[{x + (width - side) // 2}, {y + (height - side) // 2}, {side}, {side}]"
    if max(width, height) > SQUARE * side:
        yield warning(SUBJECT, "crop", f"{value} is not square: the observation is stretched", f"crop: {square}")
    elif side < IMAGE_SIZE:
        value += f" is smaller than the observation, {IMAGE_SIZE}x{IMAGE_SIZE}"
        yield warning(SUBJECT, "crop", value, "crop less, or move the camera nearer")
    else:
        yield ok(SUBJECT, "crop", value)


def check_view(view: NDArray[np.uint8], crop: tuple[float, ...] | None) -> Iterator[Finding]:
    """Whether the observation shows something: not black, not white, not all the same."""
    try:
        image = observe(view, crop)
    except SpaceError:
        return  # told by `check_crop`
    levels = image.max(axis=2)
    dark, bright = float((levels < DARK).mean()), float((image.min(axis=2) > BRIGHT).mean())
    spread = float(image.std(axis=(0, 1)).max())
    value = f"mean {image.mean():.0f}, black {dark:.0%}, white {bright:.0%}, spread {spread:.0f} of 255"
    if dark > BLIND:
        yield failure(SUBJECT, "light", f"black: {value}", "lens cap, light, exposure?")
    elif bright > BLIND:
        yield failure(SUBJECT, "light", f"white: {value}", "lower exposure and gain")
    elif spread < PLAIN:
        yield failure(SUBJECT, "light", f"one flat colour: {value}", "what is before the lens? look at --picture")
    elif max(dark, bright) > GLARE:
        yield warning(SUBJECT, "light", value, "change light, exposure or crop until the table is well seen")
    else:
        yield ok(SUBJECT, "light", value)


def preview(view: NDArray[np.uint8], crop: tuple[float, ...] | None) -> NDArray[np.uint8]:
    """The whole picture with the crop drawn, and beside it the observation, enlarged to the same height.

    Args:
        view: (rows, columns, 3) uint8 RGB.
        crop: As in the YAML.

    Returns:
        (rows, columns + rows, 3) uint8 RGB.

    Raises:
        SpaceError: the crop leaves the picture.
    """
    rows, columns = view.shape[:2]
    x, y, width, height = crop_box(columns, rows, crop)
    drawn = view.copy()
    thick = max(1, rows // 240)
    cv2.rectangle(drawn, (x, y), (x + width - 1, y + height - 1), (255, 40, 40), thick)
    large = cv2.resize(observe(view, crop), (rows, rows), interpolation=cv2.INTER_NEAREST)
    return np.concatenate([drawn, np.asarray(large, np.uint8)], axis=1)

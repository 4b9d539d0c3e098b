"""camera_node on real DDS: any picture to the observation, and no picture that it cannot use ends it."""

from __future__ import annotations

from array import array

import cv2
import numpy as np
import pytest
from graph_tools import Spy, World
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image

from parrot.nodes import topics
from parrot.nodes.messages import image_from, nanoseconds, time_message
from parrot.observe import observe

RAW, JPEG = "lab/image", "lab/image/compressed"
CROP = (100, 20, 400, 400)


def scene(level: int = 0) -> np.ndarray:
    """A picture (480, 640, 3) whose colours and corners all differ."""
    rows, columns = np.mgrid[0:480, 0:640]
    return np.stack([rows // 2, columns // 3, np.full_like(rows, 40 + level)], -1).astype(np.uint8)


class Camera:
    """A lab's camera, and who hears the observations."""

    def __init__(self, spy: Spy) -> None:
        self.spy = spy
        self.seen: list[tuple[int, np.ndarray]] = []
        self.raw = spy.node.create_publisher(Image, RAW, topics.SENSOR)
        self.jpeg = spy.node.create_publisher(CompressedImage, JPEG, qos_profile_sensor_data)
        spy.node.create_subscription(Image, topics.OBSERVATION, self.keep, topics.NEWEST)
        self.stamp = 0

    def keep(self, message: Image) -> None:
        self.seen.append((nanoseconds(message.header.stamp), image_from(message).copy()))

    def show(self, pixels: np.ndarray, encoding: str, short: int = 0) -> int:
        self.stamp += 1_000_000
        message = Image(height=480, width=640, encoding=encoding, step=pixels.nbytes // 480)
        message.data = array("B", pixels.tobytes()[: pixels.nbytes - short])
        message.header.stamp = time_message(self.stamp)
        self.raw.publish(message)
        return self.stamp

    def show_jpeg(self, data: bytes) -> int:
        self.stamp += 1_000_000
        message = CompressedImage(format="bgr8; jpeg compressed bgr8", data=array("B", data))
        message.header.stamp = time_message(self.stamp)
        self.jpeg.publish(message)
        return self.stamp

    def sees(self, show) -> tuple[int, np.ndarray]:
        """Shows something until it is observed; the observation."""
        shown: set[int] = set()

        def there() -> bool:
            shown.add(show())
            self.spy.spin(0.05)
            return bool(self.seen) and self.seen[-1][0] in shown

        self.spy.wait(there, 20, "an observation")
        return self.seen[-1]

    def says(self, key: str) -> int:
        return int(self.spy.status.get("camera_node", {}).get(key, 0))


@pytest.fixture(scope="module")
def node(shared_world: World):
    crop = ", ".join(map(str, CROP))
    return shared_world.node("camera_node", topic=RAW, crop=f'"{crop}"', silence=0.5, frozen=0.5)


@pytest.fixture(scope="module")
def camera(node, shared_spy: Spy) -> Camera:
    return Camera(shared_spy)


def test_a_picture_is_cropped_resized_and_keeps_its_stamp(camera):
    for encoding, pixels in (("rgb8", scene()), ("bgr8", scene()[:, :, ::-1].copy())):
        camera.seen.clear()
        _, image = camera.sees(lambda p=pixels, e=encoding: camera.show(p, e))
        assert np.array_equal(image, observe(scene(), CROP))


@pytest.mark.parametrize(("encoding", "short"), [("32FC1", 0), ("rgb8", 1000), ("", 0)])
def test_a_picture_that_cannot_be_used_is_counted_and_does_not_end_the_node(camera, node, encoding, short):
    before = camera.says("picture refused")
    camera.spy.wait(lambda: camera.show(scene(), encoding, short) and camera.says("picture refused") > before)
    camera.sees(lambda: camera.show(scene(), "rgb8"))
    assert node.process.poll() is None


def test_silence_and_a_frozen_picture_are_told(camera, node):
    camera.spy.wait(lambda: camera.says("silences"), what="silence")
    assert "no picture on /lab/image" in node.output
    camera.spy.wait(lambda: camera.show(scene(), "rgb8") and camera.says("freezes"), what="a freeze")
    assert "has not changed" in node.output


def test_pictures_that_come_too_fast_are_not_unpacked(camera):
    camera.sees(lambda: camera.show(scene(), "rgb8"))
    pictures, seen = camera.says("pictures"), len(camera.seen)
    for level in range(60):  # 100 a second; three for each of ten control steps are wanted
        camera.show(scene(level), "rgb8")
        camera.spy.spin(0.01)
    camera.spy.wait(lambda: camera.says("pictures") >= pictures + 50, what="pictures")
    assert 10 < len(camera.seen) - seen < 40


def test_compressed_pictures_and_what_is_none(world: World, spy: Spy):
    node = world.node("camera_node", topic=JPEG)
    camera = Camera(spy)
    data = cv2.imencode(".jpg", scene()[:, :, ::-1])[1].tobytes()
    _, image = camera.sees(lambda: camera.show_jpeg(data))
    assert np.abs(image.astype(int) - observe(scene())).mean() < 4
    spy.wait(lambda: camera.show_jpeg(data[:50]) and camera.says("picture refused"), what="a refusal")
    assert node.process.poll() is None


def test_a_crop_that_is_none_is_one_line(world: World):
    node = world.node("camera_node", robot="xarm6", crop='"1, 2"')
    assert node.wait() == 2
    assert "parrot: crop '1, 2': give x, y, width, height" in node.output
    assert "Traceback" not in node.output

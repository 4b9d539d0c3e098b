"""Bags as others record them, written with rosbags; pictures carry their number, so that the truth is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from parrot.spaces import ACTION_NAMES, OUTCOME_NAMES

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


def numbered(number: int, width: int = 64, height: int = 48) -> np.ndarray:
    """A plain picture, (rows, columns, 3), whose colour is its number."""
    return np.broadcast_to(np.array([number % 251, number // 251, 77], np.uint8), (height, width, 3)).copy()


def number_of(image: np.ndarray) -> int:
    """The inverse, from an observation of an rgb picture."""
    red, green, blue = image[24, 24].astype(int)
    assert blue == 77
    assert (image == image[24, 24]).all()
    return int(red + 251 * green)


@dataclass
class Lab:
    """Makes messages of a distribution's types, and bags of them."""

    distribution: str = "ros2_jazzy"
    rows: list = field(default_factory=list)

    def __post_init__(self):
        self.store = get_typestore(Stores(self.distribution))
        self.kinds: dict[str, str] = {}

    def make(self, kind: str, *values, **named):
        return self.store.types[kind](*values, **named)

    def header(self, stamp: int, frame: str = "base"):
        # Seconds are signed; a clock may run before 1970.
        time = self.make("builtin_interfaces/msg/Time", stamp // SECOND, stamp % SECOND)
        return self.make("std_msgs/msg/Header", time, frame)

    def add(self, topic: str, kind: str, message, receive: int) -> None:
        self.kinds[topic] = kind
        self.rows.append((topic, receive, bytes(self.store.serialize_cdr(message, kind))))

    def image(self, topic, picture, stamp, receive=None, encoding="rgb8", pad=0):
        height, width = picture.shape[:2]
        row = picture.reshape(height, -1)
        data = np.pad(row, ((0, 0), (0, pad)), constant_values=99)
        message = self.make(
            "sensor_msgs/msg/Image",
            self.header(stamp),
            height,
            width,
            encoding,
            0,
            row.shape[1] + pad,
            data.reshape(-1),
        )
        self.add(topic, "sensor_msgs/msg/Image", message, stamp if receive is None else receive)

    def vector(self, topic, names, values, stamp, receive=None):
        nothing = np.zeros(0)
        message = self.make(
            "sensor_msgs/msg/JointState",
            self.header(stamp),
            list(names),
            np.asarray(values, np.float64),
            nothing,
            nothing,
        )
        self.add(topic, "sensor_msgs/msg/JointState", message, stamp if receive is None else receive)

    def marker(self, text, receive):
        self.add("/marker", "std_msgs/msg/String", self.make("std_msgs/msg/String", text), receive)

    def pose(self, topic, position, stamp, receive=None):
        point = self.make("geometry_msgs/msg/Point", *map(float, position))
        turn = self.make("geometry_msgs/msg/Quaternion", 1.0, 0.0, 0.0, 0.0)  # the tool points down
        pose = self.make("geometry_msgs/msg/Pose", point, turn)
        message = self.make("geometry_msgs/msg/PoseStamped", self.header(stamp), pose)
        self.add(topic, "geometry_msgs/msg/PoseStamped", message, stamp if receive is None else receive)

    def step(self, number, stamp, action, outcome, receive=None, picture=None):
        """A step of parrot's loop."""
        self.image("/camera/image", numbered(number, 48) if picture is None else picture, stamp, receive)
        self.vector("/action", ACTION_NAMES, action, stamp, receive)
        self.vector("/outcome", OUTCOME_NAMES, outcome, stamp, receive)

    def write(
        self, path: Path, storage: str = "mcap", compression: str = "none", about: dict | None = None, version: int = 9
    ) -> Path:
        """The bag, its messages in the order of reception."""
        plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
        writer = Writer(path, version=version, storage_plugin=plugin)
        if compression != "none":
            writer.set_compression(getattr(CompressionMode, compression.upper()), CompressionFormat.ZSTD)
        for key, value in (about or {}).items():
            writer.set_custom_data(key, value)
        with writer:
            connections = {t: writer.add_connection(t, k, typestore=self.store) for t, k in self.kinds.items()}
            for topic, receive, data in self.rows:
                writer.write(connections[topic], receive, data)
        return path


ABOUT = {"task": "tea", "robot": "xarm6"}


def loop_episodes(lab: Lab, lengths, start: int = START, period: int = SECOND // 10, seed: int = 0, success=None):
    """Episodes of parrot's loop in the lab's bag; what they hold: images' numbers, stamps, actions, rewards."""
    rng, truth, number, stamp = np.random.default_rng(seed), [], 0, start
    for episode, length in enumerate(lengths):
        won = True if success is None else success[episode]
        images, stamps, actions, rewards = [], [], [], []
        for step in range(length):
            action = rng.uniform(-1, 1, 7).astype(np.float32)
            last = step == length - 1
            lab.step(number, stamp, action, [float(last and won), last and won, False, last, step])
            images.append(number)
            stamps.append(stamp)
            actions.append(action)
            rewards.append(float(last and won))
            number, stamp = number + 1, stamp + period
        truth.append((images, stamps, np.array(actions), rewards, won))
    return truth

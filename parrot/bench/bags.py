"""Bags to a dataset: a lab's camera at 640×480 and 30 Hz with joint states at 100 Hz, beside a loop written by hand."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from parrot.bench.measure import Row, alternate
from parrot.data.rosbag.convert import Conversion, convert
from parrot.data.rosbag.mapping import EpisodeRule, Mapping
from parrot.sim.config import load_robot
from parrot.spaces import ACTION_NAMES, IMAGE_SIZE

__all__ = ["converting", "converting_peak", "synthetic_bag"]

SECONDS = 10
"""Length of the bag that is timed."""

LARGER = 10
"""How many times as long the bag is whose peak of memory is compared with it."""

NOISE = 5
"""Shades by which the pictures of compressed bags vary from pixel to pixel."""

PICTURES = 8
"""Different ones, one after the other: more than zstd remembers, or it would take them for one."""

WIDTH, HEIGHT, IMAGE_HZ, JOINT_HZ, CONTROL_HZ = 640, 480, 30, 100, 10

MAPPING = Mapping(
    episodes=EpisodeRule(by="length", length=2.5), robot="xarm6", control_hz=CONTROL_HZ, camera="synthetic"
)


def converting(runs: int, seed: int) -> list[Row]:
    """A second of recording, as MCAP without compression and with zstd by file and by message."""
    return [_converting(mode, runs, seed) for mode in ("none", "file", "message")]


def _converting(mode: str, runs: int, seed: int) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        bag, large = Path(folder, "small"), Path(folder, "large")
        synthetic_bag(bag, SECONDS, seed, mode)
        size = sum(p.stat().st_size for p in bag.iterdir())

        def each_second(convert_it: Callable[[Path], object]) -> Callable[[], float]:
            def run() -> float:
                began = time.perf_counter()
                convert_it(bag)
                return (time.perf_counter() - began) / SECONDS

            return run

        took = alternate(
            {"ours": each_second(_ours), "theirs": each_second(_by_hand), "floor": each_second(_read)}, runs
        )
        synthetic_bag(large, LARGER * SECONDS, seed, mode)
        peaks = [_peak(path) for path in (bag, large)]
    rate = size / SECONDS / took["ours"] * 1e3
    packed = "" if mode == "none" else f", zstd by {mode}"
    return Row(
        workload=f"bags: 640×480 bgr8 at 30 Hz, joint states at 100 Hz, MCAP{packed}", unit="ms a second of recording",
        ours=took["ours"], peer="AnyReader, every message deserialised, cv2.resize of every image",
        theirs=took["theirs"], goal=1.0, floor="reading the file", least=took["floor"], runs=runs, seed=seed,
        note=f"{1e3 / took['ours']:.0f} times real time, {rate / 1e6:.0f} MB/s; peak memory {peaks[0]:.0f} MB with "
        f"{size / 1e6:,.0f} MB of bag, {peaks[1]:.0f} MB with {LARGER} times as much",
    )  # fmt: skip


def synthetic_bag(path: Path, seconds: float, seed: int, compression: str = "none") -> None:
    """Writes a bag with pictures, joint states, and actions that answer every third picture.

    Args:
        path: The bag's folder.
        seconds: Its length.
        seed: Of pictures, joints and actions.
        compression: `none`, whose pictures are noise; `file` or `message`: zstd, of a scene with a sensor's noise.
    """
    store, rng = get_typestore(Stores.ROS2_JAZZY), np.random.default_rng(seed)
    types = store.types
    stamp_type, header_type = types["builtin_interfaces/msg/Time"], types["std_msgs/msg/Header"]
    image_type, vector_type = "sensor_msgs/msg/Image", "sensor_msgs/msg/JointState"
    make = _noise if compression == "none" else _scene
    pictures = [make(rng) for _ in range(PICTURES)]
    topics = {"/camera/image": image_type, "/joint_states": vector_type, "/action": vector_type}
    writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
    if compression != "none":
        writer.set_compression(CompressionMode[compression.upper()], CompressionFormat.ZSTD)
    with writer:
        connections = {topic: writer.add_connection(topic, kind, typestore=store) for topic, kind in topics.items()}
        events = [(n / IMAGE_HZ, 0, n) for n in range(int(seconds * IMAGE_HZ))]
        events += [(n / JOINT_HZ, 1, n) for n in range(int(seconds * JOINT_HZ))]
        events += [(n / CONTROL_HZ, 2, n) for n in range(int(seconds * CONTROL_HZ))]
        for when, what, number in sorted(events):
            stamp = 1_700_000_000_000_000_000 + round(when * 1e9)
            header = header_type(stamp_type(stamp // 10**9, stamp % 10**9), "camera")
            topic, kind = list(topics.items())[what]
            nothing = np.zeros(0)
            if what == 0:
                picture = pictures[number % PICTURES]
                message = types[kind](header, HEIGHT, WIDTH, "bgr8", 0, 3 * WIDTH, picture)
            elif what == 1:
                message = types[kind](header, [f"joint{i}" for i in range(6)], rng.normal(size=6), nothing, nothing)
            else:
                message = types[kind](header, list(ACTION_NAMES), rng.uniform(-1, 1, 7), nothing, nothing)
            writer.write(connections[topic], stamp, store.serialize_cdr(message, kind))


def _noise(rng: np.random.Generator) -> NDArray[np.uint8]:
    return rng.integers(0, 256, HEIGHT * WIDTH * 3, np.uint8)


def _scene(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture, flattened, that zstd packs about as well as a camera's: smooth, with noise in the last bits."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    smooth = np.stack([rows // 3, columns // 4, (rows + columns) // 6], axis=-1)
    return (smooth + rng.integers(0, NOISE, smooth.shape)).astype(np.uint8).reshape(-1)


def converting_peak(bag: Path) -> None:
    """Converts in a process of its own and prints that process's peak of memory, MB."""
    _ours(bag)
    # Not ru_maxrss of getrusage, which begins at the peak of whoever started this process.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(int(status["VmHWM"].split()[0]) * 1024 / 1e6)


def _ours(bag: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        convert([bag], Path(folder, "data"), MAPPING, Conversion(robot=load_robot, worlds={}))


def _by_hand(bag: Path) -> None:
    """What a user would write: all messages deserialised, all images resized and kept."""
    images: list[Any] = []
    actions: list[Any] = []
    joints: list[Any] = []
    with AnyReader([bag]) as reader:
        for connection, _, raw in reader.messages():
            message: Any = reader.deserialize(raw, connection.msgtype)
            if connection.topic == "/camera/image":
                picture = message.data.reshape(message.height, message.width, 3)[:, 80:560, ::-1]
                images.append(cv2.resize(picture, (IMAGE_SIZE, IMAGE_SIZE), interpolation=cv2.INTER_AREA))
            elif connection.topic == "/action":
                actions.append(message.position)
            else:
                joints.append(message.position)
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder, "data.npz"), images=images, actions=actions, joints=joints)


def _read(bag: Path) -> None:
    """Reads the files and does nothing with them."""
    for path in bag.iterdir():
        with open(path, "rb", buffering=0) as file:
            while file.read(1 << 20):
                pass


def _peak(bag: Path) -> float:
    """Peak of memory of a conversion, MB."""
    code = (
        f"from pathlib import Path; from parrot.bench.bags import converting_peak; converting_peak(Path({str(bag)!r}))"
    )
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)

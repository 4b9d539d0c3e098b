"""A full disk ends the recording with one line and an exit code, and leaves every kept episode readable."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from graph_tools import Running, Spy, World, one_line_error
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from parrot.nodes import topics

SIZE_MB = 3


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no right to mount a disk: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def record_until_it_stops(spy: Spy, running: Running) -> tuple[int, str]:
    """Episodes that the recorder called kept before it ended, and its last answer."""
    images = spy.node.create_publisher(Image, topics.IMAGE, topics.LOOP)
    begin, success = (spy.node.create_client(Trigger, f"recorder_node/{m}") for m in ("start", "success"))
    for client in (begin, success):
        spy.wait(client.service_is_ready, what="the recorder's services")
    spy.wait(images.get_subscription_count, what="the recorder's ear")
    image = Image(height=240, width=320, encoding="rgb8", step=960, data=bytes(320 * 240 * 3))
    kept, last = 0, ""

    def answer(client) -> str | None:
        """What the recorder answers, unless it ends."""
        future = client.call_async(Trigger.Request())
        while not future.done() and running.process.poll() is None:
            spy.executor.spin_once(timeout_sec=0.05)
        return future.result().message if future.done() and future.result().success else None

    while answer(begin) is not None and kept < 100:
        for _ in range(2):
            image.header.stamp.nanosec += 1
            images.publish(image)
            spy.spin(0.02)
        if (found := answer(success)) is None:
            break
        kept, last = kept + 1, found
    return kept, last


def check(running: Running, bag: Path, kept: int, last: str, reason: str) -> None:
    assert running.wait(10) == 6, running.output
    line = one_line_error(running.output)
    assert f"{bag}: recording has stopped ({reason}); " in line
    assert f"{last}, all of them safe" in line
    assert 2 <= kept < 100
    with AnyReader([bag]) as reader:  # complete as it is: nobody has to recover it
        markers = [c for c in reader.connections if c.topic == "/marker"]
        found = [reader.deserialize(raw, c.msgtype).data for c, _, raw in reader.messages(markers)]
        images = [c for c in reader.connections if c.topic == "/camera/image"]
        shown = sum(1 for _ in reader.messages(images))
    assert found[: 2 * kept] == ["start", "success"] * kept
    assert shown >= 2 * kept


def test_a_full_disk(world: World, spy: Spy, small_disk: Path):
    bag = small_disk / "bag"
    running = world.node("recorder_node", bag=bag)
    kept, last = record_until_it_stops(spy, running)
    check(running, bag, kept, last, "No space left on device")
    assert "0.0 GB left on the disk; free some space" in running.output


def test_a_file_as_large_as_the_system_allows(world: World, spy: Spy):
    bag = world.folder / "bag"
    command = f"import os, resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({SIZE_MB << 20},) * 2);"
    words = shlex.join(["-m", "parrot.nodes.recorder_node", "--ros-args", "-p", f"bag:={bag}"])
    code = f"{command} import sys; os.execv(sys.executable, [sys.executable, *{shlex.split(words)!r}])"
    running = world.start("-c", code)
    kept, last = record_until_it_stops(spy, running)
    check(running, bag, kept, last, "File too large")

"""Bags compressed as whole files: read while they are decompressed, in little memory, within the disk's room."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from backports import zstd
from bag_makers import ABOUT, Lab, loop_episodes, number_of

from parrot.cli import main
from parrot.data.rosbag.pages import Growing
from parrot.data.rosbag.storage import ALL
from parrot.data.rosbag.storage_mcap import McapFile
from parrot.data.rosbag.unpacking import BLOCK, Unpacking
from parrot.errors import RunError

DISK_MB = 8


@pytest.fixture
def small_disk(tmp_path, monkeypatch) -> Iterator[Path]:
    """The system's temporary folder is a disk of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("no right to mount a disk")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def packed(folder: Path, episodes: list[int], files: int, height: int = 48, declared: bool = True) -> tuple[Path, list]:
    """A bag of several files, as `ros2 bag record --compression-mode file --max-bag-size` leaves it."""
    lab = Lab()
    truth = loop_episodes(lab, episodes)
    for k in range(len(lab.rows)):
        topic, receive, data = lab.rows[k]
        if topic == "/camera/image" and height != 48:
            message = lab.store.deserialize_cdr(data, lab.kinds[topic])
            colour = message.data[:3]
            message.height = message.width = height
            message.step, message.data = 3 * height, np.tile(colour, height * height)
            lab.rows[k] = (topic, receive, bytes(lab.store.serialize_cdr(message, lab.kinds[topic])))
    rows, size, folder = lab.rows, -(-len(lab.rows) // files), folder / "bag"
    folder.mkdir()
    names = []
    for k in range(files):
        lab.rows = rows[k * size : (k + 1) * size]
        part = lab.write(folder.parent / f"part_{k}", about=ABOUT)
        names.append(f"bag_{k}.mcap.zstd")
        data = (part / f"part_{k}.mcap").read_bytes()
        if declared:
            (folder / names[-1]).write_bytes(zstd.compress(data))
        else:
            machine = zstd.ZstdCompressor()
            (folder / names[-1]).write_bytes(machine.compress(data) + machine.flush())
    about = yaml.safe_load((part / "metadata.yaml").read_text())
    about["rosbag2_bagfile_information"] |= {
        "relative_file_paths": names, "compression_mode": "file", "compression_format": "zstd"
    }  # fmt: skip
    (folder / "metadata.yaml").write_text(yaml.safe_dump(about))
    return folder, truth


def check(dataset, truth):
    assert [[number_of(image) for image in episode.images] for episode in dataset] == [images for images, *_ in truth]
    for episode, (_, _, actions, _, _) in zip(dataset, truth, strict=True):
        np.testing.assert_array_equal(episode.actions, actions)


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("metadata", [True, False])
def test_a_bag_of_many_files_needs_the_room_of_two(tmp_path, from_bags, small_disk, declared, metadata):
    bag, truth = packed(tmp_path, [4] * 10, files=8, height=300, declared=declared)  # 1.4 MB each, 11 MB in all
    if not metadata:
        (bag / "metadata.yaml").unlink()
    dataset, report = from_bags(bag, task="tea")
    check(dataset, truth)
    assert report.dropped == {}
    assert report.notes == [] or "no metadata.yaml" in report.notes[0]
    assert list(small_disk.iterdir()) == []  # and nothing of it stays


def test_a_bag_for_which_there_is_no_room_is_an_error_of_one_line(tmp_path, small_disk, capsys):
    bag, _ = packed(tmp_path, [4] * 10, files=1, height=300)
    assert main(["data", "from-bags", str(bag), "--out", str(tmp_path / "data")]) == RunError.exit_code
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "bag_0.mcap.zstd has 11 MB or more when it is decompressed; set TMPDIR to a folder with more room" in line
    assert list(small_disk.iterdir()) == []


def test_a_disk_that_fills_up_meanwhile_is_one_too(tmp_path, small_disk, capsys):
    bag, _ = packed(tmp_path, [4] * 10, files=1, height=300, declared=False)  # who knows how large it becomes
    assert main(["data", "from-bags", str(bag), "--out", str(tmp_path / "data")]) == RunError.exit_code
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "bag_0.mcap.zstd cannot be decompressed there: [Errno 28] No space left on device" in line
    assert list(small_disk.iterdir()) == []


def test_what_is_there_is_read_before_the_rest_has_come(tmp_path):
    lab = Lab()
    truth = loop_episodes(lab, [200] * 12)  # 17 MB in chunks of 1 MB
    whole = (lab.write(tmp_path / "bag") / "bag.mcap").read_bytes()
    (tmp_path / "packed").write_bytes(zstd.compress(b""))
    unpacking = Unpacking(tmp_path / "packed", tmp_path / "bag.mcap", threading.Event())
    half, seen = len(whole) // 2, []
    with open(unpacking.target, "wb", buffering=0) as file:
        file.write(whole[:half])
        unpacking.grow(half)

        def read() -> None:
            for topic, _, data in McapFile(unpacking.target, unpacking).messages({"/camera/image"}, lambda _: ALL):
                seen.append((topic, len(data)))

        reader = threading.Thread(target=read)
        reader.start()
        deadline = time.monotonic() + 60
        while len(seen) < 500:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert reader.is_alive() and not unpacking.done
        file.write(whole[half:])
        unpacking.grow(len(whole) - half)
        unpacking.finish()
    reader.join(60)
    assert len(seen) == sum(len(images) for images, *_ in truth)


def test_memory_stays_flat_however_well_a_file_was_packed(tmp_path):
    source, target = tmp_path / "zeros.mcap.zstd", tmp_path / "zeros.mcap"
    source.write_bytes(zstd.compress(bytes(64 * BLOCK)))
    assert source.stat().st_size < BLOCK // 10
    unpacking = Unpacking(source, target, threading.Event())
    tracemalloc.start()
    unpacking.run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert unpacking.wait() == target.stat().st_size == 64 * BLOCK
    assert peak < 8 * BLOCK


def test_frames_one_after_the_other_are_one_file_and_a_view_waits_for_its_end(tmp_path):
    data = np.random.default_rng(0).integers(0, 256, 3 * BLOCK, np.uint8).tobytes()
    source = tmp_path / "x.zstd"
    source.write_bytes(zstd.compress(data[:BLOCK]) + zstd.compress(b"") + zstd.compress(data[BLOCK:]))
    unpacking = Unpacking(source, tmp_path / "x", threading.Event())
    unpacking.target.touch()
    pages = Growing(unpacking)
    thread = threading.Thread(target=unpacking.run)
    thread.start()
    assert pages.view(BLOCK - 5, 3 * BLOCK) == data[BLOCK - 5 :]
    assert pages.view(0, 3 * BLOCK + 1) is None
    thread.join()
    pages.close()
    assert (unpacking.why, unpacking.target.read_bytes()) == ("", data)


@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_a_damaged_file_gives_what_comes_before_and_says_so(tmp_path, from_bags, damage):
    bag, truth = packed(tmp_path, [6] * 40, files=1, height=100)
    file = bag / "bag_0.mcap.zstd"
    data = bytearray(file.read_bytes())
    if damage == "cut":
        del data[len(data) // 2 :]
    else:
        data[len(data) // 2 : len(data) // 2 + 64] = bytes(range(64))
    file.write_bytes(data)
    dataset, report = from_bags(bag, task="tea")
    assert 0 < len(dataset) < 40
    check(dataset, truth[: len(dataset)])
    why = "is cut off" if damage == "cut" else "is damaged"
    assert any(note.startswith(f"bag_0.mcap.zstd: {why}") for note in report.notes)


def test_a_last_file_with_nothing_in_it_is_left_out(tmp_path, from_bags):
    bag, truth = packed(tmp_path, [4] * 6, files=2)
    shutil.copy(bag / "bag_1.mcap.zstd", tmp_path / "whole")
    (bag / "bag_1.mcap.zstd").write_bytes(b"")
    dataset, report = from_bags(bag, task="tea")
    check(dataset, truth[:3])
    assert any("bag_1.mcap.zstd cannot be read and is left out" in note for note in report.notes)

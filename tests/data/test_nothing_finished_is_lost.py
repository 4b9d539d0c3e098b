import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from data_fakes import MANIFEST, assert_same, make_episode

from parrot.data import Dataset, EpisodeWriter, seal
from parrot.data.index import RECORD
from parrot.errors import DatasetError

HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])])}

ENDLESS = """
import sys
from pathlib import Path
from data_fakes import MANIFEST, make_episode
from parrot.data import EpisodeWriter
with EpisodeWriter(Path(sys.argv[1]), MANIFEST) as writer:
    print(writer.episodes, flush=True)
    while True:
        writer.append(make_episode(writer.episodes, steps=1 + writer.episodes % 40))
        print(writer.episodes, flush=True)
"""


def test_killed_at_any_moment_it_keeps_every_finished_episode(tmp_path):
    rng, told = np.random.default_rng(0), 0
    for _ in range(8):
        writer = subprocess.Popen(
            [sys.executable, "-c", ENDLESS, str(tmp_path / "d")], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
        )
        assert writer.stdout.readline() == f"{told}\n"  # it goes on from what was finished
        time.sleep(rng.uniform(0.0, 0.15))
        os.kill(writer.pid, signal.SIGKILL)
        lines = writer.stdout.read().split()
        writer.wait()
        dataset = Dataset.open(tmp_path / "d")
        # One more may be on disk than the writer had the time to tell.
        assert len(dataset) - int(lines[-1] if lines else told) in (0, 1)
        assert dataset.verify() == []
        told = len(dataset)
    assert told > 8
    for i in (0, told // 2, told - 1):
        assert_same(dataset.episode(i), make_episode(i, steps=1 + i % 40))


@pytest.fixture
def five(tmp_path):
    path = tmp_path / "d"
    with EpisodeWriter(path, MANIFEST) as writer:
        for seed in range(5):
            writer.append(make_episode(seed))
    return path


@pytest.mark.parametrize("tail", [b"x", bytes(RECORD.itemsize), bytes(3 * RECORD.itemsize + 7)])
def test_a_torn_tail_is_ignored_and_then_overwritten(five, tail):
    shard = five / "shards" / "0"
    for file in shard.iterdir():
        with open(file, "ab") as f:
            f.write(tail)
    assert len(Dataset.open(five)) == 5
    with EpisodeWriter(five, MANIFEST) as writer:
        writer.append(make_episode(5, 30))
    assert [e.seed for e in Dataset.open(five)] == list(range(6))
    assert Dataset.open(five).verify() == []


def test_every_cut_through_the_index_keeps_the_whole_records(five):
    index = five / "shards" / "0" / "index.bin"
    data = index.read_bytes()
    for size in range(0, len(data), 13):
        index.write_bytes(data[:size])
        assert len(Dataset.open(five)) == size // RECORD.itemsize


@pytest.mark.parametrize("file", ["images.u8", "actions.f32", "rewards.f32"])
def test_truncated_data_are_refused(five, file):
    path = five / "shards" / "0" / file
    os.truncate(path, path.stat().st_size - 1)
    for use in (Dataset.open, lambda p: EpisodeWriter(p, MANIFEST)):
        with pytest.raises(DatasetError, match=rf"{file} has \d+ bytes, its index needs \d+.*restore"):
            use(five)
    path.unlink()
    with pytest.raises(DatasetError, match=f"{file} has 0 bytes"):
        Dataset.open(five)


def test_a_damaged_record_before_good_ones_is_refused(five):
    index = five / "shards" / "0" / "index.bin"
    data = bytearray(index.read_bytes())
    data[RECORD.itemsize + 3] ^= 1
    index.write_bytes(data)
    with pytest.raises(DatasetError, match="record 1 of 5 is damaged"):
        Dataset.open(five)


def test_a_missing_index_is_refused(five):
    (five / "shards" / "0" / "index.bin").unlink()
    with pytest.raises(DatasetError, match=r"index\.bin"):
        Dataset.open(five)


def test_a_missing_shard_of_a_sealed_dataset_is_noticed(five):
    seal(five)
    shutil.rmtree(five / "shards" / "0")
    with pytest.raises(DatasetError, match="0 of 5 found"):
        Dataset.open(five)
    shutil.rmtree(five / "shards")
    with pytest.raises(DatasetError, match="shards cannot be read"):
        Dataset.open(five)


def test_a_writer_killed_at_its_very_beginning_leaves_no_obstacle(five):
    (five / "shards" / "1").mkdir()
    assert len(Dataset.open(five)) == 5
    assert seal(five).episodes == 5


def test_verification_finds_a_flipped_bit(five):
    assert Dataset.open(five).verify() == []
    with open(five / "shards" / "0" / "images.u8", "r+b") as f:
        f.seek(3 * 5 * 6912 + 100)
        byte = f.read(1)[0]
        f.seek(-1, 1)
        f.write(bytes([byte ^ 4]))
    assert Dataset.open(five).verify() == [3]


FILLING = """
import errno, os, sys
from pathlib import Path
from data_fakes import MANIFEST, make_episode
from parrot.data import EpisodeWriter
from parrot.errors import RunError
real, left = os.pwrite, int(sys.argv[2])
def pwrite(fd, data, offset):
    global left
    if left <= 0:
        raise OSError(errno.ENOSPC, "No space left on device")
    done = real(fd, bytes(data)[:left], offset)
    left -= done
    return done
os.pwrite = pwrite
with EpisodeWriter(Path(sys.argv[1]), MANIFEST) as writer:
    try:
        while True:
            writer.append(make_episode(writer.episodes))
    except RunError as error:
        print(error)
    print(writer.episodes)
    left = 10**9
    writer.append(make_episode(writer.episodes))
"""

EPISODE_BYTES = 5 * (6912 + 28 + 4) + RECORD.itemsize


# The disk fills up within the images, the actions, the index record, and between two episodes.
@pytest.mark.parametrize("room", [3 * EPISODE_BYTES + n for n in (1000, 5 * 6912 + 3, -1, -RECORD.itemsize, 0)])
def test_a_full_disk_loses_nothing_and_writing_goes_on_when_there_is_room(tmp_path, room):
    done = subprocess.run(
        [sys.executable, "-c", FILLING, str(tmp_path / "d"), str(room)],
        capture_output=True, text=True, env=ENVIRONMENT, check=True,
    )  # fmt: skip
    message, count = done.stdout.splitlines()
    assert "the disk is full; free some space" in message
    assert int(count) == room // EPISODE_BYTES
    dataset = Dataset.open(tmp_path / "d")
    assert len(dataset) == int(count) + 1
    assert dataset.verify() == []
    assert_same(dataset.episode(int(count)), make_episode(int(count)))

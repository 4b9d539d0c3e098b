"""Every storage, compression and distribution of rosbag2 gives the same dataset."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import struct
import zlib

import lz4.frame
import numpy as np
import pytest
from backports import zstd
from bag_makers import ABOUT, START, Lab, loop_episodes, number_of

from parrot.data.rosbag import mcap
from parrot.data.rosbag.reader import Bag
from parrot.errors import ConfigError, DatasetError

ATTACHMENT = 9
"""Kind of an MCAP record that rosbag2 does not write."""

DISTRIBUTIONS = ("ros2_humble", "ros2_iron", "ros2_jazzy", "ros2_kilted", "ros2_lyrical", "latest")
STORAGES = [("mcap", "none"), ("mcap", "storage"), ("mcap", "message"), ("mcap", "file"),
            ("sqlite3", "none"), ("sqlite3", "message"), ("sqlite3", "file")]  # fmt: skip


def check(dataset, truth):
    assert len(dataset) == len(truth)
    for episode, (numbers, stamps, actions, rewards, won) in zip(dataset, truth, strict=True):
        assert [number_of(image) for image in episode.images] == numbers
        assert episode.extra["stamps"].tolist() == stamps
        np.testing.assert_array_equal(episode.actions, actions)
        assert episode.rewards.tolist() == rewards
        assert episode.success == won
        assert episode.task == "tea"


@pytest.mark.parametrize(
    ("distribution", "storage", "compression"),
    [("ros2_jazzy", *storage) for storage in STORAGES]
    + [(d, *STORAGES[i]) for d in DISTRIBUTIONS if d != "ros2_jazzy" for i in (1, 2, 4)],
)
def test_all_formats_and_distributions(tmp_path, from_bags, distribution, storage, compression):
    lab = Lab(distribution)
    truth = loop_episodes(lab, [3, 5])
    bag = lab.write(tmp_path / "bag", storage, compression, ABOUT, version=8 if distribution == "ros2_iron" else 9)
    dataset, report = from_bags(bag)
    check(dataset, truth)
    assert (report.found, report.kept, report.steps, report.clipped) == (2, 2, 8, 0)
    assert report.notes == []
    assert dataset.manifest.kind == "bags" and dataset.manifest.complete


@pytest.mark.parametrize(("storage", "compression"), STORAGES)
def test_a_single_file_without_metadata(tmp_path, from_bags, storage, compression):
    lab = Lab()
    truth = loop_episodes(lab, [4])
    bag = lab.write(tmp_path / "bag", storage, compression, ABOUT)
    (file,) = (p for p in bag.iterdir() if p.name != "metadata.yaml")
    dataset, _ = from_bags(file, task="tea")
    check(dataset, truth)
    (bag / "metadata.yaml").unlink()
    dataset, report = from_bags(bag, task="tea", out="other")
    check(dataset, truth)
    assert "no metadata.yaml" in report.notes[0]


def test_a_bag_of_several_files_is_read_in_order(tmp_path, from_bags):
    """As `ros2 bag record --max-bag-duration` leaves it; an episode goes on in the next file."""
    lab = Lab()
    truth = loop_episodes(lab, [4] * 12)
    rows, files = lab.rows, []
    for k in range(12):
        lab.rows = rows[k * 12 - 3 * (k > 0) : k * 12 + 9 + 3 * (k == 11)]
        files.append(lab.write(tmp_path / f"part_{k}"))
    whole = tmp_path / "whole"
    whole.mkdir()
    for k, part in enumerate(files):
        shutil.copy(part / f"part_{k}.mcap", whole / f"whole_{k}.mcap")
    dataset, _ = from_bags(whole, task="tea")  # sorted by number: whole_2 before whole_10
    check(dataset, truth)


def test_metadata_say_what_the_bag_is_about(tmp_path, from_bags):
    lab = Lab()
    loop_episodes(lab, [3])
    bag = lab.write(tmp_path / "bag", about={**ABOUT, "object_split": "test"})
    dataset, _ = from_bags(bag, robot=None)
    assert (dataset.manifest.robot, dataset.manifest.task, dataset.manifest.object_split) == ("xarm6", "tea", "test")
    assert dataset.manifest.renderer == "camera"
    assert dataset.manifest.control_hz == 10.0
    assert dataset.manifest.action_scale == {"translation": 0.04, "rotation": 0.25}
    given, _ = from_bags(bag, task="coffee", robot="xarm6", object_split="train", out="given")
    assert (given.manifest.task, given.manifest.object_split) == ("coffee", "train")


def test_bags_that_do_not_go_together_are_refused(tmp_path, from_bags):
    bags = []
    for split in ("train", "test"):
        lab = Lab()
        loop_episodes(lab, [3], seed=len(bags))
        bags.append(lab.write(tmp_path / split, about={"object_split": split}))
    with pytest.raises(ConfigError, match=r"object_split is test, in .*train it is train; convert them into"):
        from_bags(*bags)
    with pytest.raises(DatasetError, match="the same bag is given twice"):
        from_bags(bags[0], bags[0])
    with pytest.raises(ConfigError, match="says nothing of its robot; give --robot NAME"):
        from_bags(bags[0], robot=None)


def test_what_is_no_bag_is_one_line(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty.mcap").write_bytes(b"")
    (tmp_path / "other.db3").write_bytes(b"hello")
    (tmp_path / "folder").mkdir()
    for name, words in {
        "none": "there is no such bag", "notes.txt": "is no bag; give a folder", "folder": "holds no bag",
        "empty.mcap": "is no MCAP file", "other.db3": "is no SQLite file",
    }.items():  # fmt: skip
        with pytest.raises(DatasetError, match=words) as error:
            Bag(tmp_path / name)
        assert name in str(error.value) and "\n" not in str(error.value)


def test_what_the_recorder_wrote_last_may_stand_in_sqlites_log(tmp_path, from_bags):
    lab = Lab()
    truth = loop_episodes(lab, [4] * 3)
    bag = lab.write(tmp_path / "bag", "sqlite3", about=ABOUT)
    recording = sqlite3.connect(bag / "bag.db3", isolation_level=None)
    rows = list(recording.execute("SELECT * FROM messages WHERE id > 20"))
    recording.execute("DELETE FROM messages WHERE id > 20")
    recording.execute("PRAGMA journal_mode = WAL")
    recording.executemany("INSERT INTO messages VALUES (?, ?, ?, ?)", rows)
    killed = tmp_path / "killed"
    shutil.copytree(bag, killed)  # as a kill leaves it: the log is not yet in the file
    recording.close()
    assert (killed / "bag.db3-wal").stat().st_size > 0
    dataset, _ = from_bags(killed)
    check(dataset, truth)


def test_a_half_written_sqlite_file_says_how_to_repair_it(tmp_path):
    lab = Lab()
    loop_episodes(lab, [4])
    bag = lab.write(tmp_path / "bag", "sqlite3")
    (bag / "bag.db3-journal").write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"undo the half-written rest: sqlite3 bag\.db3 \.tables"):
        Bag(bag)


def zstd_stream(records: bytes) -> bytes:
    """Packed by a writer that does not say beforehand how much comes."""
    machine = zstd.ZstdCompressor()
    return machine.compress(records) + machine.flush()


PACKERS = {"lz4": lz4.frame.compress, "zstd": zstd_stream, "": bytes}


def chunk(records: bytes, compression: str, times: bytes = bytes(16), packed: bytes | None = None) -> bytes:
    packed = PACKERS[compression](records) if packed is None else packed
    head = times + struct.pack("<QI", len(records), zlib.crc32(records))
    return mcap.record(mcap.CHUNK, head + mcap.string(compression) + struct.pack("<Q", len(packed)) + packed)


def records_of(data: bytes):
    """Kind and contents of each record of a file."""
    at = 8
    while at < len(data) - 8:
        body = data[at + 9 : at + 9 + int.from_bytes(data[at + 1 : at + 9], "little")]
        yield data[at], body
        at += 9 + len(body)


def rewritten(file, how, repeat=()):
    """The MCAP file as another recorder would have written it, without the index that its summary holds.

    `how`: lz4, zstd or "" for chunks compressed like that, with checksums; unchunked. `repeat`: kinds of records that
    stand in the summary, too.
    """
    data, repeated = file.read_bytes(), []
    parts = [data[:8]]
    attachment = struct.pack("<QQ", 1, 1) + mcap.string("a") + mcap.string("text/plain") + struct.pack("<Q", 1) + b"x"
    for kind, body in records_of(data):
        if kind == mcap.HEADER:
            parts += [mcap.record(kind, body), mcap.record(ATTACHMENT, attachment + struct.pack("<I", 0))]
        elif kind == mcap.CHUNK:
            records = body[40:]  # after times, size, checksum, no compression, size
            repeated += [mcap.record(k, b) for k, b in records_of(bytes(8) + records + bytes(8)) if k in repeat]
            parts.append(records if how == "unchunked" else chunk(records, how, body[:16]))
        elif kind == mcap.DATA_END:
            break
    body = b"".join([*parts, mcap.record(mcap.DATA_END, bytes(4))])
    footer = struct.pack("<QQI", len(body) if repeated else 0, 0, 0)
    file.write_bytes(b"".join([body, *repeated, mcap.record(mcap.FOOTER, footer), data[:8]]))


REPEATED = [(), (mcap.CHANNEL,), (mcap.SCHEMA,), (mcap.SCHEMA, mcap.CHANNEL)]


@pytest.mark.parametrize("repeat", REPEATED)
@pytest.mark.parametrize("how", ["lz4", "zstd", "", "unchunked"])
def test_mcap_as_other_writers_make_it(tmp_path, from_bags, how, repeat):
    lab = Lab()
    truth = loop_episodes(lab, [4, 5])
    file = lab.write(tmp_path / "bag", about=ABOUT) / "bag.mcap"
    rewritten(file, how, repeat)
    dataset, report = from_bags(file, task="tea")
    check(dataset, truth)
    assert report.notes == []
    assert {t.name: t.type for t in report.topics} == lab.kinds


@pytest.mark.parametrize("compression", ["lz4", "zstd", ""])
def test_chunks_with_nothing_in_them_do_no_harm(tmp_path, from_bags, compression):
    lab = Lab()
    truth = loop_episodes(lab, [4, 5])
    file = lab.write(tmp_path / "bag", about=ABOUT) / "bag.mcap"
    rewritten(file, compression)
    data = file.read_bytes()
    begin = 8 + 9 + len(next(records_of(data))[1])
    file.write_bytes(data[:begin] + chunk(b"", compression) + chunk(b"", compression, packed=b"") + data[begin:])
    dataset, report = from_bags(file, task="tea")
    check(dataset, truth)
    assert report.notes == []


@pytest.mark.parametrize("how", ["lz4", "zstd", "unchunked"])
def test_messages_without_any_bytes_do_no_harm(tmp_path, from_bags, how):
    """As of std_msgs/Empty by some writers."""
    lab = Lab()
    truth = loop_episodes(lab, [4, 5])
    lab.kinds["/nothing"] = "std_msgs/msg/Empty"
    lab.rows[:0] = [("/nothing", START, b"")] * 3
    file = lab.write(tmp_path / "bag", about=ABOUT) / "bag.mcap"
    rewritten(file, how)
    dataset, report = from_bags(file, task="tea")
    check(dataset, truth)
    assert ("/nothing", 3) in [(t.name, t.messages) for t in report.topics]
    assert report.notes == []


@pytest.mark.parametrize("topic", ["/camera/image", "/action", "/outcome"])
@pytest.mark.parametrize(("storage", "compression"), STORAGES)
def test_an_empty_message_costs_its_episode_and_is_told(tmp_path, from_bags, storage, compression, topic):
    lab = Lab()
    truth = loop_episodes(lab, [4, 5, 3])
    place = [i for i, row in enumerate(lab.rows) if row[0] == topic][6]  # in the second
    lab.rows[place] = (*lab.rows[place][:2], b"")
    dataset, report = from_bags(lab.write(tmp_path / "bag", storage, compression, ABOUT))
    check(dataset, [truth[0], truth[2]])
    assert sum(report.dropped.values()) == 1
    assert any(topic in note and "cannot be read" in note for note in report.notes)


def test_a_chunk_whose_checksum_does_not_fit_is_not_used(tmp_path, from_bags):
    lab = Lab()
    truth = loop_episodes(lab, [30] * 6)
    bag = lab.write(tmp_path / "bag", about=ABOUT)
    rewritten(bag / "bag.mcap", "lz4")
    data = bytearray((bag / "bag.mcap").read_bytes())
    chunks = [i for i in range(len(data)) if data[i : i + 4] == b"\x04\x22\x4d\x18"]  # where lz4 begins
    assert len(chunks) == 2
    data[chunks[1] - 17] ^= 1  # the checksum of the second chunk's records
    (bag / "bag.mcap").write_bytes(data)
    dataset, report = from_bags(bag, task="tea")
    assert 0 < len(dataset) < 6
    check(dataset, truth[: len(dataset)])
    assert "has a damaged chunk (its checksum does not fit)" in report.notes[0]


def test_topics_of_types_that_nobody_knows_do_no_harm(tmp_path, from_bags):
    lab = Lab()
    truth = loop_episodes(lab, [4])
    bag = lab.write(tmp_path / "bag", "sqlite3", about=ABOUT)
    with contextlib.closing(sqlite3.connect(bag / "bag.db3")) as db, db:
        db.execute("INSERT INTO topics VALUES (77, '/odd', 'lab_msgs/msg/Odd', 'cdr', '', '')")
        db.execute("INSERT INTO messages VALUES (7777, 77, ?, ?)", (START, b"\x00\x01\x00\x00"))
    (bag / "metadata.yaml").unlink()
    dataset, report = from_bags(bag, task="tea", robot="xarm6")
    check(dataset, truth)
    assert ("/odd", "lab_msgs/msg/Odd", "", 1) in [(t.name, t.type, t.use, t.messages) for t in report.topics]
    with pytest.raises(DatasetError, match=r"/odd is lab_msgs/msg/Odd \(cdr\), whose definition is not in the bag"):
        from_bags(bag, by="gaps", out="other", action={"from": "poses", "topic": "/odd"})


def test_several_bags_make_one_dataset_in_the_order_given(tmp_path, from_bags):
    bags, truths = [], []
    for seed, task in enumerate(("tea", "coffee")):
        lab = Lab()
        truths += loop_episodes(lab, [3, 4], seed=seed)
        bags.append(lab.write(tmp_path / task, about={**ABOUT, "task": task}))
    dataset, _ = from_bags(*bags)
    assert dataset.tasks.tolist() == ["tea", "tea", "coffee", "coffee"]
    assert dataset.manifest.task == ""
    for episode, truth in zip(dataset, truths, strict=True):
        np.testing.assert_array_equal(episode.actions, truth[2])
    alone, _ = from_bags(bags[1], out="alone")
    assert alone.seeds.tolist() == dataset.seeds[2:].tolist()  # an episode's seed is its own

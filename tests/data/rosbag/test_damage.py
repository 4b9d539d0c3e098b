"""A damaged bag yields its intact prefix or a clear refusal, never a wrong episode."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from bag_makers import ABOUT, SECOND, START, Lab, loop_episodes, number_of, numbered

from parrot.data.rosbag.clock import clock_cuts
from parrot.data.rosbag.cutting import cut
from parrot.data.rosbag.filling import fill
from parrot.data.rosbag.mapping import EpisodeRule, Mapping
from parrot.data.rosbag.pairing import candidates
from parrot.data.rosbag.reader import Bag
from parrot.data.rosbag.survey import check_topics, survey
from parrot.data.rosbag.writer import BagWriter
from parrot.errors import ConfigError, DatasetError
from parrot.spaces import ACTION_NAMES

LOOP = Mapping()
GAPS = Mapping(episodes=EpisodeRule(by="gaps", gap=1.0), control_hz=10.0)
MARKERS = Mapping(episodes=EpisodeRule(by="markers", gap=1.0), control_hz=10.0)


def episodes_of(path, mapping):
    """What `convert` would write, without the disk: numbers of images, and actions, of each episode."""
    found = []
    with Bag(path) as bag:
        check_topics(bag, mapping)
        known = survey(bag, mapping)
        mapping = known.mapping
        made = candidates(known, mapping, 10.0)
        for number, filled in fill(bag, known, mapping, made, clock_cuts(known, mapping), None, Counter()):
            for steps, why in cut(made[number], mapping, 10.0):
                if why is None:
                    images = [number_of(image) for image in filled.images[steps]]
                    found.append((images, filled.actions[steps]))
    return found


def lab_with(kind):
    lab = Lab()
    if kind == "loop":
        loop_episodes(lab, [6] * 12)
    else:
        for episode in range(12):
            begin = START + episode * 3 * SECOND
            lab.marker("start", begin - 1)
            for k in range(8):
                stamp = begin + k * SECOND // 10
                lab.image("/camera/image", numbered(8 * episode + k, 96, 72), stamp)
                lab.vector("/action", ACTION_NAMES, np.full(7, (8 * episode + k) / 1024), stamp)
            lab.marker("success", begin + SECOND)
    return lab


def written(lab, path, storage):
    if storage == "recorder":
        writer = BagWriter(path, lab.kinds, ABOUT)
        for topic, receive, data in lab.rows:
            writer.write(topic, receive, data)
            if topic == "/outcome":
                writer.end_episode()
        writer.close()
        return path
    storage, _, compression = storage.partition("+")
    return lab.write(path, storage, compression or "none", ABOUT)


FULL, SOME = 100, 12

CASES = [
    ("lab", "mcap", MARKERS, "cut", FULL),
    ("lab", "sqlite3", MARKERS, "cut", FULL),
    ("lab", "mcap", GAPS, "cut", SOME),
    ("lab", "sqlite3", GAPS, "cut", SOME),
    ("loop", "sqlite3", LOOP, "cut", SOME),
    ("loop", "recorder", LOOP, "cut", SOME),
    ("loop", "recorder", LOOP, "cut, no metadata", SOME),
    ("loop", "recorder", LOOP, "flip", SOME),
    ("loop", "mcap+storage", LOOP, "cut", SOME),
    ("lab", "mcap+message", GAPS, "cut", SOME),
    ("lab", "sqlite3+message", MARKERS, "cut, no metadata", SOME),
    ("lab", "sqlite3+file", MARKERS, "cut", SOME),
]


@pytest.mark.parametrize(("kind", "storage", "mapping", "damage", "count"), CASES)
def test_a_bag_cut_at_random_bytes_gives_its_prefix_or_a_refusal(tmp_path, kind, storage, mapping, damage, count):
    bag = written(lab_with(kind), tmp_path / "bag", storage)
    truth = episodes_of(bag, mapping)
    assert len(truth) == 12
    (file,) = (p for p in bag.iterdir() if p.name != "metadata.yaml")
    whole = file.read_bytes()
    if damage == "cut, no metadata":
        (bag / "metadata.yaml").unlink()
    sizes = np.random.default_rng(len(whole)).integers(1, len(whole), count).tolist()
    for size in [*sizes, len(whole) - 1]:
        if damage == "flip":
            file.write_bytes(whole[:size] + bytes([whole[size] ^ 1 << size % 8]) + whole[size + 1 :])
        else:
            file.write_bytes(whole[:size])
        try:
            found = episodes_of(bag, mapping)
        except (DatasetError, ConfigError) as error:
            line = str(error)
            assert "\n" not in line
            # SQLite begins with its tables, an MCAP chunk has a megabyte: what cannot be read is no more than that.
            assert size < (20_000 if storage == "sqlite3" else 1_200_000) or "+" in storage or damage == "flip"
            continue
        assert len(found) <= len(truth)
        for n, ((images, actions), (true_images, true_actions)) in enumerate(zip(found, truth, strict=False)):
            # Only an episode by gaps may end with the file.
            steps = len(images) if mapping is GAPS and n == len(found) - 1 else len(true_images)
            assert images == true_images[:steps]
            np.testing.assert_array_equal(actions, true_actions[:steps])
        if "+" not in storage and damage == "cut":
            due = int(12 * (size - 1_200_000 * (storage != "sqlite3")) / len(whole)) - 2
            assert len(found) >= due


@pytest.mark.parametrize("storage", ["mcap", "mcap+storage", "sqlite3", "sqlite3+file"])
def test_wrong_bytes_anywhere_are_no_crash(tmp_path, storage):
    """Without checksums a wrong byte in a picture is a wrong picture; one in a length or a name is said in one line."""
    lab = Lab()
    loop_episodes(lab, [4] * 3)
    bag = written(lab, tmp_path / "bag", storage)
    (file,) = (p for p in bag.iterdir() if p.name != "metadata.yaml")
    whole, rng, readable = file.read_bytes(), np.random.default_rng(5), 0
    for n in range(40):
        data, reach = bytearray(whole), (len(whole), 20_000, 3_000)[n % 3]
        for place in rng.integers(0, min(reach, len(whole)), 3).tolist():
            data[place if n % 2 else -1 - place] ^= int(rng.integers(1, 256))
        file.write_bytes(data)
        try:
            with Bag(bag) as opened:
                check_topics(opened, LOOP)
                known = survey(opened, LOOP)
                fitted = known.mapping
                made = candidates(known, fitted, 10.0)
                for number, _ in fill(opened, known, fitted, made, clock_cuts(known, fitted), None, Counter()):
                    cut(made[number], fitted, 10.0)
            readable += 1
        except (DatasetError, ConfigError) as error:
            line = str(error)
            assert line.isprintable()
    assert readable > 0


def test_an_unreadable_picture_costs_its_episode_and_no_other(tmp_path, from_bags):
    lab = Lab()
    truth = loop_episodes(lab, [3, 3, 3])
    topic, receive, data = lab.rows[3 * 4]
    lab.rows[3 * 4] = (topic, receive, data[:-400])  # within the second episode
    topic, receive, data = lab.rows[3 * 7 + 1]
    lab.rows[3 * 7 + 1] = (topic, receive, data[:30])  # an action of the third one
    dataset, report = from_bags(lab.write(tmp_path / "bag", about=ABOUT))
    assert [number_of(image) for image in dataset.episode(0).images] == truth[0][0]
    assert len(dataset) == 1
    assert report.dropped == {"a message in it is damaged": 1, "an action is missing in it": 1}
    assert any("/action: 1 messages cannot be read" in note for note in report.notes)


def test_a_file_that_is_missing_in_the_middle_drops_the_episode_that_spans_it(tmp_path, from_bags):
    lab = Lab()
    loop_episodes(lab, [4, 4, 4])
    rows, parts = lab.rows, []
    for k, piece in enumerate((rows[:18], rows[18:21], rows[21:])):
        lab.rows = piece
        part = lab.write(tmp_path / f"part_{k}")
        parts.append(part / f"part_{k}.mcap")
    whole = tmp_path / "whole"
    whole.mkdir()
    for k in (0, 2):
        (whole / f"whole_{k}.mcap").write_bytes(parts[k].read_bytes())
    dataset, report = from_bags(whole)
    assert len(dataset) == 2
    assert report.dropped == {"an outcome is missing in it": 1}


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("share", [0.001, 0.3, 0.8])
def test_the_report_says_where_a_file_was_cut_off(tmp_path, from_bags, storage, share):
    lab = Lab()
    truth = loop_episodes(lab, [5] * 80)
    bag = lab.write(tmp_path / "bag", storage, about=ABOUT)
    (file,) = (p for p in bag.iterdir() if p.name != "metadata.yaml")
    file.write_bytes(file.read_bytes()[: max(int(share * file.stat().st_size), 100)])
    try:
        dataset, report = from_bags(bag)
    except DatasetError as error:
        line = str(error)
        assert storage == "sqlite3" and share == 0.001
        assert "was cut off within its first bytes; restore it" in line
        return
    assert len(dataset) <= share * 80
    assert len(dataset) > 80 * share - 1.1e6 / 7e3 / 5 or len(dataset) == 0
    for episode, (numbers, *_) in zip(dataset, truth, strict=False):
        assert [number_of(image) for image in episode.images] == numbers
    assert any("only what comes before is used" in note for note in report.notes)
    if len(dataset):
        assert set(report.dropped) <= {"a file ends in it, damaged", "a message in it is damaged"}


def test_a_bag_without_a_message_is_an_empty_dataset(tmp_path, from_bags):
    lab = Lab()
    loop_episodes(lab, [1])
    lab.rows = []
    dataset, report = from_bags(lab.write(tmp_path / "bag", about=ABOUT))
    assert len(dataset) == 0
    assert "no episode was found" in report.notes[0]

"""Merging, splitting and thinning out: nothing is lost, nothing comes twice, and what results is whole or not there."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data_fakes import MANIFEST, assert_same, make_episode
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot.cli import main
from parrot.data import ArraySpec, Dataset, EpisodeWriter, Manifest, seal
from parrot.data.reshape import merge, split, subsample
from parrot.errors import ConfigError, DatasetError, RunError

STAMPED = replace(MANIFEST, extra=(ArraySpec("stamps", "int64", ()), ArraySpec("latents", "float32", (8,))))


def write(path, attempts, manifest=MANIFEST, shards=1, sealed=True, first_seed=0):
    """Attempts: length of each, 0 for one that is not kept; success and task follow from the number."""
    for number, length in enumerate(attempts):
        seed = first_seed + number
        extra = {
            spec.name: (np.arange(length * int(np.prod(spec.shape))) + seed)
            .reshape(length, *spec.shape)
            .astype(spec.dtype)
            for spec in manifest.extra
        }
        task = f"task_{number % 3}"
        with EpisodeWriter(path, manifest, str(number % shards), sync=False) as writer:
            if length:
                writer.append(make_episode(seed, length, task, success=bool(number % 2), extra=extra), number)
            else:
                writer.reject(task, seed, number)
    if not attempts:
        EpisodeWriter(path, manifest).close()
    if sealed:
        seal(path)
    return path


def tallies(*manifests):
    total = Counter()
    for manifest in manifests:
        for task, counts in manifest.tasks.items():
            total.update({(task, name): n for name, n in counts.items() if n})
    return total


LENGTHS = st.lists(st.integers(0, 4), min_size=3, max_size=12).filter(lambda found: np.count_nonzero(found) >= 2)


@settings(max_examples=20, deadline=None)
@given(first=LENGTHS, second=LENGTHS, shards=st.integers(1, 3), sealed=st.booleans())
def test_merging_loses_nothing_and_keeps_the_order(first, second, shards, sealed):
    with tempfile.TemporaryDirectory() as folder:
        a = write(Path(folder) / "a", first, STAMPED, shards, sealed)
        b = write(Path(folder) / "b", second, STAMPED, 1, sealed, first_seed=1000)
        manifest = merge([a, b], Path(folder) / "c")
        merged = Dataset.open(Path(folder) / "c")
        originals = [*Dataset.open(a), *Dataset.open(b)]
        assert len(merged) == manifest.episodes == len(originals)
        for found, wanted in zip(merged, originals, strict=True):
            assert_same(found, wanted)
        assert merged.verify() == []
        assert tallies(manifest) == tallies(seal(a), seal(b))


@settings(max_examples=20, deadline=None)
@given(lengths=LENGTHS, share=st.floats(0.05, 0.95), seed=st.integers(0, 99), shards=st.integers(1, 3))
def test_splitting_and_merging_again_gives_every_episode_once(lengths, share, seed, shards):
    with tempfile.TemporaryDirectory() as folder:
        a, b, c, d = (Path(folder) / name for name in "abcd")
        write(a, lengths, STAMPED, shards)
        episodes = np.count_nonzero(lengths)
        if not 0 < round(share * episodes) < episodes:
            with pytest.raises(ConfigError, match="each part needs one"):
                split(a, (b, c), share=share, seed=seed)
            return
        parts = split(a, (b, c), share=share, seed=seed)
        assert parts[0].episodes == round(share * episodes)
        assert tallies(*parts) == tallies(Manifest.load(a))
        merge([b, c], d)
        by_seed = {episode.seed: episode for episode in Dataset.open(a)}
        found = list(Dataset.open(d))
        assert sorted(episode.seed for episode in found) == sorted(by_seed)
        for episode in found:
            assert_same(episode, by_seed[episode.seed])
        for part in (b, c):
            dataset = Dataset.open(part)
            assert dataset.verify() == []
            assert list(dataset.seeds) == sorted(dataset.seeds)


def test_a_result_says_where_it_comes_from_and_passes_check(tmp_path, capsys):
    a, b = write(tmp_path / "a", [3, 0, 2]), write(tmp_path / "b", [4, 1], first_seed=50)
    assert main(["data", "merge", str(a), str(b), "--out", str(tmp_path / "c")]) == 0
    assert "4 episodes, 10 steps" in capsys.readouterr().out
    manifest = Manifest.load(tmp_path / "c")
    assert manifest.complete
    assert manifest.provenance["made_by"] == "merge"
    for k, source in enumerate((a, b), start=1):
        assert manifest.provenance[f"source_{k}"].startswith(Manifest.load(source).checksum)
    assert (manifest.kind, manifest.task, manifest.seed) == ("collect", "collect", None)
    assert main(["data", "check", str(tmp_path / "c")]) == 0


def test_sources_of_several_kinds_make_a_mixed_one(tmp_path):
    a = write(tmp_path / "a", [3])
    b = write(tmp_path / "b", [3], replace(MANIFEST, kind="bags", task="grasp", catalogue=""), first_seed=9)
    manifest = merge([a, b], tmp_path / "c")
    assert (manifest.kind, manifest.task, manifest.catalogue) == ("mixed", "", "")


def test_nobody_goes_on_collecting_into_a_part_of_a_split(tmp_path):
    a = write(tmp_path / "a", [3, 2])
    split(a, (tmp_path / "b", tmp_path / "c"), share=0.5)
    with pytest.raises(DatasetError, match="cannot be continued: seed"):
        EpisodeWriter(tmp_path / "b", MANIFEST)


def test_what_a_seal_leaves_out_stays_out(tmp_path):
    a = write(tmp_path / "a", [2, 0, 3, 0, 1, 0], sealed=False)
    seal(a, 2)
    b = write(tmp_path / "b", [1], first_seed=90)
    manifest = merge([a, b], tmp_path / "c")
    assert list(Dataset.open(tmp_path / "c").seeds) == [0, 2, 90]
    assert tallies(manifest) == tallies(Manifest.load(a), Manifest.load(b))


@pytest.mark.parametrize(
    ("change", "words"),
    [({"robot": "ur5"}, 'cannot be mixed: robot is "xarm6" in one and "ur5"'), ({"control_hz": 5.0}, "control_hz")],
)
def test_what_may_not_be_mixed_is_refused_in_one_line(tmp_path, capsys, change, words):
    a, b = write(tmp_path / "a", [3]), write(tmp_path / "b", [3], replace(MANIFEST, **change), first_seed=9)
    assert main(["data", "merge", str(a), str(b), "--out", str(tmp_path / "c")]) == 4
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_an_episode_that_two_sources_share_is_refused(tmp_path):
    a = write(tmp_path / "a", [3, 2, 4])
    subsample(a, tmp_path / "b", count=1)
    with pytest.raises(DatasetError, match="share 1 episodes, one with seed"):
        merge([a, tmp_path / "b"], tmp_path / "c")
    with pytest.raises(DatasetError, match="share 3 episodes"):
        merge([a, a], tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_extra_arrays_are_dropped_only_when_told(tmp_path):
    a = write(tmp_path / "a", [3, 2], STAMPED)
    b = write(tmp_path / "b", [3], replace(MANIFEST, extra=STAMPED.extra[:1]), first_seed=9)
    with pytest.raises(DatasetError, match="extra arrays that not all have: latents; drop them by --common-extra"):
        merge([a, b], tmp_path / "c")
    merge([a, b], tmp_path / "c", common_extra=True)
    merged = Dataset.open(tmp_path / "c")
    assert [list(episode.extra) for episode in merged] == [["stamps"]] * 3
    np.testing.assert_array_equal(merged.episode(0).extra["stamps"], [0, 1, 2])
    assert merged.verify() == []


def test_a_damaged_source_is_no_result(tmp_path):
    a, b = write(tmp_path / "a", [3, 2]), write(tmp_path / "b", [3], first_seed=9)
    with open(a / "shards" / "0" / "actions.f32", "r+b") as file:
        file.seek(4 * 7 * 3)
        file.write(b"\xff")
    with pytest.raises(DatasetError, match=r"a: episode 1 is damaged"):
        merge([a, b], tmp_path / "c")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_a_filter_keeps_what_passes_and_counts_failures_as_attempts(tmp_path):
    a = write(tmp_path / "a", [1, 2, 3, 4, 0, 1, 2, 3])  # odd numbers succeed
    whole = Dataset.open(a)
    manifest = subsample(a, tmp_path / "b", success_only=True)
    found = Dataset.open(tmp_path / "b")
    assert found.success.all() and list(found.seeds) == list(whole.seeds[whole.success])
    assert sum(counts["tried"] for counts in manifest.tasks.values()) == 8
    subsample(a, tmp_path / "c", task="task_1", share=0.5, seed=3)
    assert set(Dataset.open(tmp_path / "c").tasks) == {"task_1"}
    assert len(Dataset.open(tmp_path / "c")) == 1


def test_the_choice_depends_on_the_seed_alone(tmp_path):
    a = write(tmp_path / "a", [1] * 20)
    chosen = []
    for name, seed in (("b", 0), ("c", 0), ("d", 1)):
        subsample(a, tmp_path / name, count=8, seed=seed)
        chosen.append(list(Dataset.open(tmp_path / name).seeds))
    assert chosen[0] == chosen[1] != chosen[2]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--count", "9"], "9 episodes out of"),
        (["--count", "0"], "0 episodes out of"),
        (["--count", "1", "--share", "0.5"], "give one of the two"),
        (["--task", "dance"], "has no such episode; it has task_0, task_1"),
    ],
)
def test_a_choice_that_cannot_be_made_is_one_line(tmp_path, capsys, options, words):
    a = write(tmp_path / "a", [1, 2])
    assert main(["data", "subsample", str(a), "--out", str(tmp_path / "b"), *options]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not (tmp_path / "b").exists()


def test_a_folder_that_is_taken_is_left_alone_but_a_finished_result_is_not_made_again(tmp_path):
    a, b = write(tmp_path / "a", [3]), write(tmp_path / "b", [3], first_seed=9)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("precious")
    for place in (tmp_path / "full", a):
        with pytest.raises(DatasetError, match="exists already; choose a new or empty folder"):
            merge([a, b], place)
    made = merge([a, b], tmp_path / "c")
    before = (tmp_path / "c" / "manifest.json").stat().st_mtime_ns
    assert merge([a, b], tmp_path / "c") == made
    assert (tmp_path / "c" / "manifest.json").stat().st_mtime_ns == before
    with pytest.raises(DatasetError, match="exists already"):
        merge([b, a], tmp_path / "c")


def test_a_killed_merge_leaves_nothing_at_its_place_and_the_next_one_succeeds(tmp_path):
    a = write(tmp_path / "a", [5] * 60)
    b = write(tmp_path / "b", [5] * 60, first_seed=100)
    code = (
        "import sys, time; from parrot.data.reshape import merge;"
        "merge(sys.argv[1:3], sys.argv[3], progress=lambda done, total: time.sleep(0.02))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(a), str(b), str(tmp_path / "c")])
    part = tmp_path / ".c.part" / "shards" / "0" / "index.bin"
    until = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size > 800):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.01)
    with pytest.raises(RunError, match="another process writes it"):
        merge([a, b], tmp_path / "c")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "c").exists()
    assert merge([a, b], tmp_path / "c").episodes == 120
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "c"]


def test_memory_does_not_grow_with_the_data(tmp_path):
    a, b = write(tmp_path / "a", [20] * 40), write(tmp_path / "b", [20] * 40, first_seed=100)
    tracemalloc.start()
    try:
        merge([a, b], tmp_path / "c")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    size = (tmp_path / "c" / "shards" / "0" / "images.u8").stat().st_size
    assert size == 80 * 20 * 48 * 48 * 3
    assert peak < size / 5


def test_a_split_that_was_stopped_between_its_parts_goes_on(tmp_path):
    a = write(tmp_path / "a", [1] * 10)
    outs = (tmp_path / "b", tmp_path / "c")
    parts = split(a, outs)
    before = Manifest.load(outs[0])
    shutil.rmtree(outs[1])
    assert split(a, outs)[1].checksum == parts[1].checksum
    assert Manifest.load(outs[0]) == before
    with pytest.raises(DatasetError, match="exists already"):
        split(a, outs, seed=1)


def test_two_equal_folders_are_no_split(tmp_path, capsys):
    a = write(tmp_path / "a", [1, 2])
    assert main(["data", "split", str(a), "--out", str(tmp_path / "b"), str(tmp_path / "b")]) == 2
    assert "give two folders" in capsys.readouterr().err
    assert main(["data", "split", str(a), "--out", str(tmp_path / "b"), str(tmp_path / "c"), "--count", "1"]) == 0
    assert json.loads((tmp_path / "b" / "manifest.json").read_text())["episodes"] == 1

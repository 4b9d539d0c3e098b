"""Collecting on a Ray cluster: a real one, of two workers, on this machine."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from data_fakes import MANIFEST, BrokenRoller, DyingRoller, Make

from parrot.bench.collection import local_cluster
from parrot.data import Dataset
from parrot.data.collect import attempt_seed, collect
from parrot.errors import ConfigError, RunError

pytest.importorskip("ray", reason="the extra `ray` is not installed")

HERE = Path(__file__).parent


SEARCH = os.pathsep.join([str(HERE), str(HERE.parents[1])])
"""The workers' PYTHONPATH."""


def on_a_cluster(test):
    """For a test that drives Ray."""
    no_spaces = pytest.mark.skipif(" " in sys.executable, reason="Ray itself fails where Python's path has spaces")
    return pytest.mark.own_process(180)(no_spaces(test))


@on_a_cluster
def test_a_cluster_collects_what_this_machine_does_and_survives_a_killed_worker(tmp_path):
    reference = collect(Make(), tmp_path / "here", MANIFEST, 20, workers=1)
    kept = [seed for seed in (attempt_seed(MANIFEST.seed, i) for i in range(12)) if seed % 3]
    dying = Make(DyingRoller, (tmp_path, (kept[3],), False))
    with local_cluster(SEARCH) as cluster:
        tally = collect(dying, tmp_path / "there", MANIFEST, 20, workers=2, ray=cluster)
    assert (tally.kept, tally.restarts, tally.complete) == (20, 1, True)
    here, there = Dataset.open(tmp_path / "here"), Dataset.open(tmp_path / "there")
    assert there.seeds.tolist() == here.seeds.tolist()
    assert there.manifest.checksum == here.manifest.checksum
    assert there.manifest.tasks == reference.by_task
    assert there.verify() == []


@on_a_cluster
def test_what_a_worker_meets_is_told(tmp_path):
    failure = pytest.raises(RuntimeError, match=r"(?s)collecting worker \d failed.*bug at")
    with local_cluster(SEARCH) as cluster, failure:
        collect(Make(BrokenRoller), tmp_path / "d", MANIFEST, 20, workers=2, ray=cluster)


@on_a_cluster
def test_a_cluster_that_is_too_small_or_not_there_is_one_clear_error(tmp_path):
    with local_cluster(SEARCH) as cluster, pytest.raises(ConfigError, match="has 2 CPUs"):
        collect(Make(), tmp_path / "d", MANIFEST, 20, workers=9, ray=cluster)
    command = [
        sys.executable,
        "-m",
        "parrot.cli",
        "data",
        "collect",
        "--out",
        str(tmp_path / "e"),
        "--ray",
        "127.0.0.1:1",
    ]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == RunError.exit_code
    assert done.stderr.startswith("parrot: --ray 127.0.0.1:1: no cluster answers there")
    assert done.stderr.count("\n") == 1
    assert time.monotonic() - began < 60


def test_a_path_with_spaces_is_refused_before_ray_breaks_on_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/home/new user/.venv/bin/python")
    with pytest.raises(ConfigError, match="path has spaces"):
        collect(Make(), tmp_path / "d", MANIFEST, 20, workers=2, ray="auto")

"""Converts with the real robot's YAML."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from parrot.data import Dataset
from parrot.data.rosbag.convert import Conversion, convert
from parrot.data.rosbag.mapping import EpisodeRule, Mapping
from parrot.sim.config import load_robot

ROBOT = cache(load_robot)


@pytest.fixture
def from_bags(tmp_path):
    """Converts bags; returns dataset and report of the (only) bag."""

    def run(*bags: Path, mapping: Mapping | None = None, keep_failures: bool = False, out: str = "data", **changes):
        rule = {k: changes.pop(k) for k in list(changes) if k in EpisodeRule.__dataclass_fields__}
        mapping = mapping or Mapping(**{"robot": "xarm6", "episodes": EpisodeRule(**rule), **changes})
        reports = convert(bags, tmp_path / out, mapping, Conversion(ROBOT, {}, keep_failures))
        dataset = Dataset.open(tmp_path / out)
        assert dataset.verify() == []
        return dataset, reports[0]

    return run

"""The mapping YAML: what ships can be used, and a mistake is one line."""

from __future__ import annotations

import dataclasses

import pytest
import yaml

from parrot.data.rosbag.actions import make_source
from parrot.data.rosbag.mapping import Mapping, load_mapping
from parrot.errors import ConfigError
from parrot.resources import share
from parrot.sim.config import load_robot

SHIPPED = sorted(share("config", "bags").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_mappings_that_ship_are_understood(path):
    mapping = load_mapping(path)
    if not mapping.recorded:
        assert make_source(mapping.action, load_robot(mapping.robot)).topics


def test_the_one_of_parrots_graph_is_the_default():
    (path,) = (path for path in SHIPPED if path.stem == "parrot")
    assert load_mapping(path) == load_mapping(None) == Mapping()


def test_every_field_is_documented():
    source = (share("package.xml").parent / "parrot/data/rosbag/mapping.py").read_text()
    for cls in (Mapping, *(type(getattr(Mapping(), name)) for name in ("topics", "image", "episodes"))):
        for field in dataclasses.fields(cls):
            after = source.split(f"    {field.name}: ", 1)[1].split("\n", 1)[1]
            assert after.lstrip().startswith('"""'), field.name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("topic: {}", "unknown topic; the fields are topics, image"),
        ("topics: {images: /camera}", "topics: unknown images; the fields are image, action"),
        ("topics: [/camera]", r"topics: expected fields, found \['/camera'\]"),
        ("tolerance: soon", "tolerance: expected float, found 'soon'"),
        ("tolerance: 0", "tolerance: 0.0 is not above 0"),
        ("control_hz: -1", "control_hz: -1.0 is not above 0"),
        ("time: stamp", "time: expected one of header, receive, found 'stamp'"),
        ("episodes: {by: mood}", "episodes: by: expected one of outcome, markers, gaps, length, found 'mood'"),
        ("image: {crop: [1, 2, 3]}", r"image: crop: expected x, y, width, height, found \[1.0, 2.0, 3.0\]"),
        ("image: {crop: 5}", "image: crop: expected a list, found 5"),
        ("action: {from: recorded, scale: 2}", "action: unknown scale; the fields are from, names"),
        ("action: {from: recorded, names: {dq: x}}", "names: unknown dq; the fields are dx, dy"),
        ("{success: marker, episodes: {by: gaps}}", "success: marker needs episodes by markers; found by: gaps"),
        ("{pairing: exact, time: receive}", "pairing: exact needs recorded actions and time: header"),
        ("{pairing: exact, action: {from: poses}}", "pairing: exact needs recorded actions and time: header"),
        ("- 5", "expected fields, found"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_mistake_is_one_line_that_names_file_field_and_remedy(tmp_path, text, words):
    path = tmp_path / "map.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words) as error:
        load_mapping(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
        load_mapping(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("values", "pairing", "success"),
    [
        ({}, "exact", "outcome"),
        ({"action": {"from": "poses"}}, "resample", "outcome"),
        ({"time": "receive"}, "resample", "outcome"),
        ({"episodes": {"by": "markers"}}, "resample", "marker"),
        ({"episodes": {"by": "gaps"}}, "resample", "all"),
        ({"episodes": {"by": "markers"}, "pairing": "exact", "success": "none"}, "exact", "none"),
    ],
)
def test_pairing_and_success_follow_from_what_is_recorded(tmp_path, values, pairing, success):
    path = tmp_path / "map.yaml"
    path.write_text(yaml.safe_dump(values))
    mapping = load_mapping(path).fitted(outcomes=True, markers=True, executed=False)
    assert (mapping.pairing, mapping.success) == (pairing, success)

"""parrot doctor's words, and what it says of files that were learnt; no graph is needed for either."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from parrot.arm.doctor.finding import Finding, ok, warning
from parrot.arm.doctor.learnt import check_classifier, check_policy, check_prior
from parrot.commands.doctor import report, words_of
from parrot.errors import ConfigError
from parrot.prior import FlowPrior, save_prior
from parrot.prior.presets import PRESETS
from parrot.sim.config import load_robot

CARD = {
    "robot": "xarm6", "renderer": "camera", "camera": {"about": "front", "crop": None},
    "action_scale": {"translation": 0.04, "rotation": 0.25}, "control_hz": 10.0, "episodes": 12,
}  # fmt: skip


@pytest.fixture(scope="module")
def prior() -> FlowPrior:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return FlowPrior(PRESETS["fast"]().model)


def levels(prior: FlowPrior, path: Path, robot: str = "xarm6", **card: object) -> dict[str, str]:
    prior.card = {**CARD, **card}
    save_prior(prior, path)
    return {finding.thing.replace(str(path), "file"): finding.level for finding in check_prior(path, robot)}


def test_a_prior_of_this_arm_fits(prior, tmp_path):
    assert levels(prior, tmp_path / "prior.safetensors") == {"file": "ok"}


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ({"robot": "wx250s"}, {"file": "failure"}),
        ({"renderer": "pybullet-tiny"}, {"renderer": "warning", "file": "ok"}),
        ({"control_hz": 5.0}, {"control hz": "warning", "file": "ok"}),
        ({"action_scale": {"translation": 0.02, "rotation": 0.25}}, {"action scale": "failure", "file": "ok"}),
        (
            {"renderer": "pybullet-tiny", "action_scale": {"translation": 0.02, "rotation": 0.25}},
            {"renderer": "warning", "action scale": "failure", "file": "ok"},
        ),
    ],
)
def test_a_prior_that_means_something_else_is_told_in_all_that_differs(prior, tmp_path, card, expected):
    assert levels(prior, tmp_path / "prior.safetensors", **card) == expected


def test_a_robot_in_a_file_of_ones_own_counts_by_its_name(prior, tmp_path):
    source = Path(load_robot("xarm6").urdf_path).parents[2] / "config" / "robots" / "xarm6.yaml"
    own = tmp_path / "mine.yaml"
    own.write_text(source.read_text())
    assert levels(prior, tmp_path / "prior.safetensors", str(own)) == {"file": "ok"}


@pytest.mark.parametrize("check", [check_prior, check_policy, check_classifier])
def test_files_that_are_missing_or_none_are_failures_with_a_remedy(check, tmp_path):
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"nonsense")
    for path in (tmp_path / "missing.safetensors", other):
        (finding,) = check(path, "xarm6")
        assert finding.level == "failure"
        assert str(path) in finding.value
        assert finding.remedy


def test_arguments_are_those_of_a_launch_file_or_options():
    assert words_of(["robot:=a.yaml", "prior:=p", "--json"]) == ["a.yaml", "--prior", "p", "--json"]
    assert words_of(["xarm6", "--seconds", "2"]) == ["xarm6", "--seconds", "2"]


def test_the_status_is_that_of_the_worst_finding(capsys):
    fine = [ok("clock", "age", "5 ms [x]"), warning("camera", "light", "dim", "more light")]
    assert report("xarm6", fine, False) == 0
    shown = capsys.readouterr().out
    assert "5 ms [x]" in shown and "→ more light" in shown
    assert shown.index("camera") < shown.index("clock")
    assert "1 ok, 1 warnings, 0 failures" in shown
    assert report("xarm6", [*fine, replace(fine[1], level="failure")], True) == 1


def test_seconds_that_are_too_few_are_refused():
    from parrot.commands.doctor import check

    with pytest.raises(ConfigError, match=r"seconds is 0\.1; give 1"):
        check("xarm6", seconds=0.1)


def test_every_subject_has_its_place():
    assert report("xarm6", [Finding(s, "ok", "thing", "value") for s in ("policy", "robot file")], True) == 0

"""Look whether a real arm, its camera and its limits are in order, before anything moves."""

from __future__ import annotations

import json as json_format
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from parrot.errors import ConfigError, ParrotError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from parrot.arm.doctor import Finding, Seen
    from parrot.sim.config import RobotConfig

__all__ = ["COMMANDS", "doctor"]

MARKS = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "failure": "[bold red]FAILURE[/]"}

LOG_WIDTH = 240
"""Characters of a line where no terminal folds it."""


def doctor(argv: Sequence[str]) -> int:
    """Looks at an arm; arguments are `key:=value`, as for a launch file, or options."""
    return tyro.cli(check, prog="parrot doctor", args=words_of(argv))


def words_of(argv: Sequence[str]) -> list[str]:
    """The arguments in tyro's language: `robot:=NAME` is the word NAME, another `key:=value` is `--key value`.

    Example:
        >>> words_of(["robot:=xarm6", "prior:=a.safetensors", "--json"])
        ['xarm6', '--prior', 'a.safetensors', '--json']
    """
    found = []
    for word in argv:
        key, given, value = word.partition(":=")
        found += [word] if not given else [value] if key == "robot" else [f"--{key}", value]
    return found


def check(
    robot: tyro.conf.Positional[str],
    seconds: float = 4.0,
    prior: Path | None = None,
    policy: Path | None = None,
    classifier: Path | None = None,
    picture: Path | None = None,
    json: tyro.conf.FlagCreatePairsOff[bool] = False,
) -> int:
    """Verify robot file, driver, joint states, camera, clock and safety before anything moves.

    It only listens: it publishes nothing and calls nothing. Exit code 0: nothing failed; 1: something did.

    Args:
        robot: The robot, a name in config/robots or the path of a YAML file; `robot:=NAME` says the same.
        seconds: How long to listen, at least 1.
        prior: A prior that is to be used on it: is it for this robot?
        policy: An exported policy that is to be deployed on it: was it made here?
        classifier: An image classifier of success, for reward:=classifier.
        picture: Write a PNG of the camera's picture with the crop drawn, beside the observation.
        json: Print the findings as JSON.
    """
    from parrot.arm.doctor import examine
    from parrot.arm.doctor.finding import of_error
    from parrot.sim.config import load_robot

    if not seconds >= 1:
        raise ConfigError(f"seconds is {seconds:g}; give 1 or more")
    try:
        config = load_robot(robot)
    except ConfigError as error:
        return report(robot, [of_error("robot file", robot, error)], json)
    findings = _learnt(robot, prior, policy, classifier)
    seen = _look(config, seconds)
    findings = examine(config, seen) + findings
    if picture is not None:
        findings.append(_picture(config, seen.view, picture))
    return report(robot, findings, json)


def _learnt(robot: str, prior: Path | None, policy: Path | None, classifier: Path | None) -> list[Finding]:
    """What there is to say of files that were learnt; only they need PyTorch."""
    from parrot.arm.doctor.learnt import check_classifier, check_policy, check_prior

    found: list[Finding] = []
    for judge, path in ((check_prior, prior), (check_policy, policy), (check_classifier, classifier)):
        if path is not None:
            found += judge(path, robot)
    return found


def _look(config: RobotConfig, seconds: float) -> Seen:
    # As the launch files: nothing leaves the machine unless the environment says so.
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    try:
        from parrot.nodes.doctor import look
    except ImportError as error:
        raise ConfigError(
            f"there is no ROS 2 here ({error}); source an installed one, or pip install 'parrot[ros]'"
        ) from error
    return look(config, seconds)


def _picture(config: RobotConfig, view: NDArray[np.uint8] | None, path: Path) -> Finding:
    """Writes the picture, and says so."""
    import cv2

    from parrot.arm.doctor.camera import preview
    from parrot.arm.doctor.finding import failure, of_error, ok
    from parrot.durable import write_bytes

    if view is None or config.camera is None:
        return failure("camera", "picture", f"{path} is not written", "there is no picture to show: see above")
    try:
        shown = preview(view, config.camera.crop)
        write_bytes(path, cv2.imencode(".png", cv2.cvtColor(shown, cv2.COLOR_RGB2BGR))[1].tobytes())
    except ParrotError as error:
        return of_error("camera", "picture", error)
    return ok("camera", "picture", f"{path}: the crop in red, the observation at its right")


def report(robot: str, findings: Sequence[Finding], as_json: bool) -> int:
    """Prints the findings by subject; the exit status: 1 if anything failed."""
    from parrot.arm.doctor import SUBJECTS

    findings = sorted(findings, key=lambda finding: SUBJECTS.index(finding.subject))
    counts = {level: sum(finding.level == level for finding in findings) for level in MARKS}
    if as_json:
        print(json_format.dumps({"robot": robot, **counts, "findings": [asdict(f) for f in findings]}, indent=1))
        return int(counts["failure"] > 0)
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1))
    for _ in range(3):
        table.add_column(overflow="fold")
    subject = ""
    for finding in findings:
        if finding.subject != subject:
            subject = finding.subject
            table.add_row(f"[bold]{subject}[/]")
        said = escape(finding.value) + (f"\n[italic]→ {escape(finding.remedy)}[/]" if finding.remedy else "")
        table.add_row(f"  {MARKS[finding.level]}", escape(finding.thing), said)
    console = Console(highlight=False)
    if not console.is_terminal:  # a log, in which nothing needs to be folded
        console.width = LOG_WIDTH
    console.print(table)
    failed, doubtful = counts["failure"], counts["warning"]
    verdict = "[bold red]do not let it move yet[/]" if failed else "[bold green]nothing stands against moving it[/]"
    console.print(f"\n{robot}: {counts['ok']} ok, {doubtful} warnings, {failed} failures; {verdict}")
    return int(failed > 0)


COMMANDS = {"doctor": doctor}

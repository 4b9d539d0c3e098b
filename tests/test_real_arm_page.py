"""Each command of docs/real_arm.md exists, with each flag and launch argument that the page gives it."""

from __future__ import annotations

import contextlib
import re
import shlex
from pathlib import Path

import pytest

from parrot import cli

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "real_arm.md").read_text(encoding="utf-8")
WHOLE = re.sub(r"\\\n\s*", "", PAGE)
OURS = sorted(
    {line.strip().partition("  ")[0] for line in WHOLE.splitlines() if line.startswith("    parrot ")}
    | {c for c in re.findall(r"`(parrot [^`]*)`", WHOLE.replace("\n", " ")) if "…" not in c and "NODE" not in c}
)


def words(command: str) -> list[str]:
    return shlex.split(command.partition(" #")[0])[1:]


def shown(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    capsys.readouterr()
    with contextlib.suppress(SystemExit):  # of help
        cli.main(arguments)
    return capsys.readouterr().out


def test_the_page_goes_the_whole_way():
    for command in (
        "doctor", "launch arm", "launch real_collect", "data from-bags", "prior train", "launch real_finetune",
        "export", "launch real_deploy",
    ):  # fmt: skip
        assert any(c.startswith(f"parrot {command}") for c in OURS), command


@pytest.mark.parametrize("command", [c for c in OURS if c.startswith("parrot launch") and ".launch.py" in c])
def test_a_launch_file_takes_the_arguments_that_it_is_given(capsys, command: str):
    _, file, *arguments = words(command)
    told = shown(capsys, ["launch", file, "--show-args"])
    for argument in arguments:
        name, given, value = argument.partition(":=")
        assert given and f"'{name}':" in told, argument
        assert value


@pytest.mark.parametrize("command", [c for c in OURS if not c.startswith("parrot launch")])
def test_a_command_knows_its_flags(capsys, command: str):
    found = words(command)
    group = next(n for n in (2, 1) if found[0] in (("data", "prior", "reward") if n == 2 else cli.GROUPS))
    told = shown(capsys, [*found[:group], "--help"])
    for word in found[group:]:
        name, given, _ = word.partition(":=")
        flag = f"--{name}" if given and name != "robot" else word
        if flag.startswith("--"):
            assert flag in told, word


@pytest.mark.parametrize("node", sorted(set(re.findall(r"^    (\w+_node)\b", WHOLE, re.M))))
def test_a_node_that_is_started_by_name_is_installed(node: str):
    assert f'"{node}"' in (ROOT / "setup.py").read_text(encoding="utf-8")


def test_links_within_the_page_and_to_others_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        if target.startswith("http"):
            continue
        path, _, place = target.partition("#")
        assert (ROOT / "docs" / path).exists(), target
        if not place:
            continue
        text = (ROOT / "docs" / path).read_text(encoding="utf-8") if path else PAGE
        titles = {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in re.findall(r"^#+ (.*)$", text, re.M)}
        assert place in titles, target

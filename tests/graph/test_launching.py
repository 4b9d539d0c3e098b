"""Launch files without an installed `launch`: what the stand-ins know, and that they name what they do not know."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from graph_tools import ROOT

from parrot.errors import ConfigError
from parrot.launching.command import describe, launch_file
from parrot.launching.loading import declared, find, load, parse_arguments, plan
from parrot.launching.supervisor import command, exit_status

FILES = sorted(p.name for p in (ROOT / "launch").glob("*.launch.py"))

HEAD = """
from launch import LaunchDescription
from launch.actions import *
from launch_ros.actions import Node
def generate_launch_description():
    return LaunchDescription([{}])
"""


def write(folder: Path, *actions: str) -> Path:
    head = HEAD.replace("import *", "import DeclareLaunchArgument, Shutdown, SetEnvironmentVariable, LogInfo")
    path = folder / "x.launch.py"
    path.write_text(head.format(", ".join(actions)))
    return path


def plan_of(file: Path, *words: str):
    return plan(file, load(file), parse_arguments(words))


@pytest.mark.parametrize("name", FILES)
def test_every_launch_file_uses_only_what_is_known(name):
    file = find(name)
    description = load(file)
    planned = plan(file, description, {})
    assert planned.nodes
    for node in planned.nodes:
        assert node.required
        assert node.environment["ROS_AUTOMATIC_DISCOVERY_RANGE"]
        assert (ROOT / "parrot" / "nodes" / f"{node.executable}.py").is_file()
        assert command(node)[:3] == [sys.executable, "-m", f"parrot.nodes.{node.executable}"]


@pytest.mark.parametrize("name", FILES)
def test_every_argument_has_a_default_and_a_description_and_is_shown(name):
    file = find(name)
    description = load(file)
    shown = describe(file, description)
    for argument in declared(description):
        assert argument.default_value is not None
        assert len(argument.description) > 10
        assert f"'{argument.name}':" in shown


@pytest.mark.parametrize("name", FILES)
def test_show_args_through_the_command_line(name):
    words = [sys.executable, "-m", "parrot.cli", "launch", name, "--show-args"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "(default: " in done.stdout


def test_the_defaults_of_the_launch_file_are_those_of_the_run():
    from parrot.nodes.rl_node import RLNodeConfig
    from parrot.rl.settings import FineTuneConfig

    known = {**vars(RLNodeConfig()), **vars(FineTuneConfig())}
    compared = 0
    for argument in declared(load(find("sim_finetune.launch.py"))):
        if argument.name in known and argument.name != "run_dir":
            default = known[argument.name]
            assert argument.default_value == ("" if default is None else str(default)), argument.name
            compared += 1
    assert compared >= 10


def test_the_parameter_file_names_only_parameters_that_there_are():
    from parrot.nodes.deploy_node import DeployNodeConfig
    from parrot.nodes.policy_node import PolicyNodeConfig
    from parrot.nodes.prior_node import PriorNodeConfig
    from parrot.nodes.recorder_node import RecorderNodeConfig
    from parrot.nodes.rl_node import RLNodeConfig
    from parrot.nodes.sim_node import SimNodeConfig
    from parrot.rl.settings import FineTuneConfig

    known = {
        "sim_node": vars(SimNodeConfig()),
        "prior_node": vars(PriorNodeConfig()),
        "rl_node": {**vars(RLNodeConfig()), **vars(FineTuneConfig())},
        "recorder_node": vars(RecorderNodeConfig()),
        "policy_node": vars(PolicyNodeConfig()),
        "deploy_node": vars(DeployNodeConfig()),
    }
    written = yaml.safe_load((ROOT / "config" / "nodes.yaml").read_text())
    assert set(written) == set(known)
    for node, content in written.items():
        for name, value in content["ros__parameters"].items():
            assert type(value) is type(known[node][name]), name
            assert value == known[node][name], f"{node}.{name}: two defaults"


def test_sac_starts_no_prior_and_record_a_recorder():
    file = find("sim_finetune.launch.py")
    names = [[n.executable for n in plan_of(file, *words).nodes] for words in ((), ("algo:=sac", "record:=true"))]
    assert names == [["sim_node", "prior_node", "rl_node"], ["sim_node", "recorder_node", "rl_node"]]


def test_parameters_keep_their_type_whatever_the_text_looks_like():
    file = find("sim_finetune.launch.py")
    words = ("prior:=0", "minutes:=3", "seed:=7", "changes:=a=1; b=[2, 3]", 'run_dir:=a "b" c')
    rl = plan_of(file, *words).nodes[-1].arguments
    for expected in ('prior:="0"', "minutes:=3.0", "seed:=7", 'changes:="a=1; b=[2, 3]"', 'run_dir:="a \\"b\\" c"'):
        assert expected in rl


def test_an_environment_that_is_set_is_kept(monkeypatch):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    assert plan_of(find("record.launch.py")).nodes[0].environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"
    monkeypatch.delenv("ROS_AUTOMATIC_DISCOVERY_RANGE")
    assert plan_of(find("record.launch.py")).nodes[0].environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tsk:=a",), "'tsk' is unknown .* it takes task, algo, prior"),
        (("algo:=ppo",), "algo:=ppo is unknown; choose one of parrot, sac"),
        (("seed:=many",), "seed:=many does not read as int"),
        (("record:=maybe",), "record:=maybe is unknown; choose one of true, false"),
        (("task=grasp_cap",), "write key:=value"),
        (("params:=nowhere.yaml",), "no such parameter file"),
    ],
)
def test_arguments_that_are_wrong_are_named(words, message):
    with pytest.raises(ConfigError, match=message):
        plan_of(find("sim_finetune.launch.py"), *words)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("Node(package='parrot', executable='x', prefix='gdb')", r"Node\(prefix=...\) is not known"),
        ("Node(package='parrot', executable='x', on_exit=print)", "may only be Shutdown"),
        ("DeclareLaunchArgument('a')", "'a' has no default"),
        ("LogInfo(msg=3)", "3 is neither text"),
    ],
)
def test_constructs_that_are_unknown_are_named(tmp_path, action, message):
    with pytest.raises(ConfigError, match=message):
        plan_of(write(tmp_path, action))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("from launch.actions import TimerAction", "launch.actions.TimerAction is not known .* which knows Declare"),
        ("from launch.event_handlers import OnProcessExit", "launch.event_handlers is not known"),
        ("import launch_ros.descriptions", "launch_ros.descriptions is not known"),
        ("import launch; launch.LaunchService", "launch.LaunchService is not known"),
    ],
)
def test_imports_that_are_unknown_are_named(tmp_path, line, message):
    file = tmp_path / "x.launch.py"
    file.write_text(line)
    with pytest.raises(ConfigError, match=message):
        load(file)


def test_nodes_of_other_packages_are_refused(tmp_path):
    file = write(tmp_path, "Node(package='turtlesim', executable='turtlesim_node')")
    with pytest.raises(ConfigError, match="package 'turtlesim'"):
        launch_file(str(file), [])


def test_the_stand_ins_are_gone_when_the_file_is_read():
    load(find(FILES[0]))
    assert not [name for name in sys.modules if name.partition(".")[0] in ("launch", "launch_ros")]


def test_a_file_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(ConfigError, match=r"give a path or one of .*sim_finetune"):
        find("nowhere.launch.py")


def test_exit_statuses_are_those_of_a_shell():
    assert [exit_status(code) for code in (0, 5, -9)] == [0, 5, 137]

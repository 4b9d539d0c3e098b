"""Launch files without an installed `launch`: what the stand-ins know, and that they name what they do not know."""

from __future__ import annotations

import dataclasses
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
from launch.substitutions import PythonExpression
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


def test_the_defaults_of_record_launch_are_those_of_the_recorder():
    from parrot.nodes.recorder_config import RecorderNodeConfig

    known = {**vars(RecorderNodeConfig()), "bag": "data/bag"}
    written = {a.name: a.default_value for a in declared(load(find("record.launch.py"))) if a.name in known}
    assert len(written) == 9
    assert written == {name: str(known[name]) for name in written}


@pytest.mark.parametrize("name", ["collect.launch.py", "sim_finetune.launch.py"])
def test_bags_of_the_simulator_say_what_drew_their_images(name):
    from parrot.sim.camera import RENDERER

    nodes = plan_of(find(name), *(["record:=true"] if "finetune" in name else [])).nodes
    (recorder,) = (node for node in nodes if node.executable == "recorder_node")
    assert f'renderer:="{RENDERER}"' in recorder.arguments


def test_the_parameter_file_names_only_parameters_that_there_are():
    from parrot.nodes.arm_node import ArmNodeConfig
    from parrot.nodes.camera_node import CameraNodeConfig
    from parrot.nodes.deploy_node import DeployNodeConfig
    from parrot.nodes.emulated_arm_node import EmulatedArmNodeConfig
    from parrot.nodes.policy_node import PolicyNodeConfig
    from parrot.nodes.prior_node import PriorNodeConfig
    from parrot.nodes.recorder_config import RecorderNodeConfig
    from parrot.nodes.rl_node import RLNodeConfig
    from parrot.nodes.sim_node import SimNodeConfig
    from parrot.rl.settings import FineTuneConfig

    known = {
        "sim_node": vars(SimNodeConfig()),
        "prior_node": vars(PriorNodeConfig()),
        "rl_node": {**vars(RLNodeConfig()), **vars(FineTuneConfig())},
        "recorder_node": vars(RecorderNodeConfig()),
        "camera_node": vars(CameraNodeConfig()),
        "arm_node": vars(ArmNodeConfig()),
        "emulated_arm_node": vars(EmulatedArmNodeConfig()),
        "policy_node": vars(PolicyNodeConfig()),
        "deploy_node": vars(DeployNodeConfig()),
    }
    written = yaml.safe_load((ROOT / "config" / "nodes.yaml").read_text())
    assert set(written) == set(known)
    for node, content in written.items():
        for name, value in content["ros__parameters"].items():
            assert type(value) is type(known[node][name]), name
            assert value == known[node][name], f"{node}.{name}: two defaults"


def test_the_launch_file_knows_every_algorithm_and_which_of_them_prior_node_decodes():
    from parrot.rl.algorithms import ALGORITHMS, algorithm

    file = find("sim_finetune.launch.py")
    (algo,) = (argument for argument in declared(load(file)) if argument.name == "algo")
    assert tuple(algo.choices) == ALGORITHMS
    for name in ALGORITHMS:
        nodes = [node.executable for node in plan_of(file, f"algo:={name}").nodes]
        assert ("prior_node" in nodes) == (algorithm(name).decoding == "step"), name


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'a' in ['a', 'b']", "True"),
        ("'c' not in ['a', 'b']", "True"),
        ("1 if 'c' in ('a',) else 2", "2"),
        ("'a' != 'a'", "False"),
    ],
)
def test_expressions_are_those_of_python(tmp_path, expression, value):
    file = write(tmp_path, f'LogInfo(msg=PythonExpression("{expression}"))')
    assert plan_of(file).messages == [value]


@pytest.mark.parametrize("expression", ["'a' in 3", "__import__('os')", "1 < 2", "1 == 1 == 1"])
def test_expressions_that_are_unknown_are_named(tmp_path, expression):
    with pytest.raises(ConfigError, match="knows only comparisons"):
        plan_of(write(tmp_path, f'LogInfo(msg=PythonExpression("{expression}"))'))


def test_sac_starts_no_prior_and_record_a_recorder():
    file = find("sim_finetune.launch.py")
    names = [[n.executable for n in plan_of(file, *words).nodes] for words in ((), ("algo:=sac", "record:=true"))]
    assert names == [["sim_node", "prior_node", "rl_node"], ["sim_node", "recorder_node", "rl_node"]]


def test_the_arm_takes_the_place_of_the_simulator_and_nothing_else_changes():
    same = (
        "robot:=emulated",
        "run_dir:=r",
        "minutes:=9.0",
        "episodes:=7",
        "record:=true",
        "task:=grasp_can",
        "seed:=3",
        "preset:=fast",
    )
    graphs = {
        name: {node.name: node for node in plan_of(find(f"{name}_finetune.launch.py"), *same).nodes}
        for name in ("sim", "real")
    }
    assert set(graphs["sim"]) - set(graphs["real"]) == {"sim_node"}
    assert set(graphs["real"]) - set(graphs["sim"]) == {"arm_node", "camera_node", "emulated_arm_node"}
    shared = set(graphs["sim"]) & set(graphs["real"])
    assert shared == {"prior_node", "rl_node", "recorder_node"}
    for name in shared:
        sim, arm = graphs["sim"][name], graphs["real"][name]
        # A policy, a run and a bag must know a real camera's pictures from the simulator's.
        drawn = [word.replace('"camera"', '"pybullet-tiny"') for word in arm.arguments if word.startswith("renderer:=")]
        assert drawn == [word for word in sim.arguments if word.startswith("renderer:=")]
        assert dataclasses.replace(arm, arguments=()) == dataclasses.replace(sim, arguments=())
        words = [[word for word in node.arguments if not word.startswith("renderer:=")] for node in (sim, arm)]
        assert words[0] == words[1]
    assert 'renderer:="camera"' in graphs["real"]["rl_node"].arguments
    learner = {node.name: node for node in plan_of(find("real_finetune.launch.py")).nodes}["rl_node"]
    assert 'preset:="arm"' in learner.arguments  # unless told otherwise: steps take real time
    assert 'renderer:="camera"' in graphs["real"]["recorder_node"].arguments
    # What world and learner agree on.
    sim, arm = graphs["sim"]["sim_node"].arguments, graphs["real"]["arm_node"].arguments
    for parameter in ('task:="grasp_can"', 'robot:="emulated"', "terminate_on_success:=true", "recorded:=true"):
        assert parameter in sim and parameter in arm
    paper = plan_of(find("real_finetune.launch.py"), *same, "preset:=paper").nodes
    assert "terminate_on_success:=false" in next(n for n in paper if n.name == "arm_node").arguments


@pytest.mark.parametrize(
    ("robot", "reward", "scene"), [("emulated", "topic", "service"), ("xarm6", "operator", "operator")]
)
def test_a_person_stands_beside_a_real_arm_and_topics_beside_the_emulated_one(robot, reward, scene):
    nodes = {n.name: n.arguments for n in plan_of(find("real_finetune.launch.py"), f"robot:={robot}").nodes}
    assert ("emulated_arm_node" in nodes) == (robot == "emulated")
    assert f'reward:="{reward}"' in nodes["arm_node"]
    assert f'scene:="{scene}"' in nodes["arm_node"]


def test_a_file_that_is_included_takes_this_ones_arguments_and_those_it_is_given(tmp_path):
    (tmp_path / "inner.launch.py").write_text(
        "from launch import LaunchDescription\n"
        "from launch.actions import DeclareLaunchArgument\n"
        "from launch.substitutions import LaunchConfiguration\n"
        "from launch_ros.actions import Node\n"
        "def generate_launch_description():\n"
        "    words = [LaunchConfiguration(n) for n in 'abc']\n"
        "    return LaunchDescription([DeclareLaunchArgument(n, default_value='inner') for n in 'abc']\n"
        "        + [Node(package='parrot', executable='x', arguments=words)])\n"
    )
    outer = tmp_path / "outer.launch.py"
    outer.write_text(
        "from pathlib import Path\n"
        "from launch import LaunchDescription\n"
        "from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription\n"
        "from launch.launch_description_sources import PythonLaunchDescriptionSource\n"
        "def generate_launch_description():\n"
        "    source = PythonLaunchDescriptionSource(str(Path(__file__).parent / 'inner.launch.py'))\n"
        "    return LaunchDescription([DeclareLaunchArgument('a', default_value='outer'),\n"
        "        IncludeLaunchDescription(source, launch_arguments={'b': 'given'}.items())])\n"
    )
    assert plan_of(outer).nodes[0].arguments == ("outer", "given", "inner")
    assert plan_of(outer, "c:=mine").nodes[0].arguments == ("outer", "given", "mine")
    assert [argument.name for argument in declared(load(outer))] == ["a", "c"]


def test_a_policy_is_deployed_by_the_same_nodes_in_simulation_and_on_an_arm():
    given = ("policy:=p", "robot:=emulated", "task:=grasp_can", "trials:=3", "seed:=4", "out:=o")
    graphs = {
        name: {node.name: node.arguments for node in plan_of(find(f"{name}_deploy.launch.py"), *given).nodes}
        for name in ("sim", "real")
    }
    assert set(graphs["sim"]) == {"sim_node", "policy_node", "deploy_node"}
    assert set(graphs["real"]) - set(graphs["sim"]) == {"arm_node", "camera_node", "emulated_arm_node"}
    assert graphs["sim"]["deploy_node"] == graphs["real"]["deploy_node"]
    assert "recorded:=true" in graphs["sim"]["sim_node"]  # nothing moves before the policy is accepted
    assert "recorded:=true" in graphs["real"]["arm_node"]
    for name, renderer in (("sim", "pybullet-tiny"), ("real", "camera")):
        assert f'renderer:="{renderer}"' in graphs[name]["policy_node"]


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

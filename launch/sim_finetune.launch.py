"""Teach a task in simulation: simulator, prior and learner in lockstep, until it is solved or the budget ends."""

from pathlib import Path
from typing import Any

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable, Shutdown
from launch.conditions import IfCondition
from launch.substitutions import EnvironmentVariable, LaunchConfiguration, PythonExpression
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

PARAMETERS = str(Path(__file__).resolve().parent.parent / "config" / "nodes.yaml")

RENDERER = "pybullet-tiny"
"""Noted in run and bag; a test holds it against the simulator."""

ALGORITHMS = ["parrot", "sac", "bc_sac", "vae_features", "trajrl", "hirl", "prior_explore"]
"""All values of algo; a test holds them against parrot.rl.algorithms, and the next ones, too."""

DECODED = ["parrot", "hirl"]
"""Those whose actions prior_node decodes, one for each image."""

ARGUMENTS = [
    # name, default, description; the defaults of a run's settings are those of parrot.rl.settings, which a test holds
    ("task", "grasp_cap", "The task; `parrot tasks` lists all."),
    ("algo", "parrot", "parrot: act in the latent space of the prior; others: comparisons, see docs/baselines.md."),
    ("prior", "", "Weights made by `parrot prior train`, of the kind of algo; empty: those that come with parrot."),
    ("robot", "xarm6", "The robot: a name in config/robots, or the path of a YAML file."),
    ("seed", "0", "Seed of the scenes and of the learner."),
    ("episodes", "20000", "Budget: training episodes."),
    ("minutes", "13.0", "Budget: minutes until the evaluation at the end begins, over all starts of the run."),
    ("solved_success", "0.96", "Training ends early at this success rate of the exploring policy."),
    ("eval_before", "50", "Episodes at the start that act by random latents: they measure the prior."),
    ("eval_after", "50", "Episodes at the end that act by the trained policy without exploring."),
    ("epsilon", "0.9", "For prior_explore: how often an action comes from the prior while it learns."),
    ("preset", "fast", "Hyper-parameters: fast or flow, for two CPU cores; arm, for real time; paper, Table 1."),
    ("changes", "", "Changes to the preset, FIELD=VALUE separated by semicolons."),
]


def argument(name: str, kind: type = str) -> ParameterValue:
    """The launch argument as a parameter of this type."""
    return ParameterValue(LaunchConfiguration(name), value_type=kind)


def node(name: str, parameters: dict[str, Any], **options: Any) -> Node:
    """One of the graph's nodes; when it ends, the graph does."""
    return Node(
        package="parrot",
        executable=name,
        name=name,
        parameters=[LaunchConfiguration("params"), parameters],
        ros_arguments=["--log-level", LaunchConfiguration("log_level")],
        on_exit=Shutdown(reason=f"{name} has ended"),
        **options,
    )


def generate_launch_description() -> LaunchDescription:
    """The graph: sim_node, prior_node if algo acts through it, rl_node, and recorder_node if record:=true."""
    run = ["runs/", LaunchConfiguration("task"), "-", LaunchConfiguration("algo"), "-seed", LaunchConfiguration("seed")]
    choices = {"algo": ALGORITHMS, "preset": ["fast", "flow", "arm", "paper"]}
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description, choices=choices.get(name))
        for name, default, description in ARGUMENTS
    ]
    declared += [
        DeclareLaunchArgument(
            "run_dir", default_value=run, description="Folder that the run leaves; the same folder goes on."
        ),
        DeclareLaunchArgument(
            "simulate",
            default_value="true",
            choices=["true", "false"],
            description="Run sim_node; false where something else is the world, as in real_finetune.launch.py.",
        ),
        DeclareLaunchArgument(
            "record", default_value="false", choices=["true", "false"], description="Record the graph into a bag."
        ),
        DeclareLaunchArgument(
            "bag",
            default_value=[LaunchConfiguration("run_dir"), "_bag"],
            description="Folder of the bag (MCAP); if it exists, BAG_2, BAG_3 and so on.",
        ),
        DeclareLaunchArgument("params", default_value=PARAMETERS, description="The nodes' parameter file."),
        DeclareLaunchArgument(
            "log_level", default_value="info", description="What the nodes log: debug, info, warn, error or fatal."
        ),
        DeclareLaunchArgument(
            "discovery_range",
            default_value=EnvironmentVariable("ROS_AUTOMATIC_DISCOVERY_RANGE", default_value="LOCALHOST"),
            description="Who may find the graph: LOCALHOST, or SUBNET for other machines too.",
        ),
    ]
    learner = {name: argument(name) for name in ("task", "algo", "prior", "robot", "preset", "changes", "run_dir")}
    learner.update({name: argument(name, int) for name in ("seed", "episodes", "eval_before", "eval_after")})
    learner.update({name: argument(name, float) for name in ("minutes", "solved_success", "epsilon")})
    world = {name: argument(name) for name in ("task", "robot", "run_dir")}
    # The paper's episodes go on after success; the fast preset's end there.
    ends = PythonExpression(["'", LaunchConfiguration("preset"), "' != 'paper'"])
    world.update(seed=argument("seed", int), terminate_on_success=ParameterValue(ends, value_type=bool))
    prior = {name: argument(name) for name in ("prior", "robot")}
    for parameters in (learner, world, prior):
        parameters["recorded"] = argument("record", bool)
    bag: dict[str, Any] = {name: argument(name) for name in ("bag", "task", "robot")}
    # A real camera's pictures and the simulator's must not be taken for each other.
    drawn = PythonExpression([f"'{RENDERER}' if '", LaunchConfiguration("simulate"), "' == 'true' else 'camera'"])
    learner["renderer"] = bag["renderer"] = ParameterValue(drawn, value_type=str)
    with_prior = IfCondition(PythonExpression(["'", LaunchConfiguration("algo"), f"' in {DECODED}"]))
    return LaunchDescription(
        [
            *declared,
            SetEnvironmentVariable("ROS_AUTOMATIC_DISCOVERY_RANGE", LaunchConfiguration("discovery_range")),
            node("sim_node", world, condition=IfCondition(LaunchConfiguration("simulate"))),
            node("prior_node", prior, condition=with_prior),
            node("recorder_node", bag, condition=IfCondition(LaunchConfiguration("record"))),
            # The one node that owns the terminal, for its live table.
            node("rl_node", learner, output="screen"),
        ]
    )

"""Teach a task on a real arm: sim_finetune with arm and camera in the place of the simulator."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PythonExpression

FOLDER = Path(__file__).resolve().parent


def included(name: str, **arguments: object) -> IncludeLaunchDescription:
    """Another launch file of ours with these arguments, and all of this one's."""
    source = PythonLaunchDescriptionSource(str(FOLDER / name))
    return IncludeLaunchDescription(source, launch_arguments=arguments.items())


def generate_launch_description() -> LaunchDescription:
    """The graph: what both files make. What is declared here comes before their own defaults."""
    run = ["runs/"]
    for name, end in (("robot", "-"), ("task", "-"), ("algo", "-seed"), ("seed", "")):
        run += [LaunchConfiguration(name), end]
    ends = PythonExpression(["'", LaunchConfiguration("preset"), "' != 'paper'"])
    return LaunchDescription(
        [
            DeclareLaunchArgument("episodes", default_value="1000", description="Budget: training episodes."),
            DeclareLaunchArgument(
                "minutes", default_value="240.0", description="Budget: minutes until the evaluation at the end begins."
            ),
            DeclareLaunchArgument("robot", default_value="xarm6", description="The robot: a name in config/robots."),
            DeclareLaunchArgument(
                "task", default_value="grasp_cap", description="The task; a word for what is taught."
            ),
            DeclareLaunchArgument("algo", default_value="parrot", description="parrot, or a comparison."),
            DeclareLaunchArgument(
                "preset",
                default_value="arm",
                choices=["fast", "flow", "arm", "paper"],
                description="Hyper-parameters: arm learns more from each step than fast, for it has the time; paper.",
            ),
            DeclareLaunchArgument("seed", default_value="0", description="Seed of the learner."),
            DeclareLaunchArgument(
                "run_dir", default_value=run, description="Folder that the run leaves; the same folder goes on."
            ),
            included("sim_finetune.launch.py", simulate="false"),
            included("arm.launch.py", terminate_on_success=ends),
        ]
    )

"""Stand-ins for the actions of `launch` and `launch_ros`: same names, same arguments.

They only describe: visiting them gathers in the context's plan what is to be run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from parrot.errors import ConfigError
from parrot.launching.substitutions import (
    Context,
    IfCondition,
    LaunchConfiguration,
    PlannedNode,
    Some,
    Substitution,
    reject,
    text,
)

__all__ = [
    "Action",
    "DeclareLaunchArgument",
    "IncludeLaunchDescription",
    "LaunchDescription",
    "LogInfo",
    "Node",
    "ParameterValue",
    "PythonLaunchDescriptionSource",
    "SetEnvironmentVariable",
    "Shutdown",
]


class Action:
    """One entry of a launch description."""

    def __init__(self, *, condition: IfCondition | None = None, **unknown: Any) -> None:
        reject(self, unknown)
        self.condition = condition

    def visit(self, context: Context) -> None:
        """Does it, if its condition holds."""
        if self.condition is None or self.condition.evaluate(context):
            self.execute(context)

    def execute(self, context: Context) -> None:
        """Does it."""
        raise NotImplementedError


class LaunchDescription:
    """What `generate_launch_description` returns: actions in order."""

    def __init__(self, initial_entities: Iterable[Action] | None = None, **unknown: Any) -> None:
        reject(self, unknown)
        self.entities: list[Action] = list(initial_entities or ())

    def add_action(self, action: Action) -> None:
        """Appends one."""
        self.entities.append(action)


class DeclareLaunchArgument(Action):
    """An argument of the launch file: name, default, description, choices."""

    def __init__(
        self,
        name: str,
        *,
        default_value: Some = None,
        description: str = "no description given",
        choices: Sequence[str] | None = None,
        **unknown: Any,
    ) -> None:
        super().__init__(**unknown)
        self.name, self.default_value, self.description, self.choices = name, default_value, description, choices

    def execute(self, context: Context) -> None:
        """Sets the argument to its default unless the user gave it.

        Raises:
            ConfigError: it has no value, or one that is not among its choices.
        """
        values = context.launch_configurations
        if self.name not in values:
            if self.default_value is None:
                raise ConfigError(
                    f"launch argument {self.name!r} has no default ({self.description}); give {self.name}:=VALUE"
                )
            values[self.name] = text(self.default_value, context)
        if self.choices is not None and values[self.name] not in self.choices:
            raise ConfigError(f"{self.name}:={values[self.name]} is unknown; choose one of {', '.join(self.choices)}")


class PythonLaunchDescriptionSource:
    """Another launch file, by its path."""

    def __init__(self, launch_file_path: str | Path, **unknown: Any) -> None:
        reject(self, unknown)
        if not isinstance(launch_file_path, (str, Path)):
            raise ConfigError(
                f"PythonLaunchDescriptionSource({launch_file_path!r}): `parrot launch` includes only a plain path, "
                "such as str(Path(__file__).parent / NAME)"
            )
        self.path = Path(launch_file_path)


class IncludeLaunchDescription(Action):
    """All that another launch file does, with these arguments; those of this file hold there, too."""

    def __init__(
        self,
        launch_description_source: PythonLaunchDescriptionSource,
        *,
        launch_arguments: Iterable[tuple[Some, Some]] | None = None,
        **unknown: Any,
    ) -> None:
        super().__init__(**unknown)
        from parrot.launching.loading import load

        self.path = launch_description_source.path
        if not self.path.is_file():
            raise ConfigError(f"{self.path}: there is no such launch file to include; give the path of one")
        self.description = load(self.path)
        self.launch_arguments = dict(launch_arguments or ())

    def execute(self, context: Context) -> None:
        """Sets the arguments and does what the file does."""
        for name, value in self.launch_arguments.items():
            context.launch_configurations[text(name, context)] = text(value, context)
        outer, context.file = context.file, self.path
        for entity in self.description.entities:
            entity.visit(context)
        context.file = outer


class SetEnvironmentVariable(Action):
    """Sets an environment variable for the nodes that follow."""

    def __init__(self, name: Some, value: Some, **unknown: Any) -> None:
        super().__init__(**unknown)
        self.name, self.value = name, value

    def execute(self, context: Context) -> None:
        """Sets it."""
        context.environment[text(self.name, context)] = text(self.value, context)


class LogInfo(Action):
    """Says something when the graph starts."""

    def __init__(self, *, msg: Some, **unknown: Any) -> None:
        super().__init__(**unknown)
        self.msg = msg

    def execute(self, context: Context) -> None:
        """Notes it for the terminal."""
        context.plan.messages.append(text(self.msg, context))


class Shutdown(Action):
    """As a node's `on_exit`: its end ends the graph."""

    def __init__(self, *, reason: Some = "reason not given", **unknown: Any) -> None:
        super().__init__(**unknown)
        self.reason = reason


class ParameterValue:
    """A node's parameter that must have this type, whatever its text looks like."""

    def __init__(self, value: Any, *, value_type: type | None = None, **unknown: Any) -> None:
        reject(self, unknown)
        self.value, self.value_type = value, value_type

    def evaluate(self, context: Context) -> str | int | float | bool:
        """The value.

        Raises:
            ConfigError: the text does not read as the type.
        """
        if not isinstance(self.value, (str, Substitution, list, tuple)):
            return self.value
        worked_out = text(self.value, context)
        if self.value_type is None:
            return _guess(worked_out)
        convert: Callable[[str], Any] = _bool if self.value_type is bool else self.value_type
        try:
            return convert(worked_out)
        except ValueError as error:
            name = f"{self.value.variable_name}:=" if isinstance(self.value, LaunchConfiguration) else ""
            raise ConfigError(
                f"{name}{worked_out} does not read as {self.value_type.__name__}; give such a value"
            ) from error


def _bool(word: str) -> bool:
    if word.lower() not in ("true", "false"):
        raise ValueError(word)
    return word.lower() == "true"


def _guess(word: str) -> Any:
    """Reads a value as launch_ros does where no type is given: as YAML."""
    value = yaml.safe_load(word)
    return value if isinstance(value, (bool, int, float, str)) else word


class Node(Action):
    """A ROS node in a process of its own."""

    def __init__(
        self,
        *,
        executable: Some,
        package: Some,
        name: Some = None,
        parameters: Sequence[Any] | None = None,
        remappings: Iterable[tuple[Some, Some]] | None = None,
        arguments: Iterable[Some] | None = None,
        ros_arguments: Iterable[Some] | None = None,
        output: Some = "log",
        on_exit: Any = None,
        **unknown: Any,
    ) -> None:
        super().__init__(**unknown)
        self.executable, self.package, self.name, self.output = executable, package, name, output
        self.parameters, self.remappings = list(parameters or ()), list(remappings or ())
        self.arguments, self.ros_arguments = list(arguments or ()), list(ros_arguments or ())
        exits = list(on_exit) if isinstance(on_exit, (list, tuple)) else [on_exit] if on_exit is not None else []
        if not all(isinstance(action, Shutdown) for action in exits):
            raise ConfigError("Node(on_exit=...) may only be Shutdown() here; or install ROS 2 and use `ros2 launch`")
        self.required = bool(exits)

    def execute(self, context: Context) -> None:
        """Adds the process to the plan."""
        name = None if self.name is None else text(self.name, context)
        ros = [text(a, context) for a in self.ros_arguments]
        if name is not None:
            ros += ["-r", f"__node:={name}"]
        for parameter in self.parameters:
            ros += self._parameter(parameter, context)
        for old, new in self.remappings:
            ros += ["-r", f"{text(old, context)}:={text(new, context)}"]
        plain = [text(a, context) for a in self.arguments]
        context.plan.nodes.append(
            PlannedNode(
                package=text(self.package, context),
                executable=text(self.executable, context),
                name=name,
                arguments=(*plain, "--ros-args", *ros) if ros else tuple(plain),
                environment=dict(context.environment),
                output=text(self.output, context),
                required=self.required,
            )
        )

    @staticmethod
    def _parameter(parameter: Any, context: Context) -> list[str]:
        """One entry of `parameters` as arguments: a YAML file, or names and values.

        Raises:
            ConfigError: the file is missing.
        """
        if not isinstance(parameter, Mapping):
            path = Path(text(parameter, context))
            if not path.is_file():
                raise ConfigError(f"{path}: there is no such parameter file; give the path of a YAML file")
            return ["--params-file", str(path)]
        found = []
        for name, value in parameter.items():
            wrapped = value if isinstance(value, ParameterValue) else ParameterValue(value)
            found += ["-p", f"{text(name, context)}:={_yaml(wrapped.evaluate(context))}"]
        return found


def _yaml(value: str | int | float | bool) -> str:
    """The value as rcl reads it back with the same type."""
    return json.dumps(value)

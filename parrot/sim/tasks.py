"""The registry of tasks: each a text, the objects of its scenes and an objective (paper, section 5, appendix C.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from parrot.errors import ConfigError

__all__ = ["TASKS", "Task", "get_task"]


@dataclass(frozen=True)
class Task:
    """A task on a table with three objects.

    `verb` "grasp": lift the target and hold it. "place": put the target into or onto the container.
    "any": lift any object, or leave any object in the container (the rule by which trajectories are kept).
    """

    name: str
    gym_id: str
    text: str
    verb: Literal["grasp", "place", "any"]
    split: Literal["train", "test"]
    target: str | None = None
    """Category of the object to grasp or place; None: any."""
    container: str | None = None
    """Category of the container or target surface; "*": any of the split; None: there is none."""
    others: tuple[str, ...] = ()
    """Names of the other graspable objects of every scene, a choice of ours that makes a task easier; empty: any."""
    after_miss: bool = False
    """Whether an episode begins where a grasp has just missed, with the gripper closed and empty."""


def _test(
    verb: Literal["grasp", "place"], text: str, target: str, others: tuple[str, ...], container: str | None = None
) -> Task:
    where = "on" if container in ("checkerboard", "cube") else "in"
    name = f"place_{target}_{where}_{container}" if container else f"grasp_{target}"
    camel = "".join(word.capitalize() for word in name.split("_"))
    return Task(name, f"parrot/{camel}-v0", text, verb, "test", target, container, others)


_ALL = (
    _test("grasp", "Pick up the can and hold it above the table.", "can", ("blue_vase", "wooden_chair")),
    _test("grasp", "Pick up the vase and hold it above the table.", "vase", ("soda_can", "wooden_chair")),
    _test("grasp", "Pick up the baseball cap and hold it above the table.", "cap", ("soda_can", "wooden_chair")),
    _test("grasp", "Pick up the mug and hold it above the table.", "mug", ("clay_vase", "team_cap")),
    _test("place", "Pick up the can and place it in the pan.", "can", ("wooden_chair",), "pan"),
    _test("place", "Pick up the vase and put it in the basket.", "vase", ("soda_can",), "basket"),
    _test("place", "Place the chair on top of the checkerboard.", "chair", ("coffee_mug",), "checkerboard"),
    _test("place", "Pick the baseball cap and place it on the marble cube.", "cap", ("coffee_can",), "cube"),
    Task("collect_grasp", "parrot/CollectGrasp-v0", "Pick up any training object.", "any", "train"),
    Task("collect_place", "parrot/CollectPlace-v0", "Place any training object.", "any", "train", container="*"),
    Task("collect", "parrot/Collect-v0", "Pick up or place any training object.", "any", "train", container="mixed"),
    Task(
        "recover",
        "parrot/Recover-v0",
        "Pick up or place any training object after a missed grasp.",
        "any",
        "train",
        container="mixed",
        after_miss=True,
    ),
    Task("novel", "parrot/Novel-v0", "Pick up any of three novel objects.", "any", "test"),
)

TASKS: dict[str, Task] = {task.name: task for task in _ALL}
"""Every task by name: the paper's eight, then those that data is collected on."""


def get_task(name: str) -> Task:
    """The task of this name.

    Raises:
        ConfigError: there is none.
    """
    if name not in TASKS:
        raise ConfigError(f"task {name!r} is not known; choose one of {', '.join(TASKS)}")
    return TASKS[name]

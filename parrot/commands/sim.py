"""`parrot sim`: the simulated world by itself: its tasks, what can be grasped, how scripts fare."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table

from parrot.results import write_results

__all__ = ["COMMANDS"]


def tasks() -> None:
    """Show every task: its name, Gymnasium id and text."""
    from parrot.sim.tasks import TASKS

    table = Table("task, Gymnasium id", "objects", "what to do")
    for task in TASKS.values():
        novel = "novel" if task.split == "test" else "training"
        table.add_row(f"{task.name}\n[dim]{task.gym_id}[/]", novel, task.text)
    Console().print(table)


def graspability(
    trials: int = 20, seed: int = 0, noise: float = 0.0, robot: str = "xarm6", out: Path | None = None
) -> None:
    """Try to lift each object of the catalogue, alone on the table, with the scripted policy.

    Args:
        trials: attempts for each object.
        seed: of poses and noise.
        noise: standard deviation of the noise on the action; 0 as in the table of results, 0.1 as in prior data.
        robot: name or YAML file of the arm.
        out: CSV to write.
    """
    from parrot.sim.env import ManipulationEnv
    from parrot.sim.graspability import graspability as rates

    env = ManipulationEnv(robot=robot)
    objects = [m for m in env.catalogue.objects.values() if m.role == "graspable"]
    rows = list(track(rates(env, trials, seed, noise), "lifting", total=len(objects), console=Console(stderr=True)))
    table = Table("object", "category", "split", "lifted")
    for row in sorted(rows, key=lambda r: r.rate):
        table.add_row(row.name, row.category, row.split, f"{row.lifts}/{row.trials}")
    console = Console()
    console.print(table)
    weak = [row.name for row in rows if row.rate < 0.9]
    console.print(f"{len(rows) - len(weak)} of {len(rows)} objects lifted in at least 90%")
    console.print(f"below: {', '.join(weak)}" if weak else "none below")
    if out:
        write_results(out, [dataclasses.asdict(row) | {"seed": seed, "noise": noise} for row in rows])


def scripts(
    task: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = (),
    episodes: int = 200,
    seed: int = 0,
    robot: str = "xarm6",
    out: Path | None = None,
) -> None:
    """Measure how often the scripted policies, with the paper's noise, succeed at each task.

    Args:
        task: give it again for several; default: the collection tasks and the paper's eight.
        episodes: episodes for each task.
        seed: of scenes and noise.
        robot: name or YAML file of the arm.
        out: CSV to write.
    """
    from parrot.sim.collect import ScriptedRoller
    from parrot.sim.tasks import TASKS

    table = Table("task", "episodes", "success")
    rows = []
    for name in task or TASKS:
        roller = ScriptedRoller(name, robot)
        seeds = np.random.SeedSequence(seed).generate_state(episodes)
        wins = sum(roller.run(int(s)).success for s in track(seeds, name, console=Console(stderr=True), transient=True))
        roller.close()
        table.add_row(name, str(episodes), f"{wins / episodes:.1%}")
        rows.append({"task": name, "episodes": episodes, "successes": wins, "rate": wins / episodes, "seed": seed})
    Console().print(table)
    if out:
        write_results(out, rows)


COMMANDS = {"tasks": tasks, "graspability": graspability, "scripts": scripts}

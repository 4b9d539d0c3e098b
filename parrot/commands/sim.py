"""`parrot sim`: the simulated world on its own: which objects can be grasped, how often scripts succeed, how fast it is."""

from __future__ import annotations

import csv
import dataclasses
import io
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table

__all__ = ["COMMANDS"]


def tasks() -> None:
    """Show every task: its name, Gymnasium id and text."""
    from parrot.sim.tasks import TASKS

    table = Table("task", "Gymnasium id", "objects", "what to do")
    for task in TASKS.values():
        table.add_row(task.name, task.gym_id, "novel" if task.split == "test" else "training", task.text)
    Console().print(table)


def graspability(trials: int = 20, seed: int = 0, noise: float = 0.0, robot: str = "xarm6", out: Path | None = None) -> None:
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
    console.print(f"{len(rows) - len(weak)} of {len(rows)} objects lifted in at least 90%; below: {', '.join(weak) or '-'}")
    if out:
        _write(out, [dataclasses.asdict(row) | {"seed": seed, "noise": noise} for row in rows])


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
        wins = sum(
            roller.run(int(s)).success for s in track(seeds, name, console=Console(stderr=True), transient=True)
        )
        roller.close()
        table.add_row(name, str(episodes), f"{wins / episodes:.1%}")
        rows.append({"task": name, "episodes": episodes, "successes": wins, "rate": wins / episodes, "seed": seed})
    Console().print(table)
    if out:
        _write(out, rows)


def speed(task: str = "collect", seconds: float = 10.0, robot: str = "xarm6") -> None:
    """Measure steps per second with image on one core, against the same scene with the robot's stock meshes.

    Args:
        task: whose scenes.
        seconds: measured for each of the two, in alternation.
        robot: name or YAML file of the arm.
    """
    from parrot.sim.collect import ScriptedRoller
    from parrot.spaces import EPISODE_STEPS

    with _stock(robot) as stock:
        rollers = {"light meshes": ScriptedRoller(task, robot), "stock meshes": ScriptedRoller(task, str(stock))}
        spent, steps = dict.fromkeys(rollers, 0.0), dict.fromkeys(rollers, 0)
        for seed in range(100_000):
            for name, roller in rollers.items():
                start = time.perf_counter()
                roller.run(seed)
                spent[name] += time.perf_counter() - start
                steps[name] += EPISODE_STEPS
            if min(spent.values()) > seconds:
                break
        for roller in rollers.values():
            roller.close()
    rates = {name: steps[name] / spent[name] for name in rollers}
    table = Table("world", "steps/s, image included")
    for name, rate in rates.items():
        table.add_row(name, f"{rate:.0f}")
    Console().print(table)
    Console().print(f"ratio {rates['light meshes'] / rates['stock meshes']:.1f}")


COMMANDS = {"tasks": tasks, "graspability": graspability, "scripts": scripts, "speed": speed}

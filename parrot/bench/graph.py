"""The ROS graph: a step of fine-tuning through three nodes in lockstep, beside the same in one process; and one hop."""

from __future__ import annotations

import csv
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from parrot.bench.measure import Row, alternate
from parrot.errors import RunError

__all__ = ["environment", "looping"]

MINUTES = 0.3
"""Length of a run."""

STARTED = 5
"""Episodes that are left out: the first passes through a network take longer."""

# The policy acts and nothing is learnt, so that both runs do the same work for a step.
FIXED = {"start_successes": 10**6, "candidates": 1}


def looping(runs: int, seed: int) -> Row:
    """A step with acting, decoding, physics and picture; nothing is learnt."""
    changes = [f"{name}={value}" for name, value in FIXED.items()]
    command = [sys.executable, "-m", "parrot.cli"]
    budget = {"eval_before": "0", "eval_after": "0", "minutes": str(MINUTES), "seed": str(seed)}
    hops: list[str] = []

    def graph() -> float:
        arguments = [f"{name}:={value}" for name, value in budget.items()]
        return _run([*command, "launch", "sim_finetune.launch.py", *arguments, f"changes:={'; '.join(changes)}"], "ros")

    def process() -> float:
        options = [word for name, value in budget.items() for word in (f"--{name.replace('_', '-')}", value)]
        return _run([*command, "train", "grasp_cap", *options, "--change", *changes], "local")

    def hop() -> float:
        done = subprocess.run(
            [sys.executable, "-m", "parrot.nodes.hop"], capture_output=True, text=True, env=environment(), check=True
        )
        half, most = (float(word) for word in done.stdout.split())
        hops[:] = [f"a hop between two processes with an image: p50 {half:.2f} ms, p99 {most:.2f} ms"]
        return half / 1e3

    took = alternate({"ours": graph, "theirs": process, "hop": hop}, runs)
    return Row(
        workload="graph: a step of fine-tuning through three nodes, lockstep", unit="ms a step", ours=took["ours"],
        peer="the same in one process", theirs=took["theirs"], goal=0.7, floor="the same in one process",
        least=took["theirs"], runs=runs, seed=seed, note=hops[0],
    )  # fmt: skip


def _run(command: list[str], kind: str) -> float:
    """Seconds for a step, from the run's own table of episodes."""
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder, "run")
        where = [f"run_dir:={run_dir}"] if kind == "ros" else ["--run-dir", str(run_dir)]
        done = subprocess.run([*command, *where], capture_output=True, text=True, env=environment())
        if done.returncode:
            raise RunError(f"the {kind} run of the benchmark failed: {done.stderr.strip() or done.stdout[-500:]}")
        with open(run_dir / "episodes.csv") as file:
            rows = list(csv.DictReader(file))
    first, last = rows[STARTED], rows[-1]
    steps = int(last["env_steps"]) - int(first["env_steps"])
    return (float(last["seconds"]) - float(first["seconds"])) / steps


def environment() -> dict[str, str]:
    """A domain of its own, so that nothing else on the network is heard."""
    return {
        **os.environ, "ROS_DOMAIN_ID": str(random.randint(1, 100)), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip

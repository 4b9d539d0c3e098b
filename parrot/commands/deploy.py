"""Try an exported policy in simulation, in this process, without ROS."""

from __future__ import annotations

from pathlib import Path

import tyro

__all__ = ["COMMANDS", "deploy"]


def deploy(
    policy: tyro.conf.Positional[Path],
    task: str | None = None,
    trials: int = 20,
    out: Path | None = None,
    robot: str = "xarm6",
    seed: int = 0,
) -> int:
    """Runs a policy for some trials in the simulator, and says how often it succeeds.

    The same as sim_deploy.launch.py, trial by trial. Interrupt it at any time: the same command goes on.

    Args:
        policy: A file made by `parrot export`.
        task: Name of the task; default: the one that the policy has learnt.
        trials: Trials in all, those in the folder included.
        out: Folder of the trials; default: runs/deploy-TASK.
        robot: Name of the robot's YAML.
        seed: Of the scenes and the policy's noise.
    """
    import torch
    from rich.console import Console
    from rich.progress import track

    from parrot.errors import ConfigError
    from parrot.rl.loop import run_trials
    from parrot.rl.policy import load_policy
    from parrot.rl.trials import TrialAbout, TrialFolder
    from parrot.sim.camera import RENDERER

    if trials < 1:
        raise ConfigError(f"trials is {trials}; give 1 or more")
    torch.set_num_threads(1)
    loaded = load_policy(policy, robot, renderer=RENDERER, seed=seed)
    name = task or loaded.card.task
    console = Console()
    about = TrialAbout(name, loaded.card.embodiment.robot, loaded.sha256)
    folder = TrialFolder(out or Path("runs") / f"deploy-{name}", about, trials)
    try:
        left = trials - len(folder.trials)
        for _ in track(run_trials(loaded, folder, robot, seed), "trials", total=left, console=console, transient=True):
            pass
    finally:
        folder.close()
        console.print(f"{folder.sentence()}; {folder.path / 'episodes.csv'}", highlight=False, soft_wrap=True)
    return 0


COMMANDS = {"deploy": deploy}

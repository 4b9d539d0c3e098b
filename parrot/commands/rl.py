"""Fine-tune on a task in this process, without ROS."""

from __future__ import annotations

from pathlib import Path

import tyro

__all__ = ["COMMANDS", "train"]


def train(
    task: tyro.conf.Positional[str],
    run_dir: Path,
    algo: str = "parrot",
    prior: Path | None = None,
    preset: str = "fast",
    change: tuple[str, ...] = (),
    episodes: int = 20000,
    minutes: float = 13.0,
    env_steps: int = 0,
    probe_every: int = 0,
    probe_episodes: int = 0,
    eval_before: int = 50,
    eval_after: int = 50,
    epsilon: float = 0.9,
    seed: int = 0,
    robot: str = "xarm6",
    learner_threads: int = 1,
) -> int:
    """Learns a task by reinforcement learning in the prior's latent space, and says how well.

    Ends when the task is solved or the budget is spent. Interrupt it at any time: the same command goes on.

    Args:
        task: Name of the task, e.g. grasp_cap; `parrot tasks` lists them.
        run_dir: Folder of the run: configuration, curves, checkpoint, episodes, summary.
        algo: `parrot` acts in the prior's latent space, `sac` in raw actions; docs/baselines.md lists all.
        prior: Weights of the prior, or of what the comparison starts from; by default those that come with parrot.
        preset: Hyper-parameters: `fast`, `flow`, `arm` or `paper`.
        change: Changes to the preset, e.g. `n_step=5 batch_size=64`.
        episodes: Budget of training episodes.
        minutes: Budget of wall-clock time, the last evaluation not counted.
        env_steps: Budget of environment steps; 0: no limit.
        probe_every: Environment steps between two probes of the policy while it learns; 0: none.
        probe_episodes: Episodes of a probe, without exploration and not for the replay.
        eval_before: Episodes that measure the prior alone.
        eval_after: Episodes that measure the trained policy.
        epsilon: For `prior_explore`: how often an action comes from the prior while it learns.
        seed: Seed of the run.
        robot: Name of the robot's YAML.
        learner_threads: Threads of the learner.
    """
    import torch
    from rich.console import Console
    from rich.live import Live

    from parrot.rl.display import line, table
    from parrot.rl.loop import fine_tune
    from parrot.rl.settings import FineTuneConfig, sac_config
    from parrot.rl.status import Status

    torch.set_num_threads(1)
    config = FineTuneConfig(
        task=task, algo=algo, prior=str(prior) if prior else None, robot=robot, seed=seed, episodes=episodes,
        minutes=minutes, env_steps=env_steps, probe_every=probe_every, probe_episodes=probe_episodes,
        eval_before=eval_before, eval_after=eval_after, learner_threads=learner_threads,
        epsilon=epsilon, sac=sac_config(preset, change),
    )  # fmt: skip
    console = Console()
    with Live(console=console, auto_refresh=False) as live:

        def show(status: Status) -> None:
            if console.is_terminal:
                live.update(table(status, f"{task}, {algo}"), refresh=True)
            elif status.episode % 25 == 0:
                console.print(line(status), highlight=False, soft_wrap=True)

        tuning = fine_tune(config, run_dir, show)
    before, after = tuning.success("before", None), tuning.success("after", None)
    console.print(f"success before {before:.0%}, after {after:.0%}; {run_dir / 'learning_curve.png'}", highlight=False)
    return 0


COMMANDS = {"train": train}

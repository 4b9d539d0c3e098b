"""Train, measure, draw and compare behavioral priors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from parrot.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from parrot.prior.evaluate import Outcome
    from parrot.prior.presets import TrainConfig
    from parrot.prior.train import Trainer

__all__ = ["COMMANDS"]

NOVEL_GRASPS = ("grasp_can", "grasp_vase", "grasp_cap", "grasp_mug")
"""Scenes of novel objects."""

_FORGIVEN_NATS = 0.03
"""How far the held-out score may end below its best without a word; it wavers that much."""


def train(
    dataset: Annotated[tuple[Path, ...], tyro.conf.Positional],
    weights: tuple[float, ...] = (),
    convert: bool = False,
    allow: tuple[Literal["camera", "renderer", "robot", "control_hz"], ...] = (),
    out: Path | None = None,
    kind: str = "flow",
    preset: Literal["fast", "paper"] = "fast",
    minutes: float | None = None,
    steps: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    init: Path | None = None,
    seed: int = 0,
    device: str | None = None,
    threads: int | None = None,
) -> None:
    """Train a prior, or what a comparison starts from, on datasets; the same command goes on where it was stopped.

    `torchrun --nproc-per-node N .venv/bin/parrot prior train …` shares each batch out to N GPUs, or processes.

    Args:
        dataset: Folders of datasets.
        weights: One number for each dataset: how often a step of it is drawn beside those of the others; default:
            every step is equally likely.
        convert: Rescale the actions of datasets with another action scale to the scale of the first.
        allow: What the datasets may differ in although it changes what an image or an action means; with `robot`, the
            prior of `--init` may be of another one.
        out: Folder of the training; prior.safetensors in it is usable at any time. Default: runs/prior, or runs/KIND.
        kind: What to train: flow, the behavioral prior, or what a comparison starts from (docs/baselines.md).
        preset: fast, for two CPU cores, or paper, for the paper's architecture and schedule.
        minutes: Wall-clock budget over all parts; default: none.
        steps: Gradient steps; default: the preset's.
        batch: State-action pairs for each step; default: the preset's.
        lr: Learning rate; default: the preset's.
        init: A prior whose weights are the start, of the same preset, such as the one that comes with parrot; default:
            random weights.
        seed: Of the weights, the split, the batches and the noise.
        device: cpu or cuda; default: cuda if there is one.
        threads: CPU threads; default: one for each core that is idle when it begins.
    """
    from rich.console import Console

    from parrot.prior.base import Prior
    from parrot.prior.sources import Mix, Sources, source_table
    from parrot.prior.train import Trainer

    _use_threads(threads)
    given = {"minutes": minutes, "steps": steps, "batch": batch, "lr": lr, "init": str(init) if init else None}
    config = _preset(preset, kind, seed=seed, **{name: value for name, value in given.items() if value is not None})
    sources = Sources.open(dataset, Mix(weights, convert, allow))
    out = out or Path("runs", "prior" if kind == "flow" else kind)
    trainer = Trainer(sources, config, out, device)
    console = Console(quiet=not trainer.workers.first)
    for line in sources.conversions():
        console.print(line, soft_wrap=True)
    if trainer.step:
        console.print(f"{out}: going on from step {trainer.step:,}", soft_wrap=True)
    with _bar(trainer, preset if kind == "flow" else f"{kind} {preset}") as report:
        trainer.run(report)
    if trainer.rows:
        if len(dataset) > 1:
            console.print(source_table(sources, trainer.rows[-1].by_source))
        latest = trainer.rows[-1]
        if isinstance(trainer.prior, Prior):
            console.print(f"held-out log-likelihood {latest.held_out_nats:.3f} nats a pair")
        else:
            others = "".join(f", {name} {value:.4g}" for name, value in latest.measures.items())
            console.print(f"held out: score {latest.held_out_nats:.3f}{others}")
        best = max(trainer.rows, key=lambda row: row.held_out_nats)
        if best.held_out_nats > latest.held_out_nats + _FORGIVEN_NATS:
            console.print(
                f"it was {best.held_out_nats:.3f} after step {best.step:,} and fell since: the model remembers its "
                "examples rather than learning from them; give it more data, or fewer --steps", soft_wrap=True,
            )  # fmt: skip
    console.print(f"{out / 'prior.safetensors'}: trained for {trainer.step:,} steps", soft_wrap=True)


def eval_(
    prior: Annotated[Path | None, tyro.conf.Positional] = None,
    task: tuple[str, ...] = NOVEL_GRASPS,
    episodes: int = 500,
    seed: int = 0,
    workers: int = 2,
    robot: str = "xarm6",
    out: Path | None = None,
) -> None:
    """Measure how often random z through a prior lifts an object, beside uniformly random actions.

    Args:
        prior: Its file; default: the one that comes with parrot.
        task: Tasks whose scenes are used in turn; default: the four grasping tasks with novel objects.
        episodes: Episodes of each policy, over all tasks.
        seed: Of scenes and noise.
        workers: Processes.
        robot: Name of the robot's YAML.
        out: CSV to write.
    """
    from rich.console import Console

    from parrot.prior.evaluate import rates
    from parrot.prior.weights import shipped_prior
    from parrot.results import write_results

    path = prior or shipped_prior()
    outcomes = _evaluate(path, task, episodes, seed, workers, robot)
    rows = [asdict(rate) | {"seed": seed, "prior": path.name} for rate in rates(outcomes)]
    Console().print(_table(rows))
    if out:
        write_results(out, rows)


def show(
    prior: Annotated[Path | None, tyro.conf.Positional] = None,
    out: Path = Path("prior.png"),
    task: str = "grasp_cap",
    trajectories: int = 50,
    seed: int = 0,
    robot: str = "xarm6",
) -> None:
    """Draw the paper's Figure 4: paths of random z through a prior beside uniformly random actions, on one scene.

    Args:
        prior: Its file; default: the one that comes with parrot.
        out: Picture to write: .png, .pdf or .svg.
        task: Whose scene.
        trajectories: Paths of each kind.
        seed: Of the scene and the noise.
        robot: Name of the robot's YAML.
    """
    from rich.console import Console

    from parrot.prior.show import draw, trace
    from parrot.prior.weights import load_decoder
    from parrot.sim.env import ManipulationEnv

    if out.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise ConfigError(f"--out {out}: pictures are written as .png, .pdf or .svg; choose such a name")
    loaded = load_decoder(prior, robot=robot)
    env = ManipulationEnv(task, robot, render_mode="rgb_array", render_size=480)
    try:
        learnt, uniform = (trace(env, policy, trajectories, seed) for policy in (loaded, None))
        draw(env, learnt, uniform, out)
    finally:
        env.close()
    lifted = f"{learnt.lifted.sum()} of {trajectories} paths with the prior, {uniform.lifted.sum()} without"
    Console().print(f"{out}: an object lifted in {lifted}", soft_wrap=True)


def compare(
    dataset: Annotated[tuple[Path, ...], tyro.conf.Positional],
    models: tuple[str, ...] = ("paper", "fast"),
    minutes: float = 10.0,
    episodes: int = 500,
    task: tuple[str, ...] = NOVEL_GRASPS,
    seed: int = 0,
    workers: int = 2,
    robot: str = "xarm6",
    runs: Path = Path("runs/prior_compare"),
    out: Path = Path("results/prior_compare.csv"),
) -> None:
    """Compare presets and kinds of priors at equal wall-clock time, by held-out likelihood and by lifting.

    Args:
        dataset: Folders of datasets.
        models: What to compare: presets of the flow, or KIND/PRESET, e.g. history/fast.
        minutes: Training time of each.
        episodes: Evaluation episodes of each.
        task: Tasks whose scenes are used in turn.
        seed: Of everything.
        workers: Processes of the evaluation.
        robot: Name of the robot's YAML.
        runs: Folder that the trainings go into.
        out: CSV to write.
    """
    from rich.console import Console

    from parrot.data.dataset import Dataset
    from parrot.prior.evaluate import rates
    from parrot.prior.train import Trainer
    from parrot.results import write_results

    opened = Dataset.open(dataset)
    rows: list[dict[str, Any]] = []
    configs = {}
    for name in models:
        kind, _, preset = name.rpartition("/")
        configs[name] = _preset(preset, kind or "flow", seed=seed, minutes=minutes)
    for name, config in configs.items():
        trainer = Trainer(opened, config, runs / name)
        with _bar(trainer, name) as report:
            trainer.run(report)
        outcomes = _evaluate(runs / name / "prior.safetensors", task, episodes, seed, workers, robot, ("prior",))
        latest = trainer.rows[-1]
        about = {
            "preset": name, "minutes": minutes, "steps": trainer.step, "training_episodes": len(opened),
            # The score that flow matching is trained by is none.
            "held_out_nats": round(latest.measures.get("log_likelihood", latest.held_out_nats), 4),
        }  # fmt: skip
        rows += [about | asdict(rate) | {"seed": seed} for rate in rates(outcomes)]
    Console().print(_table([row for row in rows if len(task) == 1 or row["task"] == "all"]))
    write_results(out, rows)


def _preset(name: str, kind: str = "flow", **changes: Any) -> TrainConfig:
    from parrot.prior.presets import preset

    for option in ("steps", "batch", "minutes", "lr"):
        if option in changes and changes[option] <= 0:
            raise ConfigError(f"--{option} {changes[option]}: must be above 0")
    return replace(preset(name, kind), **changes)


def _use_threads(threads: int | None) -> None:
    import torch

    from parrot.resources import idle_cores

    if threads is not None and threads < 1:
        raise ConfigError(f"--threads {threads}: must be at least 1")
    torch.set_num_threads(threads or idle_cores())


def _evaluate(
    prior: Path, tasks: tuple[str, ...], episodes: int, seed: int, workers: int, robot: str,
    policies: tuple[str, ...] = ("prior", "uniform"),
) -> list[Outcome]:  # fmt: skip
    """`evaluate` with a progress bar that shows the rates so far."""
    from rich.console import Console
    from rich.progress import Progress

    from parrot.prior.evaluate import evaluate

    if episodes < len(tasks) or workers < 1:
        raise ConfigError(
            f"--episodes {episodes} --workers {workers}: need one for each of {len(tasks)} tasks, and one"
        )
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bars = {policy: progress.add_task(policy, total=episodes) for policy in policies}
        lifts = dict.fromkeys(policies, 0)

        def report(portion: Sequence[Outcome]) -> None:
            policy = portion[0].policy
            lifts[policy] += sum(outcome.lifted for outcome in portion)
            progress.advance(bars[policy], len(portion))
            done = progress.tasks[bars[policy]].completed
            progress.update(bars[policy], description=f"{policy}: {lifts[policy] / done:.0%} lift")

        return evaluate(prior, tasks, episodes, seed, workers, robot, policies, report)


@contextmanager
def _bar(trainer: Trainer, name: str) -> Iterator[Any]:
    """A progress bar of the budget, with the likelihoods last measured."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True, quiet=not trainer.workers.first)) as progress:
        bar = progress.add_task(name, total=1.0, state="")
        progress.update(bar, completed=trainer.progress)

        def report(trainer: Trainer) -> None:
            state = f"step {trainer.step:,}"
            if trainer.rows:
                row = trainer.rows[-1]
                state += (
                    f", {row.steps_per_second:.0f}/s, train {row.train_nats:.2f}, held out {row.held_out_nats:.2f} nats"
                )
            progress.update(bar, completed=trainer.progress, state=state)

        yield report


def _table(rows: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    hidden = ("lifted_low", "lifted_high", "seed", "prior", "training_episodes")
    names = [name for name in rows[0] if name not in hidden]
    table = Table(*names)
    for row in rows:
        cells = {name: f"{value:.1%}" if name in ("lifted", "success") else str(value) for name, value in row.items()}
        cells["lifted"] += f" ({row['lifted_low']:.1%} to {row['lifted_high']:.1%})"
        table.add_row(*(cells[name] for name in names))
    return table


COMMANDS = {"train": train, "eval": eval_, "show": show, "compare": compare}

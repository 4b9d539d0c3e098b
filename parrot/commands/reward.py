"""Fit and measure image classifiers of success, which reward a real arm."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from parrot.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from parrot.rl.reward.figures import Figures

__all__ = ["COMMANDS"]


def train(
    datasets: Annotated[tuple[Path, ...], tyro.conf.Positional],
    out: Path = Path("reward.safetensors"),
    prior: Path | None = None,
    steps: int | None = None,
    allow: tuple[Literal["camera", "renderer", "control_hz"], ...] = (),
    seed: int = 0,
    device: Literal["cpu", "cuda"] = "cpu",
) -> None:
    """Fit a classifier of success on labelled episodes, and say how well it does on those held out.

    Args:
        datasets: Folders of datasets with successful and failed episodes, such as
            `parrot data from-bags BAG --out DATASET --keep-failures` makes.
        out: File to write.
        prior: The prior whose image encoder is the start; default: the one that comes with parrot.
        steps: Gradient steps; default: 400.
        allow: What the datasets may differ in although it changes what an image means.
        seed: Of the split, the head, the batches and the shifts.
        device: Where to compute.
    """
    from rich.console import Console
    from rich.progress import Progress

    from parrot.rl.reward.labels import open_dataset
    from parrot.rl.reward.train import RewardConfig, train_classifier

    if out.suffix != ".safetensors":
        raise ConfigError(f"--out {out}: a classifier is a .safetensors file; choose such a name")
    config = RewardConfig(seed=seed) if steps is None else RewardConfig(seed=seed, steps=steps)
    dataset = open_dataset(datasets, allow)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("reward", total=config.steps)

        def report(step: int, loss: float) -> None:
            progress.update(bar, completed=step, description=f"loss {loss:.3f}")

        classifier, figures = train_classifier(dataset, config, prior, device, report)
    classifier.save(out)
    console = Console()
    console.print(_table(figures, "held out"))
    held, episodes = len(classifier.card["held_out"]), len(dataset)
    console.print(
        f"{out}: fitted on {episodes - held} episodes, {held} held out; each of these was measured with the threshold "
        "that the others give",
        soft_wrap=True, highlight=False,
    )  # fmt: skip


def eval_(
    classifier: Annotated[Path, tyro.conf.Positional],
    datasets: Annotated[tuple[Path, ...], tyro.conf.Positional],
    allow: tuple[Literal["camera", "renderer", "robot", "control_hz"], ...] = (),
) -> None:
    """Measure a classifier of success on episodes that it was not fitted on.

    Args:
        classifier: Its file.
        datasets: Folders of datasets.
        allow: What these may differ in from what it was trained on.
    """
    from rich.console import Console

    from parrot.rl.reward.classifier import RewardClassifier
    from parrot.rl.reward.evaluate import evaluate
    from parrot.rl.reward.labels import open_dataset

    figures = evaluate(RewardClassifier.load(classifier), open_dataset(datasets, allow), allow)
    Console().print(_table(figures, ", ".join(path.name for path in datasets)))


def _table(figures: Figures, title: str) -> Table:
    from rich.table import Table

    table = Table("by", "precision", "recall", "success found", "failure taken for success", title=title)
    for name, counts in (("image", figures.images), ("episode", figures.episodes)):
        shares = ("-" if share != share else f"{share:.1%}" for share in (counts.precision, counts.recall))
        found = f"{counts.right} of {counts.right + counts.missed}"
        table.add_row(name, *shares, found, f"{counts.wrong} of {counts.wrong + counts.passed}")
    return table


COMMANDS = {"train": train, "eval": eval_}

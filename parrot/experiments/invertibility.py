"""Which actions a method can produce: what the paper says separates PARROT from HIRL (section 5), measured.

A flow has one latent for each action, found by inversion and checked by decoding it. Whether any latent of a VAE gives
an action is a question for optimisation: what the search does not find may exist all the same, so a VAE's share is a
lower bound. It counts, too, whether a policy could choose the latent (`REACHES`).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from parrot.baselines.hirl import ConditionalVAE
from parrot.data.dataset import Dataset
from parrot.durable import atomic_path
from parrot.errors import ConfigError
from parrot.prior.base import ActionDecoder, Prior
from parrot.prior.weights import load_decoder
from parrot.results import wilson, write_results
from parrot.rl.algorithms import ALGORITHMS, Algorithm, algorithm
from parrot.rl.networks import LOG_STD_MAX
from parrot.rl.presets import SACConfig
from parrot.rl.sealed import file_digest
from parrot.spaces import ACTION_DIM, to_chw

__all__ = ["REACHES", "Found", "Search", "by_inversion", "by_search", "draw", "measure"]

REACHES = {
    "mean": SACConfig.mean_bound,
    "sample": SACConfig.mean_bound + 2.0 * math.exp(LOG_STD_MAX),
    "anywhere": math.inf,
}
"""How far from 0 each number of a latent may be: where the policy's mean can settle; where its samples, two of its
largest deviations from there, still go; anywhere. Each holds the ones before it."""

ACTIONS = {"uniform": "random actions of the box", "recorded": "demonstrated actions"}
"""What is to be produced."""

DAMPING = (1e-7, 1e6)
"""Bounds of the damping of the search: from Gauss-Newton to hardly a step."""


@dataclass(frozen=True)
class Search:
    """How a latent is looked for where there is no inverse."""

    restarts: int = 32
    """Starts for each action and reach: the encoder's mean where there is one, then samples of N(0, I)."""
    iterations: int = 80
    """Steps of Levenberg and Marquardt from each."""
    tolerance: float = 1e-3
    """Largest difference in any number of the executed action that counts as the same."""


@dataclass(frozen=True)
class Found:
    """The best latent found for each of N actions."""

    z: Tensor
    """(N, D)."""
    error: Tensor
    """(N,): largest difference in any number between the executed action and the one wanted."""


def executed_error(decoded: Tensor, wanted: Tensor) -> Tensor:
    """(N,): largest difference once the decoded actions (N, 7) are clipped, as they are where they are executed."""
    return (decoded.clamp(-1.0, 1.0) - wanted).abs().amax(-1)


@torch.no_grad()
def by_inversion(prior: Prior, wanted: Tensor, features: Tensor) -> Found:
    """The latents of the actions (N, 7) in [-1, 1] for encoded images (N, F), in float32 as a policy would say them."""
    z = prior.encode(wanted, features=features)
    return Found(z, executed_error(prior.decode(z, features=features), wanted))


def by_search(
    model: ActionDecoder,
    wanted: Tensor,
    features: Tensor,
    reach: float,
    search: Search,
    generator: torch.Generator,
    known: Found | None = None,
) -> Found:
    """Latents within `reach` that decode to the actions (N, 7), as near as the search comes.

    Args:
        model: what decodes.
        wanted: the actions, in [-1, 1].
        features: of the images, (N, F).
        reach: largest magnitude of any number of z.
        search: its length.
        generator: of the starts.
        known: what was found within a smaller reach; better latents than these are looked for.
    """
    n, dim = len(wanted), model.latent_dim
    z, error = torch.zeros(n, dim), torch.full((n,), math.inf)
    if known is not None:
        z, error = known.z.clone(), known.error.clone()
    for attempt in range(search.restarts):
        # Drawn for all, so that what is found for one action does not depend on the others.
        begin = torch.randn(n, dim, generator=generator)
        if attempt == 0 and isinstance(model, ConditionalVAE):
            with torch.no_grad():
                begin = model.infer(wanted, features=features)
        left = (error > search.tolerance).nonzero()[:, 0]
        if not len(left):
            break
        tried = _descend(model, wanted[left], features[left], begin[left], reach, search)
        better = tried.error < error[left]
        z[left[better]], error[left[better]] = tried.z[better], tried.error[better]
    return Found(z, error)


def _descend(
    model: ActionDecoder, wanted: Tensor, features: Tensor, begin: Tensor, reach: float, search: Search
) -> Found:
    """Levenberg and Marquardt's least squares for all actions at once, each with a damping of its own.

    A bounded latent is reach * tanh(u), with u what is searched.
    """
    bounded = math.isfinite(reach)
    u = torch.atanh((begin / reach).clamp(-0.99, 0.99)) if bounded else begin.clone()
    damping = torch.full((len(u), 1, 1), 1e-2, dtype=torch.float64)
    eye = torch.eye(u.shape[-1], dtype=torch.float64)

    def decoded(u: Tensor) -> tuple[Tensor, Tensor]:
        z = reach * torch.tanh(u) if bounded else u
        return z, model.decode(z, features=features)

    def short(action: Tensor) -> Tensor:
        """What is missing (N, 7); an action beyond a bound that is wanted will be clipped to it."""
        there = ((wanted >= 1.0) & (action >= 1.0)) | ((wanted <= -1.0) & (action <= -1.0))
        return torch.where(there, torch.zeros(()), wanted - action)

    for _ in range(search.iterations):
        with torch.enable_grad():
            at = u.detach().requires_grad_()
            residual = short(decoded(at)[1])
            columns = [torch.autograd.grad(residual[:, k].sum(), at, retain_graph=True)[0] for k in range(ACTION_DIM)]
        residual, slope = residual.detach(), -torch.stack(columns, 1).double()
        # In double precision the least damping is enough: z has more numbers than an action, and a VAE has flat places.
        normal = slope.mT @ slope + damping * eye
        step = torch.linalg.solve(normal, slope.mT @ residual[..., None].double())[..., 0].float()
        with torch.no_grad():
            after = short(decoded(u + step)[1])
        better = after.square().sum(-1) < residual.square().sum(-1)
        u = torch.where(better[:, None], u + step, u)
        damping = torch.where(better[:, None, None], damping / 4.0, damping * 4.0).clamp(*DAMPING)
    with torch.no_grad():
        z, action = decoded(u)
    return Found(z, executed_error(action, wanted))


def measure(
    dataset: Path,
    models: Sequence[Path],
    out: Path,
    *,
    actions: int = 200,
    seed: int = 0,
    search: Search | None = None,
    report: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """Measures the share of actions that each model can produce, and writes the table after each model.

    Args:
        dataset: where the images come from, and the actions demonstrated there; none that a model was trained on.
        models: files of decoders of actions, invertible or not.
        out: CSV to write: a row for each model, kind of actions and reach.
        actions: how many of each kind.
        seed: of images, actions and starts.
        search: how long to search.
        report: called with the file of each model that is measured.

    Raises:
        ConfigError: there are fewer images than actions wanted, or a model was trained on this very dataset.
        DatasetError, WeightsError: a file is missing or damaged.
    """
    search = search or Search()
    data = Dataset.open(dataset)
    if not 0 < actions <= data.steps:
        raise ConfigError(f"--actions {actions}: {dataset} has {data.steps} steps; give 1 to {data.steps}")
    rng = np.random.default_rng(seed)
    steps = np.sort(rng.choice(data.steps, actions, replace=False))
    images = torch.from_numpy(to_chw(data.images(steps)).copy())
    wanted = {
        "uniform": torch.from_numpy(rng.uniform(-1.0, 1.0, (actions, ACTION_DIM)).astype(np.float32)),
        "recorded": torch.from_numpy(data.actions[steps]),
    }
    rows: list[dict[str, Any]] = []
    for path in models:
        model = load_decoder(path, str(data.manifest.robot))
        if model.card.get("dataset_checksum") == data.checksum():
            raise ConfigError(f"{path} was trained on {dataset}; give a dataset that no model has seen")
        with torch.no_grad():
            features = model.encode_image(images)
        about = {"method": _method(model).name, "model": file_digest(path)[:12]}
        for kind, targets in wanted.items():
            for reach, found in _within(model, targets, features, search, seed).items():
                rows.append({
                    **about, "how": "inversion" if isinstance(model, Prior) else "search", "actions": kind,
                    "reach": reach, **_figures(found, REACHES[reach], search.tolerance),
                    "tolerance": search.tolerance, "restarts": search.restarts, "iterations": search.iterations,
                    "dataset": data.checksum()[:12], "seed": seed,
                })  # fmt: skip
        write_results(out, rows)
        if report:
            report(str(path))
    return rows


def _within(model: ActionDecoder, wanted: Tensor, features: Tensor, search: Search, seed: int) -> dict[str, Found]:
    """What was found within each reach."""
    if isinstance(model, Prior):
        return dict.fromkeys(REACHES, by_inversion(model, wanted, features))
    found: dict[str, Found] = {}
    known, generator = None, torch.Generator().manual_seed(seed)
    for name, reach in REACHES.items():
        known = found[name] = by_search(model, wanted, features, reach, search, generator, known)
    return found


def _figures(found: Found, reach: float, tolerance: float) -> dict[str, Any]:
    """Of the actions, how many have a latent within the reach; how far out these are; how near the search comes."""
    farthest = found.z.abs().amax(-1)
    good = (found.error <= tolerance) & (farthest <= reach)
    count, n = int(good.sum()), len(good)
    low, high = wilson(count, n)
    return {
        "limit": round(reach, 3), "produced": count, "of": n, "share": round(count / n, 4), "low": round(low, 4),
        "high": round(high, 4), "median_error": f"{float(found.error.median()):.2e}",
        "median_farthest_z": round(float(farthest[good].median()), 2) if count else "",
    }  # fmt: skip


def _method(model: ActionDecoder) -> Algorithm:
    """The algorithm that acts by such a model."""
    return next(a for a in map(algorithm, ALGORITHMS) if a.kind == model.config.kind)


def draw(table: Path, out: Path) -> None:
    """Draws the shares, with their 95% intervals, from the CSV alone.

    Raises:
        ConfigError: there is no such CSV, or it is of something else.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    try:
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        bars = {(r["actions"], r["method"], r["reach"]): [float(r[k]) for k in ("share", "low", "high")] for r in rows}
    except (OSError, KeyError, ValueError) as error:
        raise ConfigError(f"{table}: no table of invertibility ({error}); give a dataset to measure one") from error
    methods = list(dict.fromkeys(row["method"] for row in rows))
    figure = Figure(figsize=(8, 3.4), dpi=140, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (kind, title) in zip(figure.subplots(1, 2, sharey=True), ACTIONS.items(), strict=True):
        for place, name in enumerate(methods):
            about, width = algorithm(name), 0.8 / len(methods)
            share, low, high = np.array([bars[kind, name, reach] for reach in REACHES]).T
            at = np.arange(len(REACHES)) + (place - (len(methods) - 1) / 2) * width
            axes.bar(at, share, width * 0.9, color=about.colour, label=about.label)
            axes.errorbar(at, share, [share - low, high - share], fmt="none", ecolor="black", capsize=2, linewidth=1)
        labels = [f"{name}\n|z| ≤ {limit:.1f}" if math.isfinite(limit) else name for name, limit in REACHES.items()]
        axes.set_xticks(range(len(REACHES)), labels)
        axes.set(title=title, ylim=(0, 1.05))
        axes.grid(axis="y", alpha=0.3)
    figure.axes[0].set_ylabel("share that some latent produces")
    figure.axes[-1].legend(loc="lower right", fontsize=8)
    with atomic_path(out) as tmp:
        figure.savefig(tmp)

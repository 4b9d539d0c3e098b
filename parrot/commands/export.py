"""Write what a fine-tuning run has learnt into one file, to be deployed."""

from __future__ import annotations

from pathlib import Path

import tyro

__all__ = ["COMMANDS", "export"]


def export(run_dir: tyro.conf.Positional[Path], out: Path | None = None, prior: Path | None = None) -> None:
    """Writes a run's policy, with its prior and all that acting needs, into one self-contained file.

    The run may still be going on: its latest checkpoint is taken.

    Args:
        run_dir: Folder of a fine-tuning run.
        out: The file; default: policy.safetensors in the run's folder.
        prior: The prior that the run learnt with, if its file is no longer where it was.
    """
    import torch
    from rich.console import Console

    from parrot.rl.export import export_policy

    torch.set_num_threads(1)
    path = out or run_dir / "policy.safetensors"
    policy = export_policy(run_dir, path, prior)
    card, body = policy.card, policy.card.embodiment
    acts = f"best of {card.candidates} by the critics" if card.candidates else "the policy's mean"
    success = card.success
    lines = {
        "task": f"{card.task}, {card.algo}, {card.provenance['updates']:,} updates",
        "made for": f"{body.robot} at {body.control_hz:g} Hz, images of {body.renderer}",
        "acts by": acts,
        "success before": _rate(success.before, success.before_episodes),
        "while learning": _rate(success.learning, success.learning_episodes),
        "success after": _rate(success.after, success.after_episodes),
        "file": f"{path}, {path.stat().st_size / 1e6:.1f} MB",
        "sha256": policy.sha256,
        **({"note": card.note} if card.note else {}),
    }
    console = Console(highlight=False, markup=False)
    for title, text in lines.items():
        console.print(f"{title:<16}{text}", soft_wrap=True)


def _rate(rate: float | None, episodes: int) -> str:
    return "not measured" if rate is None else f"{rate:.0%} of {episodes} episodes"


COMMANDS = {"export": export}

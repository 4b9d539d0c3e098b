"""The paper's claims one by one, each with what decides it (section 5.1, Figures 4 to 7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from parrot.experiments.judges import (
    ALIKE,
    NOTHING,
    SOLVED,
    STEADY,
    Verdict,
    alike,
    better,
    both,
    interaction,
    little,
    mismatch,
    nothing,
    progress,
    sizes,
    steady,
)
from parrot.experiments.table import Results

__all__ = ["FINDINGS", "Finding"]


@dataclass(frozen=True)
class Finding:
    """A claim of the paper."""

    key: str
    """Its name in `reasons.yaml`."""
    figure: str
    """The experiment that tells."""
    claim: str
    """What the paper says, in our words."""
    how: str
    """What decides it."""
    judge: Callable[[Results], Verdict]
    """Reads the runs."""


_OTHERS = ("sac", "bc_sac", "vae_features", "prior_explore", "trajrl", "hirl")

FINDINGS = (
    Finding(
        "interaction", "fig4", "Random z through the prior meets objects far more often than random actions do.",
        "shares of episodes in which an object is touched, and lifted", interaction,
    ),
    Finding(
        "higher", "fig5", "PARROT reaches substantially higher success than every other method.",
        "difference in success after learning above 0, for each method", better("parrot", _OTHERS, "final"),
    ),
    Finding(
        "faster", "fig5", "PARROT solves the tasks substantially faster than every other method.",
        "difference in success averaged over all steps above 0, for each method",
        better("parrot", _OTHERS, "average"),
    ),
    Finding(
        "sac", "fig5", "SAC from scratch makes no progress on any of the tasks.",
        f"success after learning below {NOTHING}", nothing("sac"),
    ),
    Finding(
        "vae_features", "fig5", "VAE-features makes no progress on any of the tasks.",
        f"success after learning below {NOTHING}", nothing("vae_features"),
    ),
    Finding(
        "bc_sac", "fig5", "BC-SAC makes progress on only two of the eight tasks.",
        f"tasks with a gain of more than {NOTHING}: some, and at most half, of the eight",
        progress("bc_sac", 1 / 8, 1 / 2),
    ),
    Finding(
        "latent", "fig5", "TrajRL and HIRL do much better than the other comparisons (SAC, BC-SAC, VAE-features).",
        "difference in success after learning above 0, for each pair",
        both(*(better(one, ("sac", "bc_sac", "vae_features"), "final") for one in ("trajrl", "hirl"))),
    ),
    Finding(
        "plateau", "fig5", "TrajRL and HIRL level off earlier than PARROT, which improves far beyond its start.",
        "difference in success after learning above 0, for both", better("parrot", ("trajrl", "hirl"), "final"),
    ),
    Finding(
        "start", "fig5", "Before learning, PARROT is not substantially better than TrajRL and HIRL.",
        f"difference in success before learning below {ALIKE}, for both",
        alike("parrot", ("trajrl", "hirl"), "initial"),
    ),
    Finding(
        "explore", "fig5", "Prior-explore makes progress on most tasks, but learns more slowly than PARROT.",
        f"a gain of more than {NOTHING} on more than half of the eight tasks; difference in success averaged over all "
        "steps above 0",
        both(progress("prior_explore", 5 / 8, 1.0), better("parrot", ("prior_explore",), "average")),
    ),
    Finding(
        "steady", "fig5", "PARROT shows little variance across runs.",
        f"standard deviation over seeds below {STEADY}", steady,
    ),
    Finding(
        "sizes", "fig6", "About 10,000 trajectories are enough: 25,000 and 50,000 perform alike.",
        f"difference in success after learning below {ALIKE}, for each larger number", sizes,
    ),
    Finding(
        "little", "fig6", "Even the smallest dataset does much better than learning from scratch.",
        "difference in success after learning above 0", little,
    ),
    Finding(
        "place-prior", "fig7", "A prior from pick and place alone still solves grasping tasks well.",
        f"success after learning above {SOLVED}", mismatch("place", True, SOLVED, True),
    ),
    Finding(
        "grasp-prior", "fig7", "A prior from grasping alone fails on pick and place, close to zero.",
        f"success after learning below {NOTHING}", mismatch("grasp", False, NOTHING, False),
    ),
)  # fmt: skip
"""Every claim of section 5.1 that a run can tell of."""

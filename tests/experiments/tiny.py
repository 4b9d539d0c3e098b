"""The smallest reproduction that goes through everything."""

from dataclasses import replace

from parrot.experiments.budgets import Budget, Comparison, Exploration, Mismatch, PriorSteps, Sizes
from parrot.experiments.jobs import Place
from parrot.experiments.work import Task

SMALL_NETWORKS = (
    "synchronous=true", "batch_size=8", "features=16", "hidden=[16,16]", "critics=2", "start_steps=10",
    "start_successes=0", "replay_episodes=64", "restarts=[]", "updates_per_step=0.1",
)  # fmt: skip

TINY = Budget(
    name="tiny", trajectories=16, prior_preset="fast", prior_steps=PriorSteps(3, 3, 3, 3, 3), preset="fast",
    changes=SMALL_NETWORKS, env_steps=100, probe_every=50, probe_episodes=2, eval_before=1, eval_after=2,
    fig4=Exploration(("grasp_cap",), paths=2, episodes=2),
    fig5=Comparison(("grasp_cap",), ("parrot", "sac"), seeds=1),
    fig6=Sizes(("grasp_cap",), (8, 16), seeds=1), fig7=Mismatch(("place_can_in_pan",), 6, seeds=1),
)  # fmt: skip


def task(folder, *figures, **changes):
    return Task(figures, replace(TINY, **changes), Place(folder / "results", folder / "runs"))

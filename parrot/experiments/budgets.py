"""How large a reproduction is: every number that decides what an experiment costs, in three sizes and by a scale.

`smoke` shows that everything runs, `small` is for a night on two cores, `paper` is the paper's size (section 5,
appendix B). Where the paper's text gives no number, the field says what stands here instead.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from parrot.errors import ConfigError
from parrot.spaces import EPISODE_STEPS

__all__ = ["BUDGETS", "METHODS", "Budget", "Comparison", "Exploration", "Mismatch", "PriorSteps", "Sizes", "budget"]

METHODS = ("parrot", "sac", "prior_explore", "hirl", "trajrl", "bc_sac", "vae_features")
"""The paper's seven curves of Figure 5, those that decide most first."""

GRASP = ("grasp_cap", "grasp_can", "grasp_vase", "grasp_mug")
PLACE = ("place_can_in_pan", "place_vase_in_basket", "place_chair_on_checkerboard", "place_cap_on_cube")


@dataclass(frozen=True)
class PriorSteps:
    """Gradient steps of each model that is trained on the prior data; by default the paper's (appendix B)."""

    flow: int = 500_000
    """The behavioral prior, which `parrot` and `prior_explore` share."""
    bc: int = 2_000_000
    """The Gaussian policy of `bc_sac`."""
    vae: int = 1_500_000
    """The VAE on observations of `vae_features`."""
    hirl: int = 500_000
    """The conditional VAE of `hirl`."""
    trajrl: int = 500_000
    """The VAE on trajectories of `trajrl`."""


@dataclass(frozen=True)
class Exploration:
    """Figure 4: random policies with and without the prior."""

    tasks: tuple[str, ...]
    """On whose scenes."""
    paths: int
    """Paths drawn of each policy, all on one scene."""
    episodes: int
    """Episodes of each policy on each task, each on a scene of its own, that the shares are counted over."""


@dataclass(frozen=True)
class Comparison:
    """Figure 5: success against environment steps."""

    tasks: tuple[str, ...]
    """One panel each."""
    methods: tuple[str, ...]
    """One curve each."""
    seeds: int
    """Runs of each method on each task (paper: three)."""


@dataclass(frozen=True)
class Sizes:
    """Figure 6: final success of `parrot` against the number of prior trajectories."""

    tasks: tuple[str, ...]
    """A subset, as in the paper, whose text does not name it."""
    trajectories: tuple[int, ...]
    """Sizes of the prior data (paper: 5K, 10K, 25K, 50K)."""
    seeds: int
    """Runs at each size on each task."""


@dataclass(frozen=True)
class Mismatch:
    """Figure 7: a prior from grasping only, from pick-and-place only, and from both."""

    tasks: tuple[str, ...]
    """Grasping and placing tasks (paper: four each)."""
    trajectories: int
    """Trajectories behind each of the three priors: the same number, so that only their kind differs. The paper gives
    none."""
    seeds: int
    """Runs of each prior on each task."""


@dataclass(frozen=True)
class Budget:
    """The size of a reproduction.

    Raises:
        ConfigError: a number that cannot be meant.
    """

    name: str
    """Names the folder of the results."""
    trajectories: int
    """Prior data (paper: 50K trajectories of 25 steps)."""
    prior_preset: str
    """Preset of every model trained on it: `paper` or `fast`."""
    prior_steps: PriorSteps
    """Length of these trainings."""
    preset: str
    """Preset of SAC, the same for all methods: `paper` is Table 1."""
    changes: tuple[str, ...]
    """Changes to that preset."""
    env_steps: int
    """Environment steps of a run. The paper's text says "thousands of trials"; Figure 5 is a picture."""
    probe_every: int
    """Environment steps between two evaluations of the policy."""
    probe_episodes: int
    """Episodes of each of these."""
    eval_before: int
    """Episodes before learning: the first point of a curve."""
    eval_after: int
    """Episodes of the evaluation at the end: its last point."""
    fig4: Exploration
    """Figure 4."""
    fig5: Comparison
    """Figure 5."""
    fig6: Sizes
    """Figure 6."""
    fig7: Mismatch
    """Figure 7."""
    scale: float = 1.0
    """By which trajectories, training steps and environment steps differ from the budget of that name."""
    data_seed: int = field(default=0)
    """Of the prior data and of the models trained on it: one prior for all seeds, as in the paper."""

    def __post_init__(self) -> None:
        if not 0 < max(self.fig6.trajectories, default=1) <= self.trajectories:
            raise ConfigError(f"budget {self.name}: fig6 asks for more than its {self.trajectories} trajectories")
        # 98% of grasping attempts are kept and 82% of placing ones, so 46% of a mixed collection are of the rarer kind.
        if self.fig7.trajectories > 0.42 * self.trajectories:
            raise ConfigError(
                f"budget {self.name}: fig7 asks for {self.fig7.trajectories} trajectories of each kind; of "
                f"{self.trajectories} mixed ones at most {int(0.42 * self.trajectories)} are sure to be there"
            )
        if self.probe_every < EPISODE_STEPS:
            raise ConfigError(f"budget {self.name}: probe_every is {self.probe_every}, below an episode's length")

    @property
    def claims_nothing(self) -> bool:
        """Whether it only shows that everything runs."""
        return self.name.startswith("smoke")

    def scaled(self, scale: float) -> Budget:
        """This budget, larger or smaller; the evaluations stay as long.

        Raises:
            ConfigError: the scale is not above 0, or makes something too small.
        """
        if not scale > 0:
            raise ConfigError(f"--scale {scale:g}: give a number above 0")
        if scale == 1:
            return self

        def times(number: int) -> int:
            return max(1, round(number * scale))

        return replace(
            self,
            name=f"{self.name}-x{scale:g}",
            scale=scale,
            trajectories=times(self.trajectories),
            prior_steps=PriorSteps(**{name: times(steps) for name, steps in asdict(self.prior_steps).items()}),
            env_steps=times(self.env_steps),
            probe_every=times(self.probe_every),
            fig6=replace(self.fig6, trajectories=tuple(times(n) for n in self.fig6.trajectories)),
            fig7=replace(self.fig7, trajectories=times(self.fig7.trajectories)),
        )

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; `parrot.fields.build` is the inverse."""
        return _lists(asdict(self))


def _lists(value: Any) -> Any:
    """The value with lists for tuples, as JSON has it."""
    if isinstance(value, dict):
        return {name: _lists(item) for name, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, (list, tuple)) else value


def _smoke() -> Budget:
    tasks = ("grasp_cap", "place_can_in_pan")
    return Budget(
        name="smoke", trajectories=1500, prior_preset="fast",
        prior_steps=PriorSteps(flow=2000, bc=2000, vae=300, hirl=2000, trajrl=3000),
        preset="fast", changes=_EXACT, env_steps=10_000, probe_every=2500, probe_episodes=20,
        eval_before=20, eval_after=20,
        fig4=Exploration(tasks, paths=25, episodes=50), fig5=Comparison(tasks, METHODS, seeds=1),
        fig6=Sizes(("grasp_cap",), (150, 500, 1500), seeds=1), fig7=Mismatch(tasks, 500, seeds=1),
    )  # fmt: skip


def _small() -> Budget:
    tasks = ("grasp_cap", "place_can_in_pan")
    return Budget(
        name="small", trajectories=10_000, prior_preset="fast",
        prior_steps=PriorSteps(flow=12_000, bc=12_000, vae=6000, hirl=12_000, trajrl=60_000),
        preset="fast", changes=_EXACT, env_steps=40_000, probe_every=4000, probe_episodes=50,
        eval_before=50, eval_after=100,
        fig4=Exploration(GRASP + PLACE, paths=50, episodes=100), fig5=Comparison(tasks, METHODS, seeds=3),
        fig6=Sizes(tasks, (1000, 2500, 5000, 10_000), seeds=3), fig7=Mismatch(tasks, 4000, seeds=3),
    )  # fmt: skip


def _paper() -> Budget:
    return Budget(
        name="paper", trajectories=50_000, prior_preset="paper", prior_steps=PriorSteps(),
        preset="paper", changes=(), env_steps=200_000, probe_every=10_000, probe_episodes=50,
        eval_before=50, eval_after=100,
        fig4=Exploration(GRASP + PLACE, paths=50, episodes=500),
        fig5=Comparison(_alternating(), METHODS, seeds=3),
        fig6=Sizes(_alternating()[:4], (5000, 10_000, 25_000, 50_000), seeds=3),
        fig7=Mismatch(_alternating(), 20_000, seeds=3),
    )  # fmt: skip


def _alternating() -> tuple[str, ...]:
    """The eight tasks, grasping and placing in turn: whatever is done first tells of both."""
    return tuple(task for pair in zip(GRASP, PLACE, strict=True) for task in pair)


_EXACT = (
    "synchronous=true", "batch_size=128", "restarts=[3000, 8000]", "restart_hold=1500", "candidates_after=4500",
    "noise_scale=1",
)  # fmt: skip
"""The learner does exactly its updates for each step: a figure against steps must not depend on the machine's speed.
The rest is as `fast` was when the first of these runs were made: all runs of a figure learn alike."""

BUDGETS = {"smoke": _smoke, "small": _small, "paper": _paper}


def budget(name: str, scale: float = 1.0) -> Budget:
    """The budget of this name, at this scale.

    Raises:
        ConfigError: there is none, or the scale cannot be meant.
    """
    if name not in BUDGETS:
        raise ConfigError(f"--budget {name}: choose one of {', '.join(BUDGETS)}")
    return BUDGETS[name]().scaled(scale)

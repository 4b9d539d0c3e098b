"""What a fine-tuning run is told, by the command line as by the launch file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import yaml

from parrot.errors import ConfigError
from parrot.rl.algorithms import algorithm
from parrot.rl.presets import SACConfig, fast, preset
from parrot.spaces import EPISODE_STEPS

__all__ = ["FineTuneConfig", "sac_config"]

_FREE = (
    "episodes", "env_steps", "minutes", "eval_after", "solved_success", "solved_window", "learner_threads",
    "save_seconds",
)  # fmt: skip
"""Fields that may change when a run goes on."""


@dataclass(frozen=True)
class FineTuneConfig:
    """One fine-tuning run: evaluate the prior, train, evaluate the policy.

    Raises:
        ConfigError: a value that cannot be meant.
    """

    task: str = "grasp_cap"
    """Name of the task."""
    algo: str = "parrot"
    """`parrot`: act in the latent space of the prior (section 4.2). Others are the comparisons of section 5, such as
    `sac`: raw actions, no prior; docs/baselines.md lists them."""
    prior: str | None = None
    """Weights of the prior, or of the model that the comparison starts from; none: those that come with parrot."""
    epsilon: float = 0.9
    """Share of the training's actions that come from the prior, for `prior_explore` alone (section 5: of 0.1, 0.3, 0.7
    and 0.9 the last was best)."""
    robot: str = "xarm6"
    """Name of the robot's YAML; recorded with the episodes."""
    renderer: str = "pybullet-tiny"
    """What draws the images; recorded with the episodes."""
    seed: int = 0
    """Of the run: weights, noise, draws."""
    episodes: int = 20000
    """Budget: training episodes."""
    env_steps: int = 0
    """Budget: environment steps, those at the start that act by z ~ N(0, I) included; 0: no limit."""
    minutes: float = 13.0
    """Budget: minutes until the evaluation at the end begins, summed over all times the run was started."""
    solved_success: float = 0.96
    """Training ends early at this success rate of the exploring policy..."""
    solved_window: int = 100
    """...over so many of the latest episodes."""
    eval_before: int = 50
    """Episodes at the start that act by z ~ N(0, I): they measure the prior and feed the replay."""
    eval_after: int = 50
    """Episodes at the end that act by the trained policy without exploring."""
    probe_every: int = 0
    """Environment steps between two probes of the policy while it learns; 0: none. One that is due when training ends
    is left to the evaluation."""
    probe_episodes: int = 0
    """Episodes of a probe: without exploration, by one and the same policy, and not for the replay."""
    learner_threads: int = 1
    """Threads of the learner, which has a process of its own."""
    save_seconds: float = 60.0
    """Between two checkpoints."""
    sac: SACConfig = field(default_factory=fast)
    """Hyper-parameters of the learner."""

    def __post_init__(self) -> None:
        algorithm(self.algo)
        for name in ("episodes", "minutes", "solved_window", "learner_threads", "save_seconds"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; give a number above 0")
        if not 0.0 <= self.epsilon <= 1.0:
            raise ConfigError(f"epsilon is {self.epsilon}; give a share from 0 to 1")
        for name in ("eval_before", "eval_after", "env_steps", "probe_every", "probe_episodes", "seed"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; give 0 or more")
        if self.probe_episodes and self.probe_every < EPISODE_STEPS:
            raise ConfigError(
                f"probe_every is {self.probe_every}; give the {EPISODE_STEPS} steps of an episode or more, "
                "or leave out probe_episodes"
            )

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        value = asdict(self)
        value["sac"] = {k: list(v) if isinstance(v, tuple) else v for k, v in value["sac"].items()}
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> FineTuneConfig:
        """The inverse of `to_json`.

        Raises:
            ConfigError: a field is unknown or missing: another version of parrot wrote it.
        """
        try:
            sac: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in value["sac"].items()}
            return cls(**{**value, "sac": SACConfig(**sac)})
        except (TypeError, KeyError, AttributeError) as error:
            raise ConfigError(f"the run's settings were written by another version of parrot ({error})") from error

    def differences(self, there: dict[str, Any]) -> list[str]:
        """What keeps a run of configuration `there` (from `to_json`) from going on with this one."""
        here, known = self.to_json(), FineTuneConfig(sac=SACConfig()).to_json()
        # A field that the run's version of parrot did not have yet had no effect.
        there = {**known, **there, "sac": {**known["sac"], **there.get("sac", {})}}
        flat = [(name, there[name], here[name]) for name in here if name not in (*_FREE, "sac")]
        flat += [(f"sac.{name}", there["sac"][name], value) for name, value in here["sac"].items()]
        return [f"{name} is {a!r} there and {b!r} here" for name, a, b in flat if a != b]


def sac_config(name: str, changes: Sequence[str] = ()) -> SACConfig:
    """A preset with changes given as text.

    Example:
        >>> sac_config("paper", ["n_step=3", "hidden=[64, 64]"]).n_step
        3

    Raises:
        ConfigError: unknown preset or field, or a value of another type.
    """
    defaults = preset(name)
    known = {f.name for f in fields(SACConfig)}
    parsed: dict[str, Any] = {}
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals or key not in known:
            raise ConfigError(f"change {change!r}: expected FIELD=VALUE with one of {', '.join(sorted(known))}")
        value, old = yaml.safe_load(text), getattr(defaults, key)
        if isinstance(old, tuple) and isinstance(value, list):
            value = tuple(value)
        elif isinstance(old, float) and not isinstance(value, bool):
            try:
                value = float(value)
            except (TypeError, ValueError):
                value = text
        if type(value) is not type(old):
            kind, such = ("list", list(old)) if isinstance(old, tuple) else (type(old).__name__, old)
            raise ConfigError(f"change {change!r}: {key} takes a {kind}, such as {such}")
        parsed[key] = value
    return preset(name, **parsed)

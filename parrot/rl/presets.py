"""Every hyper-parameter of the latent RL, and its presets: the paper's Table 1, two for two CPU cores, one for arms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from parrot.errors import ConfigError

__all__ = ["PRESETS", "SACConfig", "arm", "fast", "flow", "paper", "preset"]


@dataclass(frozen=True)
class SACConfig:
    """Soft actor-critic (Haarnoja et al., 2018b); the defaults are those of the paper's Table 1 and Figure 9."""

    end_on_success: bool = False
    """Whether an episode ends when the objective is met; the environment must agree. If so, `entropy_in_target` has to
    be off: the entropy still to come would make a policy dislike to end."""
    discount: float = 0.99
    """Discount factor of one control step."""
    policy_lr: float = 3e-4
    """Learning rate of the policy."""
    critic_lr: float = 3e-4
    """Learning rate of the critics, and of the encoder."""
    lr_warmup: int = 0
    """Updates over which both learning rates rise linearly from 0."""
    lr_floor: float = 1.0
    """Share of the learning rates that is left `lr_decay` updates after a start; 1: they stay."""
    lr_decay: int = 8000
    """Updates over which the learning rates fall, linearly."""
    batch_size: int = 256
    """Transitions in each update."""
    updates_per_step: float = 1.0
    """Gradient updates for one environment step: an upper limit, or exactly this many if `synchronous`."""
    synchronous: bool = True
    """Let the actor wait for the learner at the end of an episode; else the learner does what its core allows."""
    start_steps: int = 1000
    """Environment steps in the replay before the first update."""
    start_successes: int = 0
    """Successful episodes in the replay before the first update (a sparse reward teaches nothing until then)."""
    replay_episodes: int = 8000
    """Episodes that the replay holds; the oldest go first. Memory: 173 kB each."""

    target_period: int = 1000
    """Updates between two copies of the critics to their target (paper: 1000); 1 with a `target_tau` below 1."""
    target_tau: float = 1.0
    """Share of the critics that moves to the target at such an update; 1 copies them."""
    entropy_weight: float = 1.0
    """Weight of the entropy (temperature), its initial value if it is tuned."""
    auto_entropy: bool = True
    """Tune the weight so that the policy's entropy stays near the target (Haarnoja et al., 2018b)."""
    target_entropy_per_dim: float = -1.0
    """Target entropy for each latent dimension, in nats; a standard normal has 1.42."""
    entropy_in_target: bool = True
    """Count the entropy of later steps in the critics' targets, as SAC does."""
    prior_kl: bool = False
    """Regularise by the divergence from the prior's N(0, I) rather than by the entropy."""

    critics: int = 2
    """Q-functions in the ensemble."""
    target_critics: int = 2
    """Of these, drawn at random for each update, whose minimum is the target (Chen et al., 2021)."""
    value_loss: Literal["mse", "bce"] = "mse"
    """Squared error, or cross-entropy on a sigmoid: a Q-value in [0, 1] is a probability of discounted success."""
    clamp_targets: bool = False
    """Clamp targets to [0, 1]; right where success ends the episode with reward 1."""
    n_step: int = 1
    """Rewards summed before bootstrapping."""
    success_share: float = 0.0
    """Share of each batch drawn from successful episodes."""
    unbiased: bool = False
    """Weigh the critics' errors so that this share does not make success look likelier than it is."""
    imitation_weight: float = 0.0
    """Weight of the log-likelihood of the own successful episodes' latents in the policy's loss."""
    imitation_floor: float = 0.0
    """What this weight decays to."""
    imitation_updates: int = 5000
    """Updates over which it decays, linearly."""
    q_weight: float = 1.0
    """Weight of the critics' opinion in the policy's loss."""

    policy: Literal["gaussian", "flow"] = "gaussian"
    """A Gaussian over latents (paper, Figure 9), or a copy of the prior (`parrot.rl.flow_policy`) that learns by the
    advantages of its actions (`parrot.rl.advantage`); that needs a flow for a prior, without memory of earlier steps,
    and a warm start. Where there is no such prior, as in the comparisons, it is a Gaussian all the same."""
    advantage_decay: float = 0.9
    """Lambda of a flow policy's advantages: 0 looks one step ahead, 1 to the end of the episode."""
    avoid_weight: float = 0.5
    """Weight in a flow policy's loss of the actions that lost, beside those that gained."""
    prior_weight: float = 0.0
    """Weight in a flow policy's loss of actions that the prior would do; it falls to 0 as success rises to 1. Where
    nothing is known yet the policy stays a prior's, of all its modes, however much it avoids elsewhere."""
    imitation_noise: float = 0.0
    """Standard deviation of noise on the actions that a flow policy imitates: it would make spikes of few points."""
    mirror_share: float = 0.0
    """Share of what a flow policy learns from with left and right exchanged. The camera must look along the robot's
    own plane, y = 0."""
    encoder: Literal["paper", "fast"] = "paper"
    """Architecture of the image encoder, one of the prior's."""
    shared_encoder: bool = False
    """One encoder, trained through the critics' loss only, by a flow policy's too; else the policy trains its own."""
    warm_start: bool = False
    """Start from the prior's encoder; needs the same architecture."""
    features: int = 256
    """Width of the linear layer that follows the convolutions."""
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers of policy and critics."""
    layer_norm: bool = False
    """Layer normalisation in the critics and after the convolutions."""
    clip: float = 0.0
    """Largest norm of a flow policy's gradient; 0: not limited."""
    shift: int = 0
    """Pixels by which images are shifted at random (Kostrikov et al., 2021)."""
    bf16: bool = False
    """Run convolutions in bfloat16, channels last, if the processor has instructions for it."""
    restarts: tuple[int, ...] = ()
    """Updates after which all networks and moments start anew, on the replay as it is then (Nikishin et al., 2022):
    what was learnt from the first few episodes stands in the way of learning from the many that follow."""
    restart_hold: int = 1500
    """Updates of the new networks until they act; until then the old ones do."""
    candidates: int = 1
    """Latents drawn near the policy's mean, of which the one that the critics value most is executed; 1: in an
    evaluation the mean, else a single sample with all of the policy's noise. A flow policy has no critics of actions:
    one is drawn near its mean, and an evaluation takes the mean."""
    candidates_after: int = 0
    """Updates before which exploring takes a single sample: young critics choose badly."""
    noise_scale: float = 1.0
    """Share of the policy's standard deviation by which candidates are drawn: near its mean a policy succeeds more
    often than its samples do. Single samples explore with all of it, as candidates of raw actions do: without a prior
    there is no other exploration."""
    mean_bound: float = 3.0
    """The policy's mean stays within this, softly: latents further out were never seen by the prior."""
    log_std_min: float = -5.0
    """Lower bound of the logarithm of the policy's standard deviation, soft."""


def paper(**changes: Any) -> SACConfig:
    """Table 1 and Figure 9 to the letter."""
    return replace(SACConfig(), **changes)


def fast(**changes: Any) -> SACConfig:
    """For two CPU cores: success ends an episode, so a Q-value is a probability of discounted success in [0, 1].

    The policy first imitates its own successes in z, held near N(0, I), while the critics become calibrated; the
    imitation then fades. `docs/training.md` says what each choice is for.
    """
    base = paper(
        end_on_success=True, discount=0.97, policy_lr=1e-3, critic_lr=1e-3, lr_warmup=200, lr_floor=0.2,
        batch_size=64,
        updates_per_step=0.25, synchronous=False, start_steps=250, start_successes=2, replay_episodes=6000,
        target_period=1, target_tau=0.01, entropy_weight=0.003, auto_entropy=False, entropy_in_target=False,
        prior_kl=True, critics=4, value_loss="bce", clamp_targets=True, n_step=3, success_share=0.25, unbiased=True,
        imitation_weight=1.0, imitation_floor=0.1, imitation_updates=6000,
        encoder="fast", shared_encoder=True, warm_start=True, features=256, layer_norm=True, shift=3, bf16=True,
        restarts=(10000, 20000), restart_hold=3000, candidates=8, candidates_after=3000, noise_scale=0.5,
    )  # fmt: skip
    return replace(base, **changes)


def flow(**changes: Any) -> SACConfig:
    """`fast`, but the policy starts as a copy of the prior rather than as its noise, and learns by advantages."""
    base = fast(
        policy="flow", policy_lr=5e-4, lr_decay=16000, clip=10.0, prior_weight=0.3, imitation_noise=0.03,
        mirror_share=0.5, restarts=(), candidates_after=2000,
    )  # fmt: skip
    return replace(base, **changes)


def arm(**changes: Any) -> SACConfig:
    """`fast` where steps take real time: as many updates as steps, which a core manages at 10 Hz, in larger batches."""
    base = fast(updates_per_step=1.0, batch_size=128, restarts=(3000, 8000), restart_hold=1500, candidates_after=4500)
    return replace(base, **changes)


PRESETS = {"paper": paper, "fast": fast, "flow": flow, "arm": arm}


def preset(name: str, **changes: Any) -> SACConfig:
    """The preset of this name, with changes.

    Raises:
        ConfigError: there is no preset, or no field, of this name.
    """
    if name not in PRESETS:
        raise ConfigError(f"preset {name!r} is unknown; choose one of {', '.join(PRESETS)}")
    try:
        return PRESETS[name](**changes)
    except TypeError as error:
        raise ConfigError(f"preset {name}: {error}") from error

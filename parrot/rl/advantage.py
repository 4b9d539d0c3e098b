"""Learning by how much better than expected each step turned out: a value of images, and no critics of actions.

Which of two actions is better, critics of actions hardly see: what one step changes is little beside what the scene
decides. A value V(s) of images sees a few steps later whether the arm has turned to the right object. So each step in
the replay has its advantage, which the values after it tell; the policy imitates steps in proportion to what they
gained, as in advantage-weighted regression (Peng et al., 2019), and avoids those that lost. As long as few episodes
succeed, it is also held near the prior: else it unlearns, by avoiding, what it never did right.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from parrot.prior.augment import mirror
from parrot.rl.agent import Agent
from parrot.rl.replay import Replay
from parrot.rl.space import ActionSpace
from parrot.spaces import MIRRORED, to_chw

__all__ = ["AdvantageAgent", "Advantages", "advantages_of"]

NEW, AGED = 8, 4
"""Episodes whose values are found at an update, at most: of those that have none yet, and of those with the oldest."""

WEIGH_EVERY = 8
"""Updates between two times that the advantages of all steps are found from the values."""

LOST_SHARE = 0.25
"""Share of the policy's batch that is drawn from steps that lost."""

UNLIKELY = 2.0
"""Log-density below which an action that lost is avoided no further: nothing keeps it from becoming minus infinity."""

PRIOR_SHARE = 0.5
"""Actions of the prior in the policy's batch, for each that was done."""

RECENT = 100
"""Episodes by whose success it is told how far learning has come."""


def advantages_of(
    rewards: NDArray[np.float32],
    values: NDArray[np.float32],
    lengths: NDArray[np.int64],
    terminated: NDArray[np.bool_],
    discount: float,
    decay: float,
    success: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Advantages and discounted returns of the steps of N episodes, each (N, T); 0 beyond their ends.

    Where most episodes succeed, generalised advantages (Schulman et al., 2016): how much better each step turned out
    than its scene's value. Where a policy always goes to the wrong object, that value has come to expect no better. So
    where few succeed, how well the episode stood at best from this step on (as the returns of value-based episodic
    memory, Ma et al., 2022), over the mean of that in all scenes: an arm that went to the right object and then let it
    fall did well to go there. In between both, by the share that succeeds.

    Args:
        rewards: (N, T).
        values: (N, T) of the images before each step.
        lengths: (N,) steps of each.
        terminated: (N,) whether the task ended it; where the time limit did, the last step tells nothing.
        discount: of one step.
        decay: lambda of the generalised advantages.
        success: share of the latest episodes that succeeded.
    """
    local, best, returns = (np.zeros_like(rewards) for _ in range(3))
    told = np.arange(rewards.shape[1]) < (lengths - ~terminated)[:, None]
    advantage = value_after = best_after = total = np.zeros(len(rewards), np.float32)
    for t in reversed(range(rewards.shape[1])):
        inside, last = t < lengths, t == lengths - 1
        change = rewards[:, t] + np.where(last, 0, discount * value_after) - values[:, t]
        advantage = np.where(told[:, t], change + discount * decay * advantage, 0)
        best[:, t] = np.where(told[:, t], rewards[:, t] + discount * best_after, 0)
        total = np.where(inside, rewards[:, t] + discount * total, 0)
        local[:, t], returns[:, t], value_after = advantage, total, values[:, t]
        best_after = np.where(inside, np.maximum(best[:, t], values[:, t]), 0)
    above = np.where(told, best - best.sum(0) / np.maximum(1, told.sum(0)), 0)
    return (success * local + (1 - success) * above).astype(np.float32), returns


class Advantages:
    """What is thought of each step in a replay: its value, which ages, and its advantage.

    Args:
        replay: the replay.
        discount: of one step.
        decay: lambda.
    """

    def __init__(self, replay: Replay, discount: float, decay: float) -> None:
        self.replay, self.discount, self.decay = replay, discount, decay
        self._values = np.zeros((replay.slots, replay.steps), np.float32)
        self._advantages, self._returns = np.zeros_like(self._values), np.zeros_like(self._values)
        # Which episode's values they are, and when they were found.
        self._episode, self._when = np.full(replay.slots, -1, np.int64), np.zeros(replay.slots, np.int64)
        self._rows, self._gained, self._lost = np.zeros(0, np.int64), np.zeros(0), np.zeros(0)
        self.refreshed = 0
        """How often `refresh` was called."""
        self.success = 0.0
        """Share of the latest episodes that succeeded."""
        self.balance = 0.0
        """What all steps lost, over what all gained: near 1 once the values are right."""

    def refresh(self, value: Callable[[NDArray[np.uint8]], NDArray[np.float32]]) -> None:
        """Finds values of new episodes, and anew of those whose values are the oldest.

        Args:
            value: values (B,) of images (B, 48, 48, 3).
        """
        slots, episodes = self.replay.whole()
        known = self._episode[slots] == episodes
        new, old = np.flatnonzero(~known)[:NEW], np.flatnonzero(known)
        chosen = np.concatenate([new, old[np.argsort(self._when[slots[old]], kind="stable")[:AGED]]])
        rows = self.replay.rows(slots[chosen])
        if len(rows):
            self._values.reshape(-1)[rows] = value(self.replay.images(rows))
        self.refreshed += 1
        self._episode[slots[chosen]], self._when[slots[chosen]] = episodes[chosen], self.refreshed

    def weigh(self) -> None:
        """Finds the advantages of all steps whose values are known."""
        slots, episodes = self.replay.whole()
        slots = slots[self._episode[slots] == episodes]
        lengths, terminated = self.replay.ends(slots)
        self.success = self.replay.recent_success(RECENT)
        self._advantages[slots], self._returns[slots] = advantages_of(
            self.replay.rewards(slots), self._values[slots], lengths, terminated,
            self.discount, self.decay, self.success,
        )  # fmt: skip
        self._rows = self.replay.rows(slots)
        advantages = self._advantages.reshape(-1)[self._rows].astype(np.float64)
        self._gained, self._lost = np.maximum(advantages, 0).cumsum(), np.maximum(-advantages, 0).cumsum()
        self.balance = float(self._lost[-1] / max(self._gained[-1], 1e-9))

    def returns(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Discounted returns (B,) from the steps in these rows on."""
        return self._returns.reshape(-1)[rows]

    def draw(self, rng: np.random.Generator, size: int) -> NDArray[np.int64]:
        """Rows (size,) of steps, all alike."""
        return self._rows[rng.integers(0, len(self._rows), size)]

    def draw_gained(self, rng: np.random.Generator, size: int) -> NDArray[np.int64]:
        """Rows (size,) of steps, in proportion to what they gained."""
        return self._draw(self._gained, rng, size)

    def draw_lost(self, rng: np.random.Generator, size: int) -> NDArray[np.int64]:
        """Rows (size,) of steps, in proportion to what they lost."""
        return self._draw(self._lost, rng, size)

    def _draw(self, sums: NDArray[np.float64], rng: np.random.Generator, size: int) -> NDArray[np.int64]:
        places = np.searchsorted(sums, rng.random(size) * sums[-1], side="right")
        return self._rows[np.minimum(places, len(sums) - 1)]


class AdvantageAgent(Agent):
    """An `Agent` whose policy is a flow over actions, and whose critics are values of images.

    What it thinks of the steps in the replay is not part of its `state`: it follows from that and the replay.
    """

    space: ActionSpace
    _book: Advantages | None = None

    def learn(self, replay: Replay, rng: np.random.Generator, report: bool = False) -> dict[str, float]:
        """One gradient step on values and policy; returns the losses if a report is wanted."""
        c = self.config
        book = self._book
        if book is None or book.replay is not replay:
            book = self._book = Advantages(replay, c.discount, c.advantage_decay)
        book.refresh(self._values)
        if book.refreshed % WEIGH_EVERY == 1:
            book.weigh()
        seen = book.draw(rng, c.batch_size)
        pixels = mirror(replay.images(seen), rng.random(len(seen)) < c.mirror_share)
        values = self.critic(self.trunk(self._shifted(pixels)), torch.empty(len(seen), 0))
        wanted = torch.from_numpy(book.returns(seen))
        value_loss = F.binary_cross_entropy_with_logits(values, wanted.expand_as(values))

        gained, lost, prior = self._log_probs(book, rng)
        avoided = lost.clamp(min=UNLIKELY).mean()
        policy_loss = c.avoid_weight * min(1.0, book.balance) * avoided - gained.mean()
        if c.prior_weight:
            policy_loss = policy_loss - c.prior_weight * (1 - book.success) * prior.mean()

        self.optimizer.zero_grad()
        (value_loss + policy_loss).backward()
        if c.clip:
            nn.utils.clip_grad_norm_(self.policy.parameters(), c.clip)
        self._step()
        if not report:
            return {}
        return {
            "critic_loss": value_loss.item(), "policy_loss": policy_loss.item(), "q": values.sigmoid().mean().item(),
            "target": wanted.mean().item(), "gained": gained.mean().item(), "lost": avoided.item(),
        }  # fmt: skip

    def _log_probs(self, book: Advantages, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Log-densities of actions that gained, of some that lost, and of some that the prior would do."""
        c, replay = self.config, book.replay
        n = c.batch_size
        lost = max(1, round(n * LOST_SHARE))
        gained, own = max(1, n - lost), max(1, round(n * PRIOR_SHARE)) if c.prior_weight else 0
        done = np.concatenate([book.draw_gained(rng, gained), book.draw_lost(rng, lost)])
        pixels = replay.images(np.concatenate([done, book.draw(rng, own)]))
        mirrored = rng.random(len(pixels)) < c.mirror_share
        actions = self.space.actions(replay.latents(done), pixels[: len(done)], replay.numbers(done))
        actions = np.where(mirrored[: len(done), None], actions * np.array(MIRRORED, np.float32), actions)
        pixels = mirror(pixels, mirrored)
        noise = torch.randn(own, self.space.dim, generator=self.generator)
        wanted = torch.cat([torch.from_numpy(actions), self.space.decode(noise, pixels[len(done) :])])
        wanted += c.imitation_noise * torch.randn(wanted.shape, generator=self.generator)
        policy = self.policy(self.actor.trunk(self._shifted(pixels)))
        return policy.log_prob(wanted).split([gained, lost, own])

    @torch.no_grad()
    def _values(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        logits = self.target(self.target_trunk(torch.from_numpy(to_chw(images))), torch.empty(len(images), 0))
        found: NDArray[np.float32] = logits.sigmoid().mean(0).numpy()
        return found

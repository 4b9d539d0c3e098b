"""Learning by how much better than expected each step turned out: a value of images, and no critics of actions.

Which of two actions is better, critics of actions hardly see: what one step changes is little beside what the scene
decides. A value V(s) of images sees a few steps later whether the arm has turned to the right object. So each step in
the replay has its advantage, which the values after it tell (Schulman et al., 2016); the policy imitates steps in
proportion to what they gained, as in advantage-weighted regression (Peng et al., 2019), and avoids those that lost.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
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


def advantages_of(
    rewards: NDArray[np.float32],
    values: NDArray[np.float32],
    lengths: NDArray[np.int64],
    terminated: NDArray[np.bool_],
    discount: float,
    decay: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Generalised advantages and discounted returns of the steps of N episodes, each (N, T); 0 beyond their ends.

    Args:
        rewards: (N, T).
        values: (N, T) of the images before each step.
        lengths: (N,) steps of each.
        terminated: (N,) whether the task ended it; where the time limit did, the last step tells nothing.
        discount: of one step.
        decay: lambda.
    """
    advantages, returns = np.zeros_like(rewards), np.zeros_like(rewards)
    advantage = value_after = total = np.zeros(len(rewards), np.float32)
    for t in reversed(range(rewards.shape[1])):
        inside, last = t < lengths, t == lengths - 1
        change = rewards[:, t] + np.where(last, 0, discount * value_after) - values[:, t]
        change = np.where(last & ~terminated, 0, change)
        advantage = np.where(inside, change + discount * decay * advantage, 0)
        total = np.where(inside, rewards[:, t] + discount * total, 0)
        advantages[:, t], returns[:, t], value_after = advantage, total, values[:, t]
    return advantages, returns


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
        self._advantages[slots], self._returns[slots] = advantages_of(
            self.replay.rewards(slots), self._values[slots], lengths, terminated, self.discount, self.decay
        )
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
        lost = max(1, round(c.batch_size * LOST_SHARE))
        seen = book.draw(rng, c.batch_size)
        done = np.concatenate([book.draw_gained(rng, max(1, c.batch_size - lost)), book.draw_lost(rng, lost)])

        pixels = mirror(replay.images(seen), rng.random(len(seen)) < c.mirror_share)
        values = self.critic(self.trunk(self._shifted(pixels)), torch.empty(len(seen), 0))
        wanted = torch.from_numpy(book.returns(seen))
        value_loss = F.binary_cross_entropy_with_logits(values, wanted.expand_as(values))

        pixels, mirrored = replay.images(done), rng.random(len(done)) < c.mirror_share
        actions = self.space.actions(replay.latents(done), pixels, replay.numbers(done))
        actions = np.where(mirrored[:, None], actions * np.array(MIRRORED, np.float32), actions)
        noise = c.imitation_noise * torch.randn(actions.shape, generator=self.generator)
        policy = self.policy(self.actor.trunk(self._shifted(mirror(pixels, mirrored))))
        log_prob = policy.log_prob(torch.from_numpy(actions) + noise)
        gained, avoided = log_prob[:-lost].mean(), log_prob[-lost:].clamp(min=UNLIKELY).mean()
        policy_loss = c.avoid_weight * min(1.0, book.balance) * avoided - gained

        self.optimizer.zero_grad()
        (value_loss + policy_loss).backward()
        if c.clip:
            nn.utils.clip_grad_norm_(self.policy.parameters(), c.clip)
        self._step()
        if not report:
            return {}
        return {
            "critic_loss": value_loss.item(), "policy_loss": policy_loss.item(), "q": values.sigmoid().mean().item(),
            "target": wanted.mean().item(), "gained": gained.item(), "lost": avoided.item(),
        }  # fmt: skip

    @torch.no_grad()
    def _values(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        logits = self.target(self.target_trunk(torch.from_numpy(to_chw(images))), torch.empty(len(images), 0))
        found: NDArray[np.float32] = logits.sigmoid().mean(0).numpy()
        return found

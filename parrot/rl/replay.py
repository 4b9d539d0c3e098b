"""The replay: finished episodes in preallocated arrays, which two processes may share.

The actor appends, the learner samples. An episode has its slot; the image after step t is row t + 1 of the same slot,
so no image is kept twice. After an episode's last step there is no further image: that is no loss where the task ended
the episode (nothing is bootstrapped), and a step cut off by the time limit is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parrot.data.episode import Episode
from parrot.spaces import EPISODE_STEPS, IMAGE_SHAPE

__all__ = ["Batch", "Replay"]

# A reader in another process ignores this many slots that the writer will overwrite next.
GUARD_SLOTS = 16


@dataclass(frozen=True)
class Batch:
    """Transitions of n steps; B of them."""

    images: NDArray[np.uint8]
    """(B, 48, 48, 3)."""
    latents: NDArray[np.float32]
    """(B, D)."""
    returns: NDArray[np.float32]
    """(B,) discounted sum of the rewards up to the image that is bootstrapped from."""
    next_images: NDArray[np.uint8]
    """(B, 48, 48, 3); meaningless where `discounts` is 0."""
    discounts: NDArray[np.float32]
    """(B,) discount of the value at `next_images`; 0 where the task ended the episode."""
    successes: NDArray[np.bool_]
    """(B,) whether the episode succeeded."""
    weights: NDArray[np.float32]
    """(B,) likelihood of the draw under uniform sampling over that under the sampling done; 1 on average."""


class Replay:
    """A ring of episodes.

    Args:
        slots: episodes it holds.
        latent_dim: D.
        discount: of one step, for returns.
        buffer: memory of at least `size` bytes, zero at first, to live in (shared with another process); None: its own.
        steps: longest episode.
    """

    def __init__(
        self,
        slots: int,
        latent_dim: int,
        discount: float,
        buffer: memoryview | None = None,
        steps: int = EPISODE_STEPS,
    ) -> None:
        self.slots, self.steps, self.discount = slots, steps, discount
        self._shared = buffer is not None
        if buffer is None:
            buffer = memoryview(np.zeros(self.size(slots, latent_dim, steps), np.uint8).data)
        arrays: list[NDArray] = []
        at = 0
        for shape, dtype in _layout(slots, latent_dim, steps):
            arrays.append(np.frombuffer(buffer, dtype, int(np.prod(shape)), at).reshape(shape))
            at += arrays[-1].nbytes
        self._head, self._lengths, self._rewards, self._latents, self._flags, self._images = arrays
        self._seen = -1
        self._rows = self._success_rows = np.empty(0, np.int64)
        self._usable = np.zeros(slots, np.bool_)

    @staticmethod
    def size(slots: int, latent_dim: int, steps: int = EPISODE_STEPS) -> int:
        """Bytes that the buffer needs."""
        return sum(int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in _layout(slots, latent_dim, steps))

    @property
    def episodes(self) -> int:
        """Episodes appended so far, including those that the ring has dropped."""
        return int(self._head[0])

    @property
    def successes(self) -> int:
        """Of these, successful ones."""
        return int(self._head[1])

    @property
    def env_steps(self) -> int:
        """Steps of all episodes appended so far."""
        return int(self._head[2])

    def recent_success(self, count: int) -> float:
        """Share of successes among the latest episodes, this many at most; 0 before the first."""
        latest = (self.episodes - 1 - np.arange(min(count, self.episodes, self.slots))) % self.slots
        return float(self._flags[latest, 0].mean()) if len(latest) else 0.0

    def append(
        self,
        images: NDArray[np.uint8],
        latents: NDArray[np.float32],
        rewards: NDArray[np.float32],
        *,
        success: bool,
        terminated: bool,
        one_step: bool = False,
    ) -> None:
        """Adds an episode of T steps; images (T, 48, 48, 3), latents (T, D), rewards (T,).

        With `one_step` it becomes a single transition, from the first image to the end, with the sum of the rewards:
        a latent that decides on the whole episode is judged by that.
        """
        steps = len(rewards)
        if one_step:
            images, latents, rewards, terminated = images[:1], latents[:1], rewards.sum(keepdims=True), True
        slot, n = self.episodes % self.slots, len(rewards)
        self._images[slot, :n], self._latents[slot, :n] = images, latents
        self._rewards[slot, :n] = rewards
        self._lengths[slot], self._flags[slot] = n, (success, terminated)
        self._head[1] += success
        self._head[2] += steps
        self._head[0] += 1  # last: a reader takes an episode for complete once it is counted

    def extend(self, episodes: Iterable[Episode], one_step: bool = False) -> None:
        """Adds episodes as a run's folder records them; `one_step` as in `append`."""
        for episode in episodes:
            self.append(
                episode.images, episode.extra["latents"], episode.rewards,
                success=episode.success, terminated=bool(episode.extra["terminated"][-1]), one_step=one_step,
            )  # fmt: skip

    def sample(self, size: int, rng: np.random.Generator, *, n_step: int = 1, success_share: float = 0.0) -> Batch:
        """Draws transitions uniformly over steps, a share of them from successful episodes.

        Raises:
            IndexError: there is no transition yet.
        """
        self._refresh()
        if not len(self._rows):
            raise IndexError("the replay holds no transition")
        lucky = round(size * success_share) if len(self._success_rows) else 0
        rows = np.concatenate([
            self._success_rows[rng.integers(0, len(self._success_rows), lucky)] if lucky else self._rows[:0],
            self._rows[rng.integers(0, len(self._rows), size - lucky)],
        ])  # fmt: skip
        slots, t = np.divmod(rows, self.steps)
        successes = self._flags[slots, 0].copy()
        share = lucky / size
        likelier = 1 - share + successes * share * len(self._rows) / max(1, len(self._success_rows))
        length, terminated = self._lengths[slots], self._flags[slots, 1]
        ahead = np.minimum(n_step, length - t)
        ended = terminated & (t + ahead == length)
        # The time limit cut this episode off: bootstrap from its last image, whose own step is left out.
        ahead -= ~terminated & (t + ahead == length)
        returns = np.zeros(size, np.float32)
        for i in range(n_step):
            inside = i < ahead
            returns += np.where(inside, self.discount**i * self._rewards[slots, np.where(inside, t + i, t)], 0)
        after = np.where(ended, t, t + ahead)
        images = self._images.reshape(-1, *IMAGE_SHAPE)
        return Batch(
            images=images[rows],
            latents=self._latents[slots, t],
            returns=returns,
            next_images=images[slots * self.steps + after],
            discounts=np.where(ended, 0, self.discount**ahead).astype(np.float32),
            successes=successes,
            weights=(1 / likelier).astype(np.float32),
        )

    def whole(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Slots (N,) of the episodes that are not about to be overwritten, and which episode each holds (N,)."""
        self._refresh()
        slots = np.flatnonzero(self._usable)
        return slots, self._episode(slots)

    def rows(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows (M,) of all steps of the episodes in these slots: step t of slot s is row s * steps + t."""
        t = np.arange(self.steps)
        found: NDArray[np.int64] = (slots[:, None] * self.steps + t)[t < self._lengths[slots, None]]
        return found

    def rewards(self, slots: NDArray[np.int64]) -> NDArray[np.float32]:
        """Rewards (N, steps) of these episodes, meaningless beyond their ends."""
        return self._rewards[slots]

    def ends(self, slots: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Lengths (N,) of these episodes, and whether the task ended them (N,)."""
        return self._lengths[slots], self._flags[slots, 1]

    def images(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """What was seen (B, 48, 48, 3) before the steps in these rows."""
        return self._images.reshape(-1, *IMAGE_SHAPE)[rows]

    def latents(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """What was done (B, D) in them."""
        return self._latents.reshape(-1, self._latents.shape[-1])[rows]

    def numbers(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Their numbers (B,), each step's own, counted on from the first episode ever appended."""
        slots, t = np.divmod(rows, self.steps)
        return self._episode(slots) * self.steps + t

    def _episode(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        return (self._seen - 1 - slots) // self.slots * self.slots + slots

    def _refresh(self) -> None:
        """Finds the rows that can be drawn, if episodes have come since."""
        count = self.episodes
        if count == self._seen:
            return
        self._seen = count
        usable = np.arange(self.slots) < count
        guard = min(GUARD_SLOTS, self.slots // 2)
        if self._shared and count + guard > self.slots:
            usable[(count + np.arange(guard)) % self.slots] = False
        self._usable = usable
        steps = self._lengths - ~self._flags[:, 1]  # without the last step where the time limit cut it off
        valid = (np.arange(self.steps) < steps[:, None]) & usable[:, None]
        self._rows = np.flatnonzero(valid)
        self._success_rows = np.flatnonzero(valid & self._flags[:, :1])


def _layout(slots: int, latent_dim: int, steps: int) -> list[tuple[tuple[int, ...], type]]:
    """Shapes and types of the arrays; wider types first, so that all are aligned."""
    return [
        ((8,), np.int64),  # episodes, successes, steps
        ((slots,), np.int64),  # lengths
        ((slots, steps), np.float32),  # rewards
        ((slots, steps, latent_dim), np.float32),
        ((slots, 2), np.bool_),  # success, terminated
        ((slots, steps, *IMAGE_SHAPE), np.uint8),
    ]

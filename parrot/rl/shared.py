"""Memory that actor and learner share: no message between them ever waits for the other.

The replay and the wishes go one way, the actor's weights and the statistics the other. Each number has one writer.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from parrot.errors import RunError
from parrot.rl.replay import Replay

__all__ = ["STATISTICS", "SharedBlock", "WeightsBox"]

STATISTICS = (
    "updates", "saves", "rate", "critic_loss", "policy_loss", "q", "q_policy", "target", "entropy", "std",
    "mean_norm", "alpha", "gained", "lost",
)  # fmt: skip
"""What the learner tells: updates done, saves done, updates in each second, and its latest losses."""

HEAD = 1024


class WeightsBox:
    """The newest weights, written by one process and read by another without a lock.

    There are two copies: the writer fills the one that is not announced, then announces it. A reader that finds the
    announcement changed after copying reads again; so a process killed at any moment leaves nothing locked or torn.

    Args:
        buffer: at least `size(n)` bytes.
        n: numbers.
    """

    def __init__(self, buffer: memoryview, n: int) -> None:
        self._version = np.frombuffer(buffer, np.int64, 1)
        self._copies = np.frombuffer(buffer, np.float32, 2 * n, 8).reshape(2, n)
        self.seen = 0

    @staticmethod
    def size(n: int) -> int:
        """Bytes that the buffer needs, a multiple of 8."""
        return 8 + 8 * n

    def write(self, parameters: Sequence[Tensor]) -> None:
        """Publishes these weights."""
        version = int(self._version[0]) + 1
        with torch.no_grad():
            self._copies[version % 2] = torch.cat([p.reshape(-1) for p in parameters]).numpy()
        self._version[0] = version

    def read(self, parameters: Sequence[Tensor]) -> bool:
        """Takes over the newest weights; False if there are none since the last time."""
        while (version := int(self._version[0])) != self.seen:
            copy = torch.from_numpy(self._copies[version % 2].copy())
            if int(self._version[0]) != version:
                continue  # the writer may have begun to overwrite this copy
            with torch.no_grad():
                for p, part in zip(parameters, copy.split([p.numel() for p in parameters]), strict=True):
                    p.copy_(part.view_as(p))
            self.seen = version
            return True
        return False


class SharedBlock:
    """Anonymous memory that a child process maps too: wishes, statistics, weights and replay.

    Pages cost nothing until they are written, so a replay may be larger than what a run will fill.

    Args:
        weights: numbers that acting needs.
        slots: episodes that the replay holds.
        latent_dim: D.
        discount: of the replay's returns.
        fd: descriptor of an existing block, as inherited; None: a new block, all zero.

    Raises:
        RunError: there is no such memory.
    """

    def __init__(self, weights: int, slots: int, latent_dim: int, discount: float, fd: int | None = None) -> None:
        at = HEAD + WeightsBox.size(weights)
        size = at + Replay.size(slots, latent_dim)
        try:
            self.fd = _new_file(size) if fd is None else fd
            view = memoryview(mmap.mmap(self.fd, size))
        except (OSError, OverflowError, ValueError) as error:
            raise RunError(f"cannot share {size / 1e9:.1f} GB of memory ({error}); lower replay_episodes") from error
        self.wishes = np.frombuffer(view, np.int64, 2)
        """(2,): the learner should end if the first is not 0, and have saved as often as the second."""
        self.statistics = np.frombuffer(view, np.float64, len(STATISTICS), 64)
        """(len(STATISTICS),)."""
        self.weights = WeightsBox(view[HEAD:], weights)
        self.replay = Replay(slots, latent_dim, discount, view[at:])

    def tell(self, **values: float) -> None:
        """Sets statistics by name."""
        for name, value in values.items():
            self.statistics[STATISTICS.index(name)] = value

    def told(self) -> dict[str, float]:
        """The statistics by name."""
        return dict(zip(STATISTICS, self.statistics.tolist(), strict=True))

    def close(self) -> None:
        """Frees the descriptor; the memory goes with the last view of it."""
        os.close(self.fd)


def _new_file(size: int) -> int:
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("parrot")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, size)
    return fd

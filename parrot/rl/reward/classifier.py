"""The classifier in one safetensors file: an image encoder with a logistic head, and the threshold that counts."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from parrot.durable import write_bytes
from parrot.errors import ConfigError, WeightsError
from parrot.prior.encoder import make_encoder
from parrot.spaces import check_image, to_chw
from parrot.weights_file import read_weights

__all__ = ["CONFIRMATIONS", "ClassifierConfig", "RewardClassifier"]

FORMAT = "parrot-reward-1"
"""What the metadata of a classifier's file calls itself."""

CONFIRMATIONS = 2
"""Pictures in a row that must show success before it counts: one that a hand or a blur spoils pays nothing."""

REMEDY = "give a file made by `parrot reward train`"

CHUNK = 256
"""Images that are looked at together."""


@dataclass(frozen=True)
class ClassifierConfig:
    """What rebuilds the network."""

    encoder: str
    """Name of the image encoder."""
    features: int
    """Numbers that it makes of an image."""
    channels: int
    """Its width."""


class RewardClassifier(nn.Module):
    """Whether an image shows the task done: p = sigmoid(w psi(s) + b), and yes from `threshold` on.

    Example:
        >>> classifier = RewardClassifier(ClassifierConfig("fast", 64, 16))
        >>> classifier.probability(np.zeros((2, 48, 48, 3), np.uint8)).shape
        (2,)
    """

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = make_encoder(config.encoder, config.features, config.channels)
        self.head = nn.Linear(config.features, 1)
        self.threshold = 0.0
        """The logit from which on an image shows success."""
        self.card: dict[str, Any] = {}
        """What it was made of: robot, renderer, camera, data, figures."""

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B,) of images (B, 3, 48, 48) uint8."""
        return self.head(self.encoder(image)).squeeze(-1)

    @torch.no_grad()
    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Log-odds of success, (B,), of images (B, 48, 48, 3)."""
        device = self.head.weight.device
        found = [self(torch.from_numpy(to_chw(images[i : i + CHUNK])).to(device)) for i in range(0, len(images), CHUNK)]
        return torch.cat(found).double().cpu().numpy() if found else np.zeros(0)

    def probability(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """How likely each image (B, 48, 48, 3) shows success, (B,), as far as the training data tell."""
        return 1.0 / (1.0 + np.exp(-self.logits(images)))

    def success(self, image: NDArray[np.uint8]) -> bool:
        """Whether this image (48, 48, 3) shows success.

        Raises:
            SpaceError: it is no observation.
        """
        return bool(self.logits(check_image(image)[None])[0] >= self.threshold)

    def save(self, path: Path | str) -> None:
        """Writes it to one safetensors file, whole or not at all.

        Raises:
            RunError: the disk is full or the folder cannot be written.
        """
        meta = {
            "format": FORMAT, "config": json.dumps(asdict(self.config)), "threshold": repr(self.threshold),
            "card": json.dumps(self.card),
        }  # fmt: skip
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        write_bytes(Path(path), save(tensors, metadata=meta))

    @classmethod
    def load(cls, path: Path | str, robot: str | None = None) -> RewardClassifier:
        """The classifier in that file, in eval mode, on the CPU.

        Args:
            path: A file that `save` wrote.
            robot: If given, the robot whose pictures it must have been trained on.

        Raises:
            WeightsError: the file is missing, damaged, made by something else or for another robot.
        """
        path = Path(path)
        meta, tensors = _read(path)
        try:
            classifier = cls(ClassifierConfig(**json.loads(meta["config"])))
            classifier.load_state_dict(tensors)
            classifier.threshold, classifier.card = float(meta["threshold"]), dict(json.loads(meta["card"]))
        except (KeyError, TypeError, ValueError, RuntimeError, ConfigError) as error:
            raise WeightsError(
                f"{path}: its weights do not fit its configuration ({str(error).splitlines()[0]}); "
                "it was made by another version of parrot: train again"
            ) from error
        if not math.isfinite(classifier.threshold) or not all(bool(t.isfinite().all()) for t in tensors.values()):
            raise WeightsError(f"{path}: holds numbers that are not finite; train again")
        if robot is not None and classifier.card.get("robot") != robot:
            raise WeightsError(
                f"{path}: this classifier was trained on pictures of robot {classifier.card.get('robot')!r}, "
                f"not {robot!r}; train one with `parrot reward train` on data of {robot!r}"
            )
        return classifier.eval()


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a classifier's file.

    Raises:
        WeightsError: the file is missing, truncated or foreign.
    """
    meta, tensors = read_weights(path, "classifier", REMEDY)
    if meta.get("format") != FORMAT:
        raise WeightsError(
            f"{path}: holds no classifier of this version (format {meta.get('format')!r}, expected {FORMAT!r}); "
            f"{REMEDY}"
        )
    return meta, tensors

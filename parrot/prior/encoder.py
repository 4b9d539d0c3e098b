"""The image encoder psi(s): RGB pixels to a feature vector (paper, figures 2 and 8c).

The fast encoder keeps a 12x12 and then a 6x6 map and flattens it, rather than pooling over space: where the
gripper and the objects are, to a few millimetres, is all that the action depends on.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from parrot.errors import ConfigError
from parrot.spaces import IMAGE_SIZE

__all__ = [
    "ENCODERS", "FastEncoder", "PaperEncoder", "ResidualBlock", "ResidualEncoder", "make_encoder", "native_bf16",
    "normalise", "training_autocast",
]  # fmt: skip


def normalise(image: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """uint8 pixels as floats of about zero mean and unit range, channels last in memory."""
    pixels = image.to(dtype, memory_format=torch.channels_last)
    return (pixels - 127.5).div_(63.75)


def _channels_last(module: nn.Module) -> None:
    """Lays out the convolutions' weights as CPUs with bfloat16 and GPUs with tensor cores like them best."""
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class PaperEncoder(nn.Module):
    """Three 3x3 convolutions with max pooling, flattened, then one fully connected layer.

    The paper's figure 8(c) holds the widths; its text does not. Ours are 16 channels, pooled twice.

    Example:
        >>> PaperEncoder(features=256)(torch.zeros(2, 3, 48, 48, dtype=torch.uint8)).shape
        torch.Size([2, 256])
    """

    def __init__(self, features: int, channels: int = 16) -> None:
        super().__init__()
        side = IMAGE_SIZE // 4
        self.layers = nn.Sequential(
            # Pooling before rectifying gives the same, on a quarter of the numbers.
            nn.Conv2d(3, channels, 3, padding=1),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(channels * side * side, features),
            nn.ReLU(),
        )
        _channels_last(self)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, 48, 48) uint8 -> (B, features)."""
        return self.layers(normalise(image))


class FastEncoder(nn.Module):
    """An overlapping 8x8 stem with stride 4, then two 3x3 convolutions down to a 6x6 map.

    The stem has half the channels and the stride comes before the widest convolution: latent RL trains this encoder
    anew for each task, and pays 14 ms instead of 32 ms for it in each update (batch 128, one core, bfloat16).
    Layer normalisation bounds the features, which keeps whatever is trained on top of them well-conditioned.

    Example:
        >>> FastEncoder(features=256)(torch.zeros(2, 3, 48, 48, dtype=torch.uint8)).shape
        torch.Size([2, 256])
    """

    def __init__(self, features: int, channels: int = 64) -> None:
        super().__init__()
        side = IMAGE_SIZE // 8
        self.layers = nn.Sequential(
            nn.Conv2d(3, channels // 2, 8, stride=4, padding=2),
            nn.ReLU(),
            nn.Conv2d(channels // 2, channels, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(channels * side * side, features),
            nn.LayerNorm(features),
        )
        _channels_last(self)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, 48, 48) uint8 -> (B, features)."""
        return self.layers(normalise(image))


class ResidualBlock(nn.Module):
    """x plus ReLU, 3x3 convolution, ReLU, 1x1 convolution of x (van den Oord et al., 2017; paper, appendix B)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        return x + self.layers(x)


class ResidualEncoder(nn.Module):
    """Two strided 4x4 convolutions and two residual blocks, then few channels on a 12x12 map.

    The comparison VAE-features looks through it (paper, appendix B: 256 channels).

    Example:
        >>> ResidualEncoder(features=256, channels=8)(torch.zeros(2, 3, 48, 48, dtype=torch.uint8)).shape
        torch.Size([2, 256])
    """

    LATENT_CHANNELS = 8
    """Channels of the map; the paper does not give them."""

    def __init__(self, features: int, channels: int = 256) -> None:
        super().__init__()
        side = IMAGE_SIZE // 4
        self.layers = nn.Sequential(
            nn.Conv2d(3, channels, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 4, stride=2, padding=1),
            ResidualBlock(channels),
            ResidualBlock(channels),
            nn.ReLU(),
            nn.Conv2d(channels, self.LATENT_CHANNELS, 1),
            nn.Flatten(),
            nn.Linear(self.LATENT_CHANNELS * side * side, features),
        )
        _channels_last(self)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, 48, 48) uint8 -> (B, features)."""
        return self.layers(normalise(image))


ENCODERS: dict[str, type[nn.Module]] = {"paper": PaperEncoder, "fast": FastEncoder, "residual": ResidualEncoder}


def make_encoder(name: str, features: int, channels: int) -> nn.Module:
    """The encoder of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in ENCODERS:
        raise ConfigError(f"encoder {name!r} is unknown; choose one of {', '.join(ENCODERS)}")
    return ENCODERS[name](features, channels)


def native_bf16(device: torch.device) -> bool:
    """Whether this device multiplies bfloat16 itself; elsewhere that is emulated, slowly."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return any(getattr(torch.cpu, probe, bool)() for probe in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))


def training_autocast(device: torch.device) -> torch.autocast:
    """A context in which convolutions run in bfloat16 where the hardware multiplies it fast, else a null context.

    For training only: inference stays in float32, so that `encode` inverts `decode` whatever the batch size.
    """
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=native_bf16(device))

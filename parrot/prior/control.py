"""A prior in a control loop: one image, one latent, one action, as soon as they come.

Deciding on a single action takes PyTorch ten times longer to dispatch than to compute. So a flow's couplings run here
in NumPy, and whatever depends on the image alone is computed when the image comes, before the latent does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from parrot.prior.base import ActionDecoder
from parrot.prior.coupling import AffineCoupling, Coupling, SplineCoupling
from parrot.prior.flow import FlowPrior
from parrot.prior.history import HistoryPrior
from parrot.prior.spline import MIN_BIN, MIN_SLOPE

__all__ = ["Controller", "FlowController", "HistoryController", "NumpyFlow", "SharedController", "controller_of"]

Floats = NDArray[np.float32]


class Controller:
    """Any prior, or other decoder of actions, one step at a time, with the weights that it has now.

    Who calls it for one step after another also calls `begin` when an episode begins, and `executed` where something
    else was done than what `act` said: for priors that remember.

    Example:
        >>> controller = controller_of(parrot.load_prior())          # doctest: +SKIP
        >>> seen = controller.look(image)                            # doctest: +SKIP
        >>> action = controller.act(z, seen)                         # doctest: +SKIP
    """

    def __init__(self, prior: ActionDecoder) -> None:
        self.prior = prior

    @property
    def remembers(self) -> bool:
        """Whether an action depends on the steps before it."""
        return self.prior.config.past > 0

    def begin(self) -> None:
        """An episode begins: what came before is forgotten."""

    def executed(self, action: NDArray[np.floating], seen: Floats) -> None:
        """What was executed when that image was seen: (7,) in [-1, 1]."""

    def look(self, image: NDArray[np.uint8]) -> Floats:
        """What `act` needs of an image (48, 48, 3) uint8: an array of the controller's own shape.

        Raises:
            SpaceError: the image has another shape.
        """
        return self._encode(image, self.prior.encode_image)

    @torch.inference_mode()
    def act(self, z: NDArray[np.floating], seen: Floats) -> Floats:
        """The action (7,) in [-1, 1] that the latent (D,) stands for when that image is seen."""
        latent = torch.from_numpy(np.asarray(z, np.float32)[None])
        return self.prior.decode(latent, features=torch.from_numpy(seen))[0].clamp(-1.0, 1.0).numpy()

    @torch.inference_mode()
    def _encode(self, image: NDArray[np.uint8], encoder: Callable[[Tensor], Tensor]) -> Floats:
        """Features (1, n) of one image."""
        pixels = torch.from_numpy(np.ascontiguousarray(image)[None])
        return encoder(pixels.permute(0, 3, 1, 2)).numpy()


class NumpyFlow:
    """A flow at a single image, without gradients or densities.

    Args:
        couplings: in the order of `FlowPrior.decode`.
        mean: (D,) of what comes out after the last.
        std: (D,) of it.
        copied: keep the weights as they are now; else they are those that the couplings have at each call.
    """

    def __init__(self, couplings: Iterable[nn.Module], mean: Tensor, std: Tensor, copied: bool = False) -> None:
        kept = _copied if copied else _array
        self._layers = [_layer(cast(Coupling, coupling), kept) for coupling in couplings]
        self._mean, self._std = kept(mean), kept(std)

    def enter(self, features: Floats) -> Floats:
        """The image's part of what enters each coupling's network, of its features (F,): (layers, hidden)."""
        return np.stack([layer.image_part(features) for layer in self._layers])

    def decode(self, z: Floats, entered: Floats) -> Floats:
        """(N, D) -> (N, D)."""
        x = z.copy()
        for layer, part in zip(self._layers, entered, strict=True):
            layer.apply(x, part)
        return x * self._std + self._mean

    def encode(self, action: Floats, entered: Floats) -> Floats:
        """The inverse of `decode`."""
        x = (action - self._mean) / self._std
        for layer, part in zip(reversed(self._layers), reversed(entered), strict=True):
            layer.apply(x, part, inverse=True)
        return x


class FlowController(Controller):
    """A flow, in NumPy; its actions are those of `FlowPrior.decode` to 1e-5."""

    prior: FlowPrior

    def __init__(self, prior: FlowPrior) -> None:
        super().__init__(prior)
        self._flow = NumpyFlow(prior.couplings, prior.mean, prior.std, copied=True)

    def look(self, image: NDArray[np.uint8]) -> Floats:
        """The image's part of what enters each coupling's network: (layers, hidden)."""
        return self._flow.enter(super().look(image)[0])

    def act(self, z: NDArray[np.floating], seen: Floats) -> Floats:
        """As `Controller.act`."""
        return np.clip(self._flow.decode(np.asarray(z, np.float32)[None], seen)[0], -1.0, 1.0)

    def latent(self, action: NDArray[np.floating], seen: Floats) -> Floats:
        """The latent (D,) that stands for an action (7,), not necessarily in [-1, 1], when that image is seen."""
        return self._flow.encode(np.asarray(action, np.float32)[None], seen)[0]


class SharedController(FlowController):
    """One for a policy of actions and what executes its latents (`parrot.rl.space`), which do no work twice.

    It remembers what it last looked at, and the latent that it last found.
    """

    def __init__(self, prior: FlowPrior) -> None:
        super().__init__(prior)
        self._looked: tuple[NDArray[np.uint8], Floats] | None = None
        self._found: tuple[Floats, Floats, Floats] | None = None

    def look(self, image: NDArray[np.uint8]) -> Floats:
        """As `FlowController.look`."""
        if self._looked is None or not np.array_equal(self._looked[0], image):
            self._looked = np.array(image), super().look(image)
        return self._looked[1]

    def act(self, z: NDArray[np.floating], seen: Floats) -> Floats:
        """As `Controller.act`."""
        if self._found is not None and seen is self._found[1] and np.array_equal(z, self._found[0]):
            return self._found[2].copy()
        return super().act(z, seen)

    def latent(self, action: NDArray[np.floating], seen: Floats) -> Floats:
        """As `FlowController.latent`."""
        z = super().latent(action, seen)
        self._found = z.copy(), seen, np.clip(np.asarray(action, np.float32), -1.0, 1.0)
        return z


class HistoryController(FlowController):
    """A flow that remembers the steps before, and remembers them.

    A step is an image that was acted on. Acting on the same one again, the very array that `look` gave, remembers
    nothing new and has the same past.
    """

    prior: HistoryPrior

    def __init__(self, prior: HistoryPrior) -> None:
        super().__init__(prior)
        self.begin()

    def begin(self) -> None:
        """As `Controller.begin`."""
        config = self.prior.config
        # As in `HistoryPrior.with_past`: a row for each step before, the latest first, zeros where there was none.
        self._past = np.zeros((config.past, config.step), np.float32)
        self._last: tuple[Floats, Floats] | None = None

    def look(self, image: NDArray[np.uint8]) -> Floats:
        """Features of the image alone, (features,)."""
        return self._encode(image, self.prior.encode_now)[0]

    def act(self, z: NDArray[np.floating], seen: Floats) -> Floats:
        """As `Controller.act`, after the steps that are remembered."""
        self._step_to(seen)
        action = super().act(z, self._flow.enter(np.concatenate([seen, self._past.ravel()])))
        self._last = seen, action
        return action

    def executed(self, action: NDArray[np.floating], seen: Floats) -> None:
        """As `Controller.executed`; also of an image that was not acted on."""
        self._step_to(seen)
        self._last = seen, np.asarray(action, np.float32)

    def _step_to(self, seen: Floats) -> None:
        """Puts the last step among those before, if this is another one."""
        if self._last is not None and self._last[0] is not seen:
            latest = np.concatenate([*self._last, np.ones(1, np.float32)])
            self._past = np.concatenate([latest[None], self._past])[: self.prior.config.past]
            self._last = None


def controller_of(prior: ActionDecoder) -> Controller:
    """The fastest controller for this prior, on the CPU."""
    if isinstance(prior, HistoryPrior):
        return HistoryController(prior)
    return FlowController(prior) if isinstance(prior, FlowPrior) else Controller(prior)


class _AffineLayer:
    """A coupling."""

    def __init__(self, coupling: Coupling, kept: Callable[[Tensor], Floats]) -> None:
        first, second, third = _linears(coupling)
        order, n = coupling.order.numpy(), coupling.n_kept
        self.kept, self.changed = order[:n], order[n:]
        weight = kept(first.weight)
        self.first, self.image, self.first_bias = weight[:, :n].T, weight[:, n:], kept(first.bias)
        self.second, self.second_bias = kept(second.weight).T, kept(second.bias)
        self.third, self.third_bias = kept(third.weight).T, kept(third.bias)

    def image_part(self, features: Floats) -> Floats:
        """What the first layer makes of the image."""
        return self.image @ features + self.first_bias

    def apply(self, x: Floats, image_part: Floats, inverse: bool = False) -> None:
        """Changes latents (N, D) in place, or changes them back."""
        h = image_part + x[:, self.kept] @ self.first
        h = np.maximum(h, 0.0) @ self.second + self.second_bias
        numbers = np.maximum(h, 0.0) @ self.third + self.third_bias
        x[:, self.changed] = self.transform(x[:, self.changed], numbers.reshape(len(x), len(self.changed), -1), inverse)

    def transform(self, x: Floats, numbers: Floats, inverse: bool) -> Floats:
        """As `AffineCoupling.transform`."""
        v, t = numbers[..., 0], numbers[..., 1]
        v = AffineCoupling.bound * np.tanh(v / AffineCoupling.bound)
        return (x - t) * np.exp(-v) if inverse else x * np.exp(v) + t


class _SplineLayer(_AffineLayer):
    """A spline coupling."""

    def transform(self, x: Floats, numbers: Floats, inverse: bool) -> Floats:
        """As `rational_quadratic_spline`."""
        bins, bound, shape = SplineCoupling.bins, SplineCoupling.bound, x.shape
        sizes = numbers[..., : 2 * bins].reshape(x.size, 2, bins)
        shares = np.exp(sizes - sizes.max(-1, keepdims=True))
        shares *= (1.0 - MIN_BIN * bins) / shares.sum(-1, keepdims=True)
        shares += MIN_BIN
        knots = np.full((x.size, 2, bins + 1), -bound, np.float32)
        knots[..., 1:] += 2.0 * bound * shares.cumsum(-1)
        slopes = np.ones((x.size, bins + 1), np.float32)
        slopes[:, 1:-1] = MIN_SLOPE + (1.0 - MIN_SLOPE) * np.logaddexp(
            numbers[..., 2 * bins :].reshape(x.size, -1) + math.log(math.e - 1.0), 0.0
        )

        x = x.ravel()
        rows = np.arange(len(x))
        left = (x[:, None] >= knots[:, int(inverse), 1:-1]).sum(-1)
        low, high = knots[rows, :, left], knots[rows, :, left + 1]
        d0, d1 = slopes[rows, left], slopes[rows, left + 1]
        width, height = (high - low).T
        mean = height / width
        bend = d0 + d1 - 2.0 * mean
        if inverse:
            rise = x - low[:, 1]
            a, b, c = height * (mean - d0) + rise * bend, height * d0 - rise * bend, -mean * rise
            t = 2.0 * c / (-b - np.sqrt(np.maximum(b * b - 4.0 * a * c, 0.0)))
            y = low[:, 0] + t * width
        else:
            t = (x - low[:, 0]) / width
            mixed = t * (1.0 - t)
            y = low[:, 1] + height * (mean * t * t + d0 * mixed) / (mean + bend * mixed)
        return np.where(np.abs(x) < bound, y, x).reshape(shape)


def _layer(coupling: Coupling, kept: Callable[[Tensor], Floats]) -> _AffineLayer:
    return (_SplineLayer if isinstance(coupling, SplineCoupling) else _AffineLayer)(coupling, kept)


def _linears(coupling: Coupling) -> list[nn.Linear]:
    return [layer for layer in coupling.net if isinstance(layer, nn.Linear)]


def _array(tensor: Tensor) -> Floats:
    return tensor.detach().cpu().numpy()


def _copied(tensor: Tensor) -> Floats:
    return _array(tensor).copy()

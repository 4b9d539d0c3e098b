"""Latent RL: soft actor-critic whose actions are the latents of a behavioral prior (paper, section 4.2)."""

from parrot.rl.wrapper import LatentActionWrapper

__all__ = ["LatentActionWrapper"]

"""Reward from pictures: an image classifier of success, for arms whose objects nobody measures (paper, section 5)."""

from parrot.rl.reward.classifier import RewardClassifier

__all__ = ["RewardClassifier"]

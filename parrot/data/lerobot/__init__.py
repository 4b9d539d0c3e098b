"""LeRobot's dataset format, version 3.0, to episodes and back; needs pyarrow and nothing of lerobot itself."""

from parrot.data.lerobot.convert import from_lerobot
from parrot.data.lerobot.export import to_lerobot

__all__ = ["from_lerobot", "to_lerobot"]

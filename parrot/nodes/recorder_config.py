"""Parameters of recorder_node, and what they say of the bag."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from parrot.nodes.parameters import Range
from parrot.nodes.topics import IMAGE
from parrot.sim.tasks import TASKS

__all__ = ["RecorderNodeConfig"]


@dataclass(frozen=True)
class RecorderNodeConfig:
    """Parameters of recorder_node."""

    bag: str = "bag"
    """Folder of the bag; if it exists, the bag is called BAG_2, BAG_3 and so on."""
    topics: str = ""
    """Further topics to record, `TOPIC TYPE` separated by commas: `/tf tf2_msgs/msg/TFMessage, ...`."""
    expected: str = IMAGE
    """Topics that must not fall silent, `TOPIC` or `TOPIC RATE` separated by commas: `camera/image 25, action`."""
    silence: Annotated[float, Range(0.1, 3600.0)] = 5.0
    """Seconds without a message after which an expected topic is called silent."""
    min_free_gb: Annotated[float, Range(0.0, 1e6)] = 2.0
    """Gigabytes left on the disk below which the recorder warns."""
    split_episodes: Annotated[int, Range(1, 1_000_000)] = 100
    """Episodes in each MCAP file of the bag."""
    split_gb: Annotated[float, Range(0.001, 1000.0)] = 1.0
    """Gigabytes after which a file of the bag ends with its episode; without episodes, it ends at twice as many."""
    report_period: Annotated[float, Range(1.0, 3600.0)] = 10.0
    """Seconds between two lines on what is recorded."""
    task: str = ""
    """Noted in the bag's metadata."""
    robot: str = ""
    """Noted in the bag's metadata."""
    renderer: str = ""
    """What draws the images, noted in the bag's metadata; empty: a real camera."""
    object_split: str = ""
    """Whose objects are seen, `train` or `test`, noted in the bag's metadata; empty: those of the task, if known."""

    def about(self) -> dict[str, str]:
        """The bag's metadata."""
        found = {key: getattr(self, key) for key in ("task", "robot", "renderer", "object_split")}
        if self.renderer and not self.object_split and self.task in TASKS:
            found["object_split"] = TASKS[self.task].split
        return {key: value for key, value in found.items() if value}

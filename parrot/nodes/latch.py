"""The e-stop's latch on disk: an arm_node that was killed, or a machine that lost its power, has not let go of it."""

from __future__ import annotations

import os
import re
from datetime import datetime, timezone
from pathlib import Path

from parrot.durable import disk_errors, sync_folder, write_json

__all__ = ["Latch", "state_folder"]


def state_folder() -> Path:
    """Where parrot keeps what has to outlive a process: `$XDG_STATE_HOME/parrot`, by default ~/.local/state/parrot."""
    home = os.environ.get("XDG_STATE_HOME", "")
    return (Path(home) if home else Path.home() / ".local" / "state") / "parrot"


class Latch:
    """Latched as long as its file is there.

    Args:
        robot: The robot's name.
        node: The fully qualified name of its node: two arms of a kind have namespaces of their own.
        folder: Of the file.
    """

    def __init__(self, robot: str, node: str, folder: Path) -> None:
        domain = os.environ.get("ROS_DOMAIN_ID") or "0"
        words = (robot, node.strip("/"), f"domain{domain}")
        self.path = folder / f"estop-{'-'.join(re.sub(r'[^A-Za-z0-9_.]', '_', word) for word in words)}.json"

    @property
    def held(self) -> bool:
        """Whether the e-stop was not let go of."""
        return self.path.exists()

    def set(self) -> None:
        """Latches; when this returns, neither a kill nor a power cut lets go.

        Raises:
            RunError: the disk is full or the folder cannot be written.
        """
        if not self.held:
            write_json(self.path, {"estop since": datetime.now(timezone.utc).isoformat(timespec="seconds")})

    def clear(self) -> None:
        """Lets go.

        Raises:
            RunError: the file cannot be removed.
        """
        if self.held:
            with disk_errors(self.path):
                self.path.unlink()
                sync_folder(self.path.parent)

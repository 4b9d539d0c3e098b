"""The faults of the emulated arm, switched by words: what goes wrong with hardware, on command."""

from __future__ import annotations

from dataclasses import dataclass, fields

from parrot.errors import ConfigError

__all__ = ["Faults"]


@dataclass
class Faults:
    """What is wrong now.

    Example:
        >>> faults = Faults()
        >>> faults.obey("drop_joints")
        >>> faults.obey("clock_jump -3600")
        >>> str(faults)
        'drop_joints, clock_jump -3600'
        >>> faults.obey("clear")
        >>> str(faults)
        'none'
    """

    freeze_camera: bool = False
    """The same picture again and again, with new stamps."""
    no_camera: bool = False
    """No pictures."""
    drop_joints: bool = False
    """No joint states."""
    ignore_commands: bool = False
    """Trajectories have no effect."""
    joint_fault: bool = False
    """The drives stop where they are and take no trajectory."""
    clock_jump: float = 0.0
    """Seconds by which the stamps are ahead."""

    def obey(self, words: str) -> None:
        """`NAME` brings a fault about, `clock_jump SECONDS` moves the stamps, `clear` ends all faults.

        Raises:
            ConfigError: there is no such fault.
        """
        name, _, value = words.strip().partition(" ")
        known = [field.name for field in fields(self)]
        if name == "clear":
            self.__init__()  # type: ignore[misc]
        elif name not in known:
            raise ConfigError(f"fault {name!r} is not known; choose one of {', '.join(known)}, clear")
        elif name == "clock_jump":
            try:
                self.clock_jump = float(value)
            except ValueError as error:
                raise ConfigError(f"clock_jump {value!r}: give seconds, as in 'clock_jump -3600'") from error
        else:
            setattr(self, name, True)

    def __str__(self) -> str:
        found = [field.name for field in fields(self) if getattr(self, field.name) is True]
        return ", ".join(found + ([f"clock_jump {self.clock_jump:g}"] if self.clock_jump else [])) or "none"

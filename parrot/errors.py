"""The errors that a user can cause. Each message names the thing, the value and the remedy, in one line.

The command line and the nodes print such an error as one line and exit with `exit_code`; any other
exception is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

__all__ = ["ConfigError", "DatasetError", "GraphError", "ParrotError", "RunError", "SpaceError", "WeightsError"]


class ParrotError(Exception):
    """Base of all errors that a user can put right."""

    exit_code = 1


class ConfigError(ParrotError):
    """A name, option or YAML file that parrot does not know or cannot use."""

    exit_code = 2


class SpaceError(ParrotError):
    """An image, action, latent or outcome of the wrong shape, type or value."""

    exit_code = 3


class DatasetError(ParrotError):
    """A dataset that is missing, damaged or incompatible."""

    exit_code = 4


class WeightsError(ParrotError):
    """A weights file that is missing, damaged or made for something else."""

    exit_code = 5


class RunError(ParrotError):
    """A run folder that is in use, full, or holds another run."""

    exit_code = 6


class GraphError(ParrotError):
    """A ROS graph in which something does not answer."""

    exit_code = 7

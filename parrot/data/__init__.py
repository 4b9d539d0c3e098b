"""Episodes on disk: written so that nothing finished is lost, read by memory map, refused where they do not fit."""

from parrot.data.dataset import Dataset
from parrot.data.episode import Episode
from parrot.data.manifest import ArraySpec, Manifest
from parrot.data.writer import EpisodeWriter, create_dataset, seal

__all__ = ["ArraySpec", "Dataset", "Episode", "EpisodeWriter", "Manifest", "create_dataset", "seal"]

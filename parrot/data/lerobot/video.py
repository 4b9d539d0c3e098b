"""Frames of LeRobot's videos, in order; needs PyAV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parrot.data.lerobot.layout import library
from parrot.errors import DatasetError

__all__ = ["Videos"]


class Videos:
    """The videos of one feature. Several episodes lie one after the other in a file, which is decoded once.

    Raises:
        ConfigError: PyAV is not installed.
    """

    def __init__(self, folder: Path, pattern: str, feature: str, fps: float) -> None:
        self._av = library("av", "video", f"the video feature {feature}")
        self.folder, self.pattern, self.feature, self.fps = folder, pattern, feature, fps
        self._path: Path | None = None
        self._frames: Iterator[tuple[float, NDArray[np.uint8]]] = iter(())
        self._latest: tuple[float, NDArray[np.uint8]] | None = None

    def frames(self, place: dict[str, Any], times: Sequence[float]) -> Iterator[NDArray[np.uint8]]:
        """The frames (rows, columns, 3) uint8 at these seconds of an episode, which must grow.

        Args:
            place: `chunk_index`, `file_index` and `from_timestamp` of the episode.
            times: Seconds since the episode's beginning.

        Raises:
            DatasetError: the file is missing or damaged, or has no frame at such a time.
        """
        path = self.folder / self.pattern.format(
            video_key=self.feature, chunk_index=place["chunk_index"], file_index=place["file_index"]
        )
        for time in times:
            wanted = place["from_timestamp"] + float(time)
            if path != self._path or (self._latest is not None and wanted < self._latest[0] - 0.5 / self.fps):
                self._path, self._frames, self._latest = path, self._decode(path), None
            while self._latest is None or self._latest[0] < wanted - 0.5 / self.fps:
                self._latest = next(self._frames, None)
                if self._latest is None:
                    break
            if self._latest is None or self._latest[0] > wanted + 0.5 / self.fps:
                raise DatasetError(f"{path} has no frame at {wanted:.3f} s; copy the dataset again")
            yield self._latest[1]

    def _decode(self, path: Path) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        try:
            with self._av.open(str(path)) as container:
                for frame in container.decode(video=0):
                    yield float(frame.time), frame.to_ndarray(format="rgb24")
        except (self._av.FFmpegError, OSError, IndexError) as error:  # IndexError: without a video stream
            raise DatasetError(f"{path} cannot be decoded ({error}); copy the dataset again") from error

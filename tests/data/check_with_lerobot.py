"""Compares an exported folder with its source through lerobot's own reader, frame by frame.

Runs where lerobot is installed, which pins its own torch: `python tests/data/check_with_lerobot.py DATASET FOLDER`.
tests/data/test_lerobot.py calls it where lerobot can be imported.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

os.environ.setdefault("HF_HUB_OFFLINE", "1")


def compare(source: Path, folder: Path) -> int:
    """Number of frames compared; fails at the first that differs."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    from parrot.data import Dataset

    ours, theirs = Dataset.open(source), LeRobotDataset(folder.name, root=folder)
    assert (theirs.num_episodes, theirs.num_frames) == (len(ours), ours.steps)
    # Windows of actions, as policies ask for them: they stop at the borders of episodes.
    windows = LeRobotDataset(folder.name, root=folder, delta_timestamps={"action": [0.0, 1.0 / theirs.fps]})
    index = 0
    for number, episode in enumerate(ours):
        row = theirs.meta.episodes[number]
        assert (row["dataset_from_index"], row["dataset_to_index"]) == (index, index + len(episode))
        for step in range(len(episode)):
            frame = theirs[index]
            image = (frame["observation.images.camera"].numpy() * 255).round().astype(np.uint8)
            np.testing.assert_array_equal(image, episode.images[step].transpose(2, 0, 1))
            np.testing.assert_array_equal(frame["action"].numpy(), episode.actions[step])
            assert frame["next.reward"].item() == episode.rewards[step]
            last = step == len(episode) - 1
            assert frame["next.done"].item() is last
            assert frame["next.success"].item() is (last and episode.success)
            assert frame["task"] == episode.task
            assert frame["timestamp"].item() == np.float32(step / theirs.fps)
            assert [frame[k].item() for k in ("episode_index", "frame_index", "index")] == [number, step, index]
            for name, values in episode.extra.items():
                found = frame[f"extra.{name}"].numpy().reshape(values.shape[1:])
                # lerobot gives every floating-point number in single precision.
                np.testing.assert_array_equal(found, values[step].astype(found.dtype))
            ahead = windows[index]
            np.testing.assert_array_equal(ahead["action"][1].numpy(), episode.actions[min(step + 1, len(episode) - 1)])
            assert ahead["action_is_pad"].tolist() == [False, last]
            index += 1
    stats = theirs.meta.stats
    np.testing.assert_allclose(stats["action"]["mean"], ours.actions.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(stats["action"]["std"], ours.actions.std(0), rtol=1e-4)
    np.testing.assert_array_equal(stats["action"]["min"], ours.actions.min(0))
    assert stats["action"]["count"] == ours.steps
    pixels = ours.images(slice(None)) / 255.0
    image = stats["observation.images.camera"]
    np.testing.assert_allclose(image["mean"].ravel(), pixels.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(image["std"].ravel(), pixels.std((0, 1, 2)), rtol=1e-6)
    assert image["mean"].shape == (3, 1, 1)
    return index


if __name__ == "__main__":
    print(f"{compare(Path(sys.argv[1]), Path(sys.argv[2]))} frames are equal")

"""A run's folder."""

import numpy as np

from parrot.rl.run_folder import EpisodeRow, RunFolder, read_rows
from parrot.rl.settings import FineTuneConfig


def test_its_episodes_are_those_that_whoever_opens_it_next_finds(tmp_path):
    folder = RunFolder(tmp_path, FineTuneConfig(), 7)
    for number, seconds in enumerate((0.123456, 12.94999, 1234.567, 12345.678), 1):
        row = EpisodeRow(number, "train", 25 * number, seconds, 1, 1.0, 25, 1 / 3, 10)
        arrays = np.zeros((25, 48, 48, 3), np.uint8), *[np.zeros((25, 7), np.float32)] * 2, np.zeros(25, np.float32)
        folder.add(row, *arrays, task="grasp_cap", seed=0, terminated=False)
    folder.close()
    assert folder.rows == read_rows(tmp_path / "episodes.csv")

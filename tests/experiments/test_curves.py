"""Results and their figures: nothing but what the gathered files say."""

import csv
import json

import numpy as np
import pytest

from parrot.errors import RunError
from parrot.experiments.curves import draw_curves
from parrot.experiments.gather import gather, load_runs
from parrot.rl.report import rolling


def finished(folder, algo, seed, successes):
    folder.mkdir()
    with (folder / "episodes.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["episode", "phase", "seconds", "success"])
        for i, success in enumerate(successes):
            writer.writerow([i + 1, "before" if i < 10 else "train", 6.0 * i, success])
        writer.writerow([len(successes) + 1, "after", 0.0, 1])
    summary = {
        "task": "grasp_cap", "algo": algo, "seed": seed, "success_before": 0.1, "success_after": 0.9,
        "episodes_train": len(successes), "seconds_training": 60.0,
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def test_gathered_runs_read_back_without_the_evaluation_at_the_end(tmp_path):
    runs = [finished(tmp_path / f"run{s}", "parrot", s, [0, 1] * 40) for s in range(2)]
    gather([*runs, finished(tmp_path / "raw", "sac", 0, [0] * 80)], tmp_path / "results")
    found = load_runs(tmp_path / "results")
    assert [(run.algo, run.summary["seed"]) for run in found] == [("parrot", 0), ("parrot", 1), ("sac", 0)]
    assert found[0].successes == [0, 1] * 40
    assert found[0].minutes[10] == pytest.approx(1.0)
    draw_curves(found, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_the_curve_starts_with_the_first_full_window():
    np.testing.assert_allclose(rolling([0] * 50 + [1] * 25), np.arange(26) / 50)
    assert len(rolling([1] * 49)) == 0


def test_a_run_of_an_arm_with_few_episodes_has_a_curve_too():
    np.testing.assert_allclose(rolling([1] * 10 + [0] * 10, first=10), 10 / np.arange(10, 21))
    np.testing.assert_allclose(rolling([0] * 50 + [1] * 50, first=10)[-51:], np.arange(51) / 50)
    assert len(rolling([1] * 9, first=10)) == 0


def test_an_unfinished_run_and_an_empty_folder_say_what_to_do(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(RunError, match="let the run finish"):
        gather([tmp_path / "run"], tmp_path / "results")
    with pytest.raises(RunError, match="parrot experiment gather"):
        load_runs(tmp_path)

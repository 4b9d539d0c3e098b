"""Trials on disk: counted through all starts, whole or not there, and never mixed."""

import json

import pytest

from parrot.errors import RunError
from parrot.rl.trials import TrialAbout, TrialFolder

ABOUT = TrialAbout("grasp_can", "xarm6", "a" * 64)


def test_trials_are_counted_through_all_starts_and_reported(tmp_path):
    folder = TrialFolder(tmp_path / "t", ABOUT, 4)
    assert "no trial yet" in folder.sentence()
    folder.add(True, 12, 1.2, 1.2)
    folder.add(False, 25, 2.5, 4.0)
    folder.close()
    folder = TrialFolder(tmp_path / "t", ABOUT, 4)
    assert [t.trial for t in folder.trials] == [1, 2]
    folder.add(True, 10, 1.0, 3.0)
    assert not folder.done
    folder.add(True, 8, 0.8, 3.0)
    assert folder.done
    report = folder.report()
    assert (report["trials"], report["successes"], report["success"]) == (4, 3, 0.75)
    assert 0.29 < report["success_low"] < 0.31 and 0.95 < report["success_high"] < 0.96  # Wilson, 3 of 4
    assert (report["seconds_of_successes"], report["cycle_seconds"]) == (1.0, 3.0)
    assert "success in 3 of 4 trials, 75%" in folder.sentence()
    folder.close()
    assert json.loads((tmp_path / "t" / "summary.json").read_text())["trials"] == 4


def test_what_a_power_cut_left_of_a_line_is_cut_off(tmp_path):
    folder = TrialFolder(tmp_path, ABOUT, 4)
    folder.add(True, 12, 1.2, 1.2)
    # Killed: nothing is closed but the lock, which the system frees.
    with open(tmp_path / "episodes.csv", "a") as file:
        file.write("2,1,1")
    folder.close()
    folder = TrialFolder(tmp_path, ABOUT, 4)
    assert len(folder.trials) == 1
    assert folder.add(True, 3, 0.3, 0.3).trial == 2
    folder.close()
    assert len((tmp_path / "episodes.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize("field", ["task", "robot", "policy"])
def test_trials_of_something_else_are_not_mixed_in(tmp_path, field):
    TrialFolder(tmp_path, ABOUT, 4).close()
    with pytest.raises(RunError, match=f"holds trials of another {field}"):
        TrialFolder(tmp_path, TrialAbout(**{**vars(ABOUT), field: "other"}), 4)
    TrialFolder(tmp_path, ABOUT, 4).close()  # the refusal has let go of the folder


def test_a_folder_in_use_or_of_something_else_is_refused(tmp_path):
    folder = TrialFolder(tmp_path / "t", ABOUT, 4)
    with pytest.raises(RunError, match="in use"):
        TrialFolder(tmp_path / "t", ABOUT, 4)
    folder.close()
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("dear")
    with pytest.raises(RunError, match="something else than trials"):
        TrialFolder(tmp_path / "letters", ABOUT, 4)
    (tmp_path / "t" / "episodes.csv").write_text("a,b\n1,2\n")
    with pytest.raises(RunError, match="is damaged"):
        TrialFolder(tmp_path / "t", ABOUT, 4)

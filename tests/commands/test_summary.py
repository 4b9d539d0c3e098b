"""`parrot summary` says how a run went, from the summary that a run writes."""

from parrot import cli
from parrot.durable import write_json
from parrot.rl.report import summary
from parrot.rl.run_folder import EpisodeRow
from parrot.rl.settings import FineTuneConfig


def row(episode, phase, success):
    return EpisodeRow(episode, phase, 25 * episode, 30.0 * episode, success, float(success), 25, 0.5, 0)


def test_shows_success_before_and_after_and_the_curve(tmp_path, capsys):
    rows = [row(1, "before", 0), row(2, "before", 1), row(3, "train", 1), row(4, "train", 0), row(5, "after", 1)]
    write_json(tmp_path / "summary.json", summary(rows, FineTuneConfig(task="grasp_mug", seed=3), seconds=200.0))
    assert cli.main(["summary", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "grasp_mug, parrot, seed 3" in text
    assert "50% of 2 episodes (the prior alone)" in text
    assert "100% of 1 episodes" in text
    assert "2 episodes in 2.0 minutes" in text
    assert str(tmp_path / "learning_curve.png") in text


def test_a_run_that_has_not_ended_is_one_line(tmp_path, capsys):
    assert cli.main(["summary", str(tmp_path)]) == 6
    assert "start the run again" in capsys.readouterr().err
    assert cli.main(["summary", str(tmp_path / "none")]) == 6
    assert "name the run_dir" in capsys.readouterr().err


def test_a_damaged_summary_is_one_line(tmp_path, capsys):
    (tmp_path / "summary.json").write_text("{")
    assert cli.main(["summary", str(tmp_path)]) == 6
    error = capsys.readouterr().err
    assert "is damaged" in error
    assert error.count("\n") == 1

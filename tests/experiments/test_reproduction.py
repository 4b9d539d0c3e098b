"""An experiment from start to figure: real data, models and runs, a worker that is killed, figures from CSVs alone."""

import csv
import json
import os
import shutil
import signal
import time

import pytest
from tiny import TINY, task

from parrot.errors import ConfigError, RunError
from parrot.experiments.crew import Crew
from parrot.experiments.estimate import estimate
from parrot.experiments.jobs import left
from parrot.experiments.page import page
from parrot.experiments.plan import FIGURES, fits
from parrot.experiments.remote import do_elsewhere
from parrot.experiments.reproduce import draw_figure, reproduce, time_left
from parrot.experiments.table import Results
from parrot.experiments.work import claims_of, work


def waited(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Figures 4 and 5, whose first run's worker was killed in its middle; and what that worker had left behind."""
    folder = tmp_path_factory.mktemp("reproduction")
    mine = task(folder, "fig5", "fig4")
    fits(mine.budget, mine.place)
    place, jobs = mine.place, mine.jobs()
    work(jobs, place, kinds=("collect", "train"))
    run = next(job for job in jobs if job.kind == "run")
    episodes = place.heavy / run.name / "episodes.csv"
    with Crew(mine, 1) as crew:
        waited(lambda: (episodes.exists() and len(episodes.read_text().splitlines()) >= 4) or not crew.running)
        os.kill(crew._processes[0].pid, signal.SIGKILL)
        crew._processes[0].wait()
        left_behind = {
            "episodes": episodes.read_text(), "claim": claims_of(place).path(run.name).exists(),
            "held": list(claims_of(place).holders()), "todo": [job.name for job in left(jobs, place)],
        }  # fmt: skip
        with pytest.raises(RunError, match=r"a worker was killed by SIGKILL.*the same command goes on"):
            crew.check()
    left_behind["failed"] = work(jobs, place)
    return mine, run, left_behind


@pytest.mark.timeout(600)
def test_a_killed_workers_job_is_taken_over_and_goes_on(done):
    mine, run, behind = done
    assert behind["claim"] and behind["held"] == []  # its file is there, and nobody counts it
    assert run.name in behind["todo"]
    assert behind["failed"] == {}
    assert left(mine.jobs(), mine.place) == []
    whole = behind["episodes"][: behind["episodes"].rfind("\n") + 1]
    assert (mine.place.heavy / run.name / "episodes.csv").read_text().startswith(whole)


def test_every_run_leaves_a_curve_with_seed_commit_and_configuration(done):
    mine, run, _ = done
    rows = list(csv.DictReader(mine.place.table(run.name).open()))
    assert [(row["phase"], row["at"]) for row in rows] == [("before", "0"), ("probe", "50"), ("after", "100")]
    assert [row["episodes"] for row in rows] == ["1", "2", "2"]
    assert all(row["seed"] == "0" and row["commit"] for row in rows)
    assert int(rows[-1]["env_steps"]) >= 100
    record = json.loads(mine.place.record(run.name).read_text())
    assert record["config"]["sac"]["batch_size"] == 8
    assert record["config"]["prior"] == "models/flow-both-16"  # a name, not a path of this machine
    assert record["commit"] == rows[0]["commit"]
    assert not (mine.place.heavy / run.name / "replay").exists()


def test_the_same_command_again_does_nothing(done, monkeypatch):
    mine, _, _ = done
    monkeypatch.setattr("parrot.experiments.reproduce.Crew", None)
    reproduce(mine, 2)
    assert time_left(mine, 2) == "all 4 results are there"


def test_figures_and_page_need_the_csvs_alone(done, tmp_path):
    mine, _, _ = done
    results = tmp_path / "reproduction" / "tiny"
    for path in mine.place.results.rglob("*.csv"):
        target = results / path.relative_to(mine.place.results)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    shutil.copy(mine.place.results / "budget.json", results)
    for figure in FIGURES:
        draw_figure(figure, results, tmp_path / f"{figure}.png")
        assert (tmp_path / f"{figure}.png").read_bytes().startswith(b"\x89PNG")
    text = page(results.parent, tmp_path)
    assert "| tiny | 2 of 2 | 2 of 2 | 2 of 3 | 0 of 3 |" in text
    walked = Results(results).walked["grasp_cap", "prior"]
    assert walked.paths.shape == (2, 26, 3)
    assert walked.episodes == 2
    assert len(walked.objects) == 3


def test_the_same_csvs_are_the_same_picture(done, tmp_path):
    mine, _, _ = done
    for name in ("a.png", "b.png"):
        draw_figure("fig5", mine.place.results, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_finished_jobs_set_the_pace_of_the_estimate(done):
    mine, _, _ = done
    place, more = mine.place, task(mine.place.results.parent, "fig6")
    state = estimate(more.jobs(), place, 1, {})
    assert [job.kind for job in state.todo] == ["choose", "train", "run"]  # the run on 16 and SAC's are Figure 5's
    assert (state.done, state.total, state.measured) == (2, 3, True)
    # The same method, the same model: as long as those took. Choosing was never timed.
    alike = ("runs/grasp_cap/parrot-both-16-seed0", "models/flow-both-16")
    took = sum(json.loads(place.record(name).read_text())["seconds"] for name in alike)
    assert state.seconds == pytest.approx(took + state.todo[0].work)
    assert time_left(more, 1).splitlines()[:-1] == [job.name for job in state.todo]


def test_a_folder_holds_one_budget(done):
    mine, _, _ = done
    other = task(mine.place.results.parent, "fig5", env_steps=125)
    with pytest.raises(RunError, match=r"another budget of this name \(they differ in env_steps\)"):
        reproduce(other, 1)


def test_results_without_the_heavy_files_are_not_made_again(done, tmp_path):
    mine, _, _ = done
    shutil.copytree(mine.place.results, tmp_path / "results")
    fresh = task(tmp_path, "fig5", "fig4", "fig6")
    assert [job.name for job in left(fresh.jobs(), fresh.place)] == [
        "data/collected-16", "data/both-8", "models/flow-both-8", "runs/grasp_cap/parrot-both-8-seed0",
    ]  # fmt: skip


def test_a_machine_that_shares_no_folder_needs_the_weights_and_sends_the_same_results(done):
    mine, _, _ = done
    job = next(job for job in mine.jobs() if job.name == "explore/grasp_cap-prior")
    (need,) = job.needs
    files = do_elsewhere(job, "xarm6", {need.name: need.product(mine.place).read_bytes()})
    assert sorted(files) == ["explore/grasp_cap-prior.csv", "explore/grasp_cap-prior.json"]
    assert files["explore/grasp_cap-prior.csv"] == mine.place.table(job.name).read_bytes()


def test_a_job_that_fails_stops_what_needs_it_and_nothing_else(done, tmp_path, caplog):
    mine, _, _ = done
    shutil.copytree(mine.place.results / "data", tmp_path / "results" / "data")
    shutil.copytree(mine.place.heavy / "data", tmp_path / "runs" / "data")
    broken = task(tmp_path, "fig5", preset="fast", prior_preset="none")
    jobs = [job for job in broken.jobs() if job.kind != "run" or job.algo == "parrot"]
    failed = work(jobs, broken.place)
    assert list(failed) == ["models/flow-both-16"]
    assert "preset 'none' is unknown" in failed["models/flow-both-16"]
    assert claims_of(broken.place).holders() == {}


def test_a_bug_in_a_job_leaves_its_traceback_and_the_others_go_on(tmp_path, monkeypatch):
    fresh = task(tmp_path, "fig4")
    jobs = [job for job in fresh.jobs() if job.name == "explore/grasp_cap-uniform"]

    def broken(self, place, tell):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(type(jobs[0]), "run", broken)
    failed = work(jobs, fresh.place)
    assert failed[jobs[0].name].startswith("ZeroDivisionError: a bug (traceback: ")
    assert "in broken" in (tmp_path / "runs" / "errors" / f"{jobs[0].name}.txt").read_text()


def test_a_dataset_may_be_given_and_must_suffice(done, tmp_path):
    mine, _, _ = done
    data = mine.place.heavy / "data" / "collected-16"
    given = task(tmp_path, "fig5", "fig7")
    given = type(given)(given.figures, given.budget, given.place, data)
    names = [job.name for job in given.jobs() if job.kind in ("collect", "given", "choose")]
    assert names == ["data/given-16", "data/place-6", "data/grasp-6", "data/both-6"]
    work(given.jobs(), given.place, kinds=("given", "choose"))
    assert json.loads(given.place.record("data/place-6").read_text())["trajectories"] == 6
    larger = type(given)(given.figures, TINY.scaled(2), given.place, data)
    with pytest.raises(ConfigError, match="16 trajectories, the budget tiny-x2 takes 32; collect more or give --scale"):
        larger.jobs()

"""Budgets and plans: what is run, in which order, how long it takes."""

import json

import pytest
from tiny import TINY

from parrot.errors import ConfigError
from parrot.experiments.budgets import BUDGETS, METHODS, Budget, budget
from parrot.experiments.estimate import makespan
from parrot.experiments.plan import FIGURES, Plan
from parrot.experiments.run_jobs import points
from parrot.fields import build
from parrot.rl.algorithms import ALGORITHMS, algorithm
from parrot.rl.run_folder import EpisodeRow
from parrot.sim.tasks import TASKS


@pytest.mark.parametrize("name", BUDGETS)
def test_every_budget_plans_every_figure_with_needs_before_what_needs_them(name):
    plan = Plan(budget(name))
    for figure in FIGURES:
        jobs = plan.jobs(figure)
        seen: set[str] = set()
        for job in jobs:
            assert {need.name for need in job.needs} <= seen
            assert job.name not in seen
            assert job.work > 0
            seen.add(job.name)


def test_the_papers_size_is_the_papers():
    b = budget("paper")
    assert (b.trajectories, b.preset, b.prior_preset, b.changes) == (50_000, "paper", "paper", ())
    assert set(b.fig5.tasks) == {t for t in TASKS if TASKS[t].split == "test" and TASKS[t].verb in ("grasp", "place")}
    assert (b.fig5.methods, b.fig5.seeds) == (METHODS, 3)
    assert b.fig6.trajectories == (5000, 10_000, 25_000, 50_000)
    runs = [job for job in Plan(b).jobs("fig5") if job.final]
    assert len(runs) == 8 * 7 * 3


def test_a_smoke_run_of_figure_5_is_one_grasp_and_one_place_task_with_all_methods():
    runs = [job for job in Plan(budget("smoke")).jobs("fig5") if job.final]
    assert {run.task for run in runs} == {"grasp_cap", "place_can_in_pan"}
    assert {run.algo for run in runs} == set(METHODS)
    assert len(runs) == 14


def test_what_tells_most_is_run_first():
    runs = [job for job in Plan(budget("small")).jobs("fig5") if job.final]
    first = runs[:8]  # the first seed of four methods on both tasks
    assert {run.algo for run in first} == {"parrot", "sac", "prior_explore", "hirl"}
    assert {run.seed for run in first} == {0}


def test_every_method_starts_from_what_its_algorithm_says():
    known = [algo for algo in METHODS if algo in ALGORITHMS]
    assert known
    runs = {algo: Plan(budget("smoke")).run("grasp_cap", algo, seed=0) for algo in known}
    planned = {algo: run.model.model if run.model else None for algo, run in runs.items()}
    assert planned == {algo: algorithm(algo).kind for algo in known}


def test_figures_share_the_runs_that_they_have_in_common():
    plan = Plan(budget("small"))
    five, six = ({job.name for job in plan.jobs(figure)} for figure in ("fig5", "fig6"))
    assert {f"runs/grasp_cap/parrot-both-10000-seed{seed}" for seed in range(3)} <= five & six


def test_a_scale_changes_sizes_but_not_how_well_they_are_measured():
    b = budget("small", 0.1)
    assert (b.name, b.trajectories, b.env_steps, b.fig6.trajectories[-1]) == ("small-x0.1", 1000, 4000, 1000)
    assert (b.probe_episodes, b.eval_after, b.fig5) == (50, 100, budget("small").fig5)
    assert budget("paper", 0.5).prior_steps.bc == 1_000_000
    with pytest.raises(ConfigError, match="--scale 0: give a number above 0"):
        budget("small", 0.0)
    with pytest.raises(ConfigError, match="--budget large: choose one of smoke, small, paper"):
        budget("large")


@pytest.mark.parametrize("one", [budget("smoke"), budget("paper", 2.5), TINY], ids=lambda b: b.name)
def test_a_budget_survives_json(one):
    assert build(Budget, json.loads(json.dumps(one.to_json())), "test") == one


def test_time_is_that_of_workers_who_wait_for_what_they_need():
    jobs = [job for job in Plan(TINY).jobs("fig5")]
    seconds = {"data/collected-16": 10.0, "models/flow-both-16": 5.0}
    seconds |= {job.name: 20.0 for job in jobs if job.final}
    assert makespan(jobs, seconds, 1) == 55.0
    assert makespan(jobs, seconds, 2) == 35.0  # SAC needs no data and runs beside it
    assert makespan(jobs, seconds, 9) == 35.0
    assert makespan([], {}, 2) == 0.0


def test_a_curve_has_its_points_where_they_were_due():
    rows = [EpisodeRow(0, p, s, 1.0, w, w, 3, 0.0, 0) for p, s, w in [
        ("before", 25, 1), ("train", 60, 0), ("probe", 60, 1), ("probe", 60, 0), ("train", 104, 1), ("after", 104, 1),
        ("after", 104, 1),
    ]]  # fmt: skip
    found = list(points(rows, TINY))
    assert [(p["at"], p["env_steps"], p["episodes"], p["success"]) for p in found] == [
        (0, 0, 1, 1.0), (50, 60, 2, 0.5), (100, 104, 2, 1.0),
    ]  # fmt: skip

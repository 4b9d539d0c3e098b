"""The time that a task takes: what counts as reached, and what a table says of runs that did not get there."""

import csv
import math
import os
import subprocess
import sys
import time

import pytest

from parrot.experiments.time_to import Goal, Others, medians, time_to


@pytest.mark.timeout(180)
def test_a_run_ends_when_it_gets_there_or_runs_out_of_time(tmp_path):
    def table(name, goal):
        time_to(goal, ["grasp_cap"], [0], tmp_path / f"{name}.csv", tmp_path / name)
        (row,) = csv.DictReader((tmp_path / f"{name}.csv").open())
        return row

    easy = table("easy", Goal(success=0.01, minutes=5.0))
    assert (easy["reached"], easy["episodes"]) == ("1", "50")
    assert float(easy["success_last_50"]) > 0
    late = table("late", Goal(success=0.99, minutes=0.01))
    assert (late["reached"], late["episodes"]) == ("0", "0")
    assert 0 <= float(easy["success_after"]) <= 1 and 0 <= float(easy["others"]) <= 1
    assert table("easy", Goal(success=0.01, minutes=5.0)) == easy  # finished: not made again, nor measured


def test_rows_of_other_seeds_stay(tmp_path):
    for seed in (0, 1):
        time_to(Goal(minutes=0.01), ["grasp_cap"], [seed], tmp_path / "t.csv", tmp_path / "runs")
    assert [row["seed"] for row in csv.DictReader((tmp_path / "t.csv").open())] == ["0", "1"]


def test_what_others_compute_is_told_from_what_we_compute():
    with Others() as ours:
        sum(range(20_000_000))
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        with Others() as theirs:
            time.sleep(1.0)
    finally:
        busy.kill()
        busy.wait()
    assert theirs.share > ours.share
    assert theirs.share * (os.cpu_count() or 1) > 0.5


def test_a_median_counts_what_did_not_get_there_as_infinite():
    rows = [
        {"task": task, "reached": int(seconds < 900), "seconds": seconds}
        for task, times in {"a": (100, 900, 200), "b": (100, 900, 900)}.items()
        for seconds in times
    ]
    assert medians(rows) == {"a": 200, "b": math.inf}

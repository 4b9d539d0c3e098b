"""Timing in alternation: what counts, what does not, and what a missing peer looks like."""

import json
import sys

import pytest

from parrot.bench.measure import Latency, Row, alternate, seconds_at_best
from parrot.cli import main
from parrot.commands import bench as command

torch = pytest.importorskip("torch")

ROW = Row("w", "ms a step", 2.0, "peer", 8.0, goal=3.0, floor="f", least=1.0, runs=3, seed=0)


def test_works_take_turns_and_the_first_turn_does_not_count():
    times = {"ours": iter([9.0, 1.0, 3.0, 2.0]), "theirs": iter([0.0, 4.0, 4.0, 5.0])}
    order = []
    works = {name: lambda name=name: order.append(name) or next(times[name]) for name in times}
    assert alternate(works, runs=3) == {"ours": 2000.0, "theirs": 4000.0}
    assert order == ["ours", "theirs"] * 4


def test_a_row_says_how_many_times_faster_and_how_far_from_the_floor():
    found = ROW.to_json()
    assert (found["ratio"], found["distance"]) == (4.0, 2.0)


def test_a_latency_tells_its_percentiles_without_the_first_run():
    calls = iter(range(1000))
    latency = Latency(lambda: next(calls), times=50)
    seconds = [latency() for _ in range(3)]
    assert all(0 < s < 0.1 for s in seconds)
    assert len(latency.milliseconds) == 150
    assert str(latency).startswith("p50 0.00 ms, p99 ")


def test_twice_the_arithmetic_takes_twice_as_long_at_best():
    cpu = torch.device("cpu")
    assert 0 < seconds_at_best(1e9, cpu, torch.float32) < seconds_at_best(1e12, cpu, torch.float32)


def test_what_is_measured_anew_replaces_its_row_and_leaves_the_others(tmp_path, monkeypatch, capsys):
    old = [{**ROW.to_json(), "workload": name, "commit": "old", "torch": "2", "cores": 2} for name in ("v", "w")]
    (tmp_path / "results.json").write_text(json.dumps(old))
    monkeypatch.setattr(command, "_measure", lambda *_: [ROW])
    assert main(["bench", "prior", "--out", str(tmp_path)]) == 0
    rows = json.loads((tmp_path / "results.json").read_text())
    assert [(row["workload"], row["commit"] == "old") for row in rows] == [("v", True), ("w", False)]
    assert (tmp_path / "results.csv").read_text().splitlines()[1].startswith("v,")


def test_an_unknown_benchmark_names_the_known_ones(capsys):
    assert main(["bench", "speed"]) != 0
    assert "choose from simulator, collection, prior, learner, graph, bags" in capsys.readouterr().err


def test_a_missing_peer_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "zuko", None)
    monkeypatch.delitem(sys.modules, "parrot.bench.zuko_peer", raising=False)
    assert main(["bench", "prior", "--out", str(tmp_path)]) != 0
    error = capsys.readouterr().err
    assert error.startswith("parrot: benchmark prior needs zuko")
    assert "pip install 'parrot[bench]'" in error

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from data_fakes import MANIFEST, BrokenRoller, DyingRoller, FakeRoller, Make

from parrot.data import Dataset, EpisodeWriter
from parrot.data.collect import attempt_seed, collect
from parrot.errors import ConfigError, DatasetError, RunError

HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])])}

SLOW = """
import sys
from pathlib import Path
from data_fakes import MANIFEST, FakeRoller, Make
from parrot.data.collect import collect
if __name__ == "__main__":
    report = lambda tally: print(tally.kept, flush=True)
    pause = float(sys.argv[2])
    tally = collect(Make(FakeRoller, (pause,)), Path(sys.argv[1]), MANIFEST, 40, workers=2, report=report)
    print("complete" if tally.complete else "stopped", tally.kept, flush=True)
"""


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """What one uninterrupted worker collects."""
    path = tmp_path_factory.mktemp("reference") / "d"
    tally = collect(Make(), path, MANIFEST, 40, workers=1)
    assert tally.complete
    return Dataset.open(path)


def same(path, reference):
    found = Dataset.open(path)
    assert found.seeds.tolist() == reference.seeds.tolist()
    assert found.manifest.checksum == reference.manifest.checksum
    assert found.manifest.tasks == reference.manifest.tasks
    assert found.verify() == []
    return True


def start(tmp_path, path, pause):
    script = tmp_path / "slow.py"
    script.write_text(SLOW)
    return subprocess.Popen(
        [sys.executable, str(script), str(path), str(pause)], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, start_new_session=True,
    )  # fmt: skip


def wait_for(process, kept):
    while int(process.stdout.readline()) < kept:
        pass


def test_the_reference_holds_the_first_kept_attempts(reference):
    seeds = [attempt_seed(3, attempt) for attempt in range(int(reference.attempts[-1]) + 1)]
    kept = [seed for seed in seeds if seed % 3]
    assert reference.seeds.tolist() == kept
    assert len(kept) == 40
    tasks = reference.manifest.tasks
    assert sum(t["tried"] for t in tasks.values()) == len(seeds)
    for task, odd in (("collect_place", 1), ("collect_grasp", 0)):
        assert tasks[task] == {
            "tried": sum(s % 2 == odd for s in seeds),
            "kept": sum(s % 2 == odd for s in kept),
            "succeeded": sum(s % 2 == odd for s in kept),
        }


def test_three_workers_collect_what_one_does(tmp_path, reference):
    tallies = []
    tally = collect(Make(), tmp_path / "d", MANIFEST, 40, workers=3, report=tallies.append)
    assert tally.complete
    assert (tally.kept, tally.new >= 40, tally.restarts) == (40, True, 0)
    assert tallies[-1].kept == 40
    assert same(tmp_path / "d", reference)


def test_in_steps_and_with_other_numbers_of_workers_it_collects_the_same(tmp_path, reference):
    for wanted, workers in ((7, 3), (8, 1), (40, 2)):
        assert collect(Make(), tmp_path / "d", MANIFEST, wanted, workers=workers).kept == wanted
        assert len(Dataset.open(tmp_path / "d")) == wanted
    assert same(tmp_path / "d", reference)
    # Asked for less, it has nothing to do.
    assert collect(Make(BrokenRoller), tmp_path / "d", MANIFEST, 10).kept == 40


def test_ctrl_c_ends_it_soon_with_all_saved_and_it_goes_on(tmp_path, reference):
    for number in (signal.SIGINT, signal.SIGTERM):
        process = start(tmp_path, tmp_path / "d", 0.05)
        wait_for(process, 3)
        began = time.monotonic()
        os.killpg(process.pid, number)  # as a terminal does: to every process
        rest = process.stdout.read().split()
        assert process.wait() == 0
        assert time.monotonic() - began < 5.0
        assert rest[-2] == "stopped"
        assert len(Dataset.open(tmp_path / "d")) == int(rest[-1]) < 40
    assert collect(Make(), tmp_path / "d", MANIFEST, 40, workers=2).complete
    assert same(tmp_path / "d", reference)


def test_ctrl_c_while_the_workers_start_is_as_quiet(tmp_path):
    process = start(tmp_path, tmp_path / "d", 0.0)
    process.stdout.readline()  # the first report comes a tenth of a second after the workers were started
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 0
    assert out.split()[-2] == "stopped"
    assert err == ""


def test_ctrl_c_does_not_wait_for_an_attempt_that_hangs(tmp_path):
    process = start(tmp_path, tmp_path / "d", 60.0)
    process.stdout.readline()
    time.sleep(1.0)
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    assert process.stdout.read().split()[-2:] == ["stopped", "0"]
    assert process.wait() == 0
    assert time.monotonic() - began < 5.0


def test_the_main_process_killed_it_goes_on_with_nothing_twice(tmp_path, reference):
    for kept in (2, 6):
        process = start(tmp_path, tmp_path / "d", 0.05)
        wait_for(process, kept)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.communicate()
    # At once: its orphans may still be at work.
    assert collect(Make(), tmp_path / "d", MANIFEST, 40, workers=2).complete
    attempts = Dataset.open(tmp_path / "d").attempts
    assert len(set(attempts.tolist())) == len(attempts)
    assert same(tmp_path / "d", reference)


def test_all_killed_it_goes_on(tmp_path, reference):
    process = start(tmp_path, tmp_path / "d", 0.02)
    wait_for(process, 5)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.communicate()
    assert collect(Make(), tmp_path / "d", MANIFEST, 40, workers=2).complete
    assert same(tmp_path / "d", reference)


def test_a_worker_that_dies_is_replaced(tmp_path, reference, caplog):
    deadly = {attempt_seed(3, attempt) for attempt in (0, 5, 6, 20)}
    tally = collect(Make(DyingRoller, (tmp_path, deadly, False)), tmp_path / "d", MANIFEST, 40, workers=2)
    assert tally.restarts == 4
    assert "died (exit code -9) at attempt 5" in caplog.text
    assert same(tmp_path / "d", reference)


def test_an_attempt_that_always_kills_its_worker_ends_the_collection(tmp_path):
    deadly = {attempt_seed(3, 5)}
    with pytest.raises(RunError, match=rf"attempt 5 \(seed {min(deadly)}\) 3 times"):
        collect(Make(DyingRoller, (tmp_path, deadly, True)), tmp_path / "d", MANIFEST, 40, workers=1)
    assert Dataset.open(tmp_path / "d").attempts.max() == 4
    assert multiprocessing.active_children() == []


def test_an_error_of_ours_keeps_its_traceback(tmp_path):
    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*ValueError: bug at"):
        collect(Make(BrokenRoller), tmp_path / "d", MANIFEST, 40)
    assert multiprocessing.active_children() == []


def test_two_do_not_collect_into_one_folder(tmp_path):
    process = start(tmp_path, tmp_path / "d", 0.1)
    process.stdout.readline()
    with pytest.raises(RunError, match="another process collects into it"):
        collect(Make(), tmp_path / "d", MANIFEST, 40)
    os.killpg(process.pid, signal.SIGINT)
    assert process.stdout.read().split()[-2] == "stopped"
    process.wait()


def test_another_collection_is_not_continued(tmp_path):
    collect(Make(), tmp_path / "d", MANIFEST, 2)
    with pytest.raises(DatasetError, match="cannot be continued: seed is 3 in it and 4 now"):
        collect(Make(), tmp_path / "d", replace(MANIFEST, seed=4), 4)


def test_a_full_disk_ends_it_in_one_line_with_all_kept(tmp_path):
    """The disk is full in a worker: its file size limit stands for the disk's."""
    with EpisodeWriter(tmp_path / "d", MANIFEST):
        pass
    with pytest.raises(RunError, match="the disk is full; free some space"):
        collect(Make(FullDisk, (3,)), tmp_path / "d", MANIFEST, 40, workers=1)
    assert len(Dataset.open(tmp_path / "d")) == 3
    assert collect(Make(), tmp_path / "d", MANIFEST, 40).complete


class FullDisk(FakeRoller):
    """After so many kept attempts, the disk has no room for the next one's images."""

    def __init__(self, count):
        super().__init__()
        self.left = count

    def rollout(self, seed):
        episode = super().rollout(seed)
        self.left -= episode is not None
        if self.left < 0:
            import errno

            def refuse(*_):
                raise OSError(errno.ENOSPC, "No space left on device")

            os.pwrite = refuse
        return episode


@pytest.mark.parametrize(
    ("manifest", "trajectories", "workers"),
    [(MANIFEST, 0, 1), (MANIFEST, 1, 0), (replace(MANIFEST, seed=None), 1, 1), (replace(MANIFEST, seed=-1), 1, 1)],
)
def test_numbers_that_make_no_sense_are_refused(tmp_path, manifest, trajectories, workers):
    with pytest.raises(ConfigError, match="must be at least"):
        collect(Make(), tmp_path / "d", manifest, trajectories, workers=workers)
    assert not (tmp_path / "d").exists()


def test_seeds_do_not_depend_on_how_many_there_are():
    seeds = [attempt_seed(0, i) for i in range(1000)] + [attempt_seed(1, i) for i in range(1000)]
    assert len(set(seeds)) == 2000
    assert all(0 <= s < 2**63 for s in seeds)

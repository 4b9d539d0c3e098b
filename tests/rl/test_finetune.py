import csv
import errno
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from rl_toys import ReachEnv

from parrot.data.dataset import Dataset
from parrot.errors import ConfigError, RunError, SpaceError
from parrot.prior.weights import load_prior
from parrot.rl.algorithms import ALGORITHMS, algorithm
from parrot.rl.checkpoint import load_checkpoint
from parrot.rl.display import line
from parrot.rl.finetune import FineTuning
from parrot.rl.learner import allowed
from parrot.rl.learner_process import SHORT_LIVES
from parrot.rl.loop import run_loop
from parrot.rl.settings import sac_config
from parrot.spaces import Outcome

IMAGE = np.zeros((48, 48, 3), np.uint8)


def episode(tuning, *, success=True):
    for step in range(3):
        tuning.act(IMAGE)
        last = step == 2
        tuning.observe(Outcome(float(last and success), last and success, last and success, last, step), np.zeros(7))


def waited(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_run_measures_learns_measures_again_and_reports(small, prior_path, tmp_path):
    changes = ["synchronous=true", "updates_per_step=1", "start_successes=0"]
    config = small(changes, eval_before=3, episodes=5, eval_after=2)
    lines = []
    with FineTuning(config, tmp_path / "run") as tuning:
        run_loop(ReachEnv(), tuning, load_prior(prior_path), lambda s: lines.append(line(s)))
        status = tuning.status()
    assert (status.phase, status.episode, status.episodes) == ("done", 2, 2)
    assert len(lines) == 10
    assert status.updates == max(0, status.env_steps - 10)
    rows = list(csv.DictReader((tmp_path / "run" / "episodes.csv").open()))
    assert [r["phase"] for r in rows] == ["before"] * 3 + ["train"] * 5 + ["after"] * 2
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    for key, phase in (("success_before", "before"), ("success_after", "after")):
        assert summary[key] == np.mean([int(r["success"]) for r in rows if r["phase"] == phase])
    assert summary["provenance"]["commit"]
    replay = Dataset.open(tmp_path / "run" / "replay")
    assert (len(replay), len(Dataset.open(tmp_path / "run" / "evaluation"))) == (8, 2)
    assert replay.gather("latents", slice(None)).std() > 0.5
    assert replay.manifest.object_split == "test"  # what is learnt on novel objects must not slip into a prior
    found = {p.name for p in (tmp_path / "run").iterdir()}
    assert found >= {"config.json", "learning_curve.png", "eval.gif", "tensorboard", "checkpoint"}
    assert "adam.0.exp_avg" in load_checkpoint(tmp_path / "run" / "checkpoint")[0]

    before = (tmp_path / "run" / "episodes.csv").read_bytes()
    with FineTuning(config, tmp_path / "run") as again:
        assert again.done
    assert (tmp_path / "run" / "episodes.csv").read_bytes() == before


def test_probes_interrupt_learning_without_being_learnt_from(small, tmp_path):
    changes = ["synchronous=true", "updates_per_step=1", "start_successes=0"]
    config = small(changes, eval_before=5, episodes=1000, env_steps=100, probe_every=25, probe_episodes=2)
    with FineTuning(config, tmp_path) as tuning:  # episodes of 3 steps
        while tuning.phase != "probe":
            episode(tuning)
        acting = [p.clone() for p in tuning._actor.parameters]
        episode(tuning)
        assert all(bool((a == b).all()) for a, b in zip(acting, tuning._actor.parameters, strict=True))
        assert tuning.status().phase == "probe"
        steps = tuning.status().env_steps
    with FineTuning(config, tmp_path) as tuning:  # in the middle of a probe
        assert (tuning.phase, tuning.status().env_steps) == ("probe", steps)
        while not tuning.done:
            episode(tuning)
    rows = list(csv.DictReader((tmp_path / "episodes.csv").open()))
    probes = [(int(row["env_steps"]), row["phase"]) for row in rows if row["phase"] == "probe"]
    assert [steps for steps, _ in probes] == [27, 27, 51, 51, 75, 75]  # the one at 100 is the evaluation
    learnt = [row for row in rows if row["phase"] in ("before", "train")]
    assert len(Dataset.open(tmp_path / "replay")) == len(learnt) == 34
    assert learnt[-1]["env_steps"] == "102"
    assert [row["phase"] for row in rows[-2:]] == ["after"] * 2


@pytest.mark.parametrize("algo", [name for name in ALGORITHMS if algorithm(name).kind in (None, "flow")])
def test_a_probe_is_of_the_policy_alone_however_a_method_explores(small, tmp_path, algo):
    changes = ["synchronous=true", "candidates=1", "start_steps=100"]
    config = small(changes, algo=algo, eval_before=9, probe_every=25, probe_episodes=1)
    with FineTuning(config, tmp_path) as tuning:
        assert len({tuning.act(IMAGE).tobytes() for _ in range(8)}) == 8  # exploring
        tuning.discard()
        while tuning.phase != "probe":
            episode(tuning)
        assert len({tuning.act(IMAGE).tobytes() for _ in range(8)}) == 1  # its mean


def test_a_probe_shorter_than_an_episode_is_refused(small):
    with pytest.raises(ConfigError, match="probe_every is 10; give the 25 steps"):
        small(probe_every=10, probe_episodes=2)


def test_a_stopped_run_goes_on_with_its_count_replay_and_weights(small, tmp_path):
    config = small(eval_before=2, episodes=20)
    with FineTuning(config, tmp_path) as tuning:
        for _ in range(6):
            episode(tuning)
        tuning.act(IMAGE)  # an unfinished episode is forgotten
        waited(lambda: tuning._block.statistics[0] > 0)
        steps, seconds = tuning.status().env_steps, tuning.folder.rows[-1].seconds
    _, counters = load_checkpoint(tmp_path / "checkpoint")
    assert counters["updates"] > 0
    with open(tmp_path / "episodes.csv", "a") as file:
        file.write("7,train,21,3.")  # what a power cut may leave
    with FineTuning(config, tmp_path) as tuning:
        status = tuning.status()
        assert (status.phase, status.episode, status.env_steps, status.successes) == ("train", 4, steps, 6)
        assert tuning.seconds >= seconds
        waited(lambda: tuning._block.statistics[0] >= counters["updates"])
        episode(tuning)
        assert tuning.folder.rows[-1].updates >= counters["updates"]
        assert any(p.abs().sum() > 0 for p in tuning._actor.policy.out.parameters())  # no longer the initial policy
    assert load_checkpoint(tmp_path / "checkpoint")[1]["updates"] >= counters["updates"]
    rows = list(csv.DictReader((tmp_path / "episodes.csv").open()))
    assert [r["episode"] for r in rows] == [str(i) for i in range(1, 8)]


def kill_learner(tuning):
    os.kill(tuning.learner.pid, signal.SIGKILL)
    waited(lambda: tuning.learner._process.poll() is not None)


def test_a_learner_that_is_killed_goes_on_from_its_checkpoint_and_no_episode_is_lost(small, tmp_path):
    config = small(["start_successes=0", "updates_per_step=1"], episodes=20)
    with FineTuning(config, tmp_path) as tuning:
        for _ in range(6):
            episode(tuning)
        waited(lambda: tuning._block.statistics[0] > 0)
        tuning.save()
        saved = load_checkpoint(tmp_path / "checkpoint")[1]["updates"]
        kill_learner(tuning)
        episode(tuning)
        assert tuning.learner.restarts == 1
        waited(lambda: tuning._block.statistics[0] >= allowed(config.sac, tuning._block.replay))
        assert tuning._block.replay.episodes == len(tuning.folder.rows) == 7
        kill_learner(tuning)
        tuning.save()  # asked of a dead one, it is done by the next
        assert tuning.learner.restarts == 2
    assert load_checkpoint(tmp_path / "checkpoint")[1]["updates"] >= saved > 0


def test_a_learner_that_is_killed_again_and_again_is_one_clear_error_and_the_run_goes_on(small, tmp_path):
    config = small(episodes=20)
    with FineTuning(config, tmp_path) as tuning:
        episode(tuning)
        for _ in range(SHORT_LIVES - 1):
            kill_learner(tuning)
            tuning.tend()
        kill_learner(tuning)
        with pytest.raises(RunError, match=r"the learner was killed by SIGKILL 3 times.*start the same run again"):
            episode(tuning)
    with FineTuning(config, tmp_path) as tuning:
        assert tuning.status().successes == 2  # that episode, too, had been finished
        episode(tuning)


def test_a_run_that_ends_before_its_learner_is_up_has_a_checkpoint_all_the_same(small, tmp_path):
    with FineTuning(small(eval_before=0, episodes=1, eval_after=1), tmp_path) as tuning:
        kill_learner(tuning)
        episode(tuning)  # the learner's next process has to import everything first
        assert tuning.phase == "after"
        assert load_checkpoint(tmp_path / "checkpoint")
        episode(tuning)
        assert tuning.done


@pytest.mark.parametrize("first", ["tuning.save()", "pass  # while the learner is still importing"])
def test_the_learner_ends_when_its_parent_is_killed(small, tmp_path, prior_path, first):
    code = textwrap.dedent(f"""
        import os, signal, time, numpy as np, torch
        from parrot.rl.finetune import FineTuning
        from parrot.rl.settings import FineTuneConfig, sac_config
        tuning = FineTuning(FineTuneConfig(prior={str(prior_path)!r}, sac=sac_config("fast", ["features=16",
            "hidden=[16,16]", "critics=2", "replay_episodes=8"])), {str(tmp_path)!r})
        {first}
        print(tuning.learner.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    pid = int(done.stdout)

    def gone():
        try:
            with open(f"/proc/{pid}/stat") as stat:
                return stat.read().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    waited(gone)
    assert load_checkpoint(tmp_path / "checkpoint")  # what nothing was learnt for is there, too


def test_a_folder_takes_one_run_at_a_time(small, tmp_path):
    refused = pytest.raises(RunError, match="in use by a run that is still going; stop it, or choose another run_dir")
    with FineTuning(small(), tmp_path), refused:
        FineTuning(small(), tmp_path)


def test_a_run_from_before_a_hyper_parameter_existed_goes_on_without_it(small):
    there = small(["noise_scale=0.5", "restarts=[]"]).to_json()
    del there["sac"]["noise_scale"], there["sac"]["restarts"]
    assert small(["noise_scale=1", "restarts=[]"]).differences(there) == []
    assert small(["noise_scale=0.5", "restarts=[]"]).differences(there) == ["sac.noise_scale is 1.0 there and 0.5 here"]


def test_a_folder_of_another_run_is_refused_by_name_of_what_differs(small, tmp_path):
    (tmp_path / "run").mkdir()
    with FineTuning(small(), tmp_path / "run"):
        pass
    with pytest.raises(RunError, match=r"holds another run: task is 'dot' there and 'cup' here; sac.n_step is 3 there"):
        FineTuning(small(["n_step=5"], task="cup"), tmp_path / "run")
    with FineTuning(small(episodes=99, minutes=1.0), tmp_path / "run") as tuning:  # budgets may change
        assert tuning.status().phase == "before"
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("dear")
    with pytest.raises(RunError, match="something else than a run"):
        FineTuning(small(), tmp_path / "letters")


def test_a_full_disk_is_one_clear_error_and_loses_no_finished_episode(small, tmp_path, monkeypatch):
    real, room = os.pwrite, [10**9]

    def pwrite(fd, data, offset):
        if room[0] <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        room[0] -= len(data)
        return real(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    with FineTuning(small(), tmp_path) as tuning:
        episode(tuning)
        room[0] = 3 * 6912
        with pytest.raises(RunError, match="the disk is full; free some space and start again, the run goes on"):
            episode(tuning)
    room[0] = 10**9
    with FineTuning(small(), tmp_path) as tuning:
        assert tuning.status().successes == 1
        assert tuning.status().episode == 1


@pytest.mark.skipif(
    not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode != 0,
    reason="needs a file system of its own",
)
def test_a_checkpoint_that_does_not_fit_is_one_clear_error(tmp_path, prior_path):
    code = textwrap.dedent(f"""
        from parrot.errors import RunError
        from parrot.rl.finetune import FineTuning
        from parrot.rl.settings import FineTuneConfig, sac_config
        tuning = FineTuning(FineTuneConfig(prior={str(prior_path)!r}, sac=sac_config("fast", ["replay_episodes=8"])),
            {str(tmp_path / "small" / "run")!r})
        try:
            tuning.save()
        except RunError as error:
            print(error)
        tuning.close()
    """)
    (tmp_path / "small").mkdir()
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o size=400k none {tmp_path}/small && exec "$0" -c "$1"',
         sys.executable, code],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "the learner stopped: " in done.stdout, done.stderr
    assert "the disk is full; free some space and start again" in done.stdout


def test_what_cannot_be_meant_is_refused(small, tmp_path):
    with pytest.raises(ConfigError, match="algo 'ppo' is unknown"):
        small(algo="ppo")
    with pytest.raises(ConfigError, match="minutes is 0"):
        small(minutes=0)
    for change in ("n_stepp=3", "n_step", "n_step=many", "bf16=3"):
        with pytest.raises(ConfigError, match="change"):
            sac_config("fast", [change])
    with pytest.raises(ConfigError, match="preset 'slow' is unknown"):
        sac_config("slow")
    with FineTuning(small(), tmp_path) as tuning:
        with pytest.raises(SpaceError, match="expected uint8"):
            tuning.act(np.zeros((64, 64, 3), np.uint8))
        with pytest.raises(SpaceError, match="call act first"):
            tuning.observe(Outcome(0, False, False, False, 0), np.zeros(7))
        tuning.act(IMAGE)
        with pytest.raises(SpaceError, match="without the action"):
            tuning.observe(Outcome(0, False, False, False, 0))
        with pytest.raises(SpaceError, match="not finite in dz"):
            tuning.observe(Outcome(0, False, False, False, 0), np.array([0, 0, math.nan, 0, 0, 0, 0]))


def test_raw_actions_need_no_prior_and_are_squashed(small, tmp_path):
    config = small(algo="sac", prior="/nowhere/prior.safetensors", eval_before=1, episodes=2, eval_after=0)
    with FineTuning(config, tmp_path) as tuning:
        while not tuning.done:
            for step in range(3):
                action = tuning.act(IMAGE)
                assert np.abs(action).max() <= 1
                tuning.observe(Outcome(0.0, False, False, step == 2, step))
    assert len(Dataset.open(tmp_path / "replay")) == 3

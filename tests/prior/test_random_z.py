"""Random z in the real environment: rates, pictures and the commands that make them."""

import csv

import numpy as np
import pytest
import torch
from prior_blobs import SMALL, write_dataset

from parrot.commands.prior import COMMANDS
from parrot.errors import ConfigError, WeightsError
from parrot.prior import FlowPrior, save_prior
from parrot.prior.evaluate import Outcome, Rate, rates, run_episodes
from parrot.prior.show import trace
from parrot.sim.env import ManipulationEnv


@pytest.fixture(scope="module")
def prior():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return FlowPrior(SMALL.model).eval()


@pytest.fixture
def prior_file(prior, tmp_path):
    prior.card = {"robot": "xarm6"}
    save_prior(prior, tmp_path / "prior.safetensors")
    return tmp_path / "prior.safetensors"


@pytest.fixture(scope="module")
def envs():
    made = [ManipulationEnv("novel", render_size=64) for _ in range(2)]
    yield made
    for env in made:
        env.close()


def test_an_episode_is_the_same_whatever_runs_beside_it(envs, prior):
    # No z lifts anything here, so compare what the arm did: the last image after the same 25 actions, up to what the
    # rounding of a product of two rows makes of that of one.
    last = []
    for group, episodes in ((envs, [0, 1]), (envs[:1], [1])):
        outcomes = list(run_episodes(group, prior, episodes, seed=5))
        last.append((group[len(episodes) - 1]._image(), outcomes[-1]))
    differ = np.abs(last[0][0].astype(int) - last[1][0]).max(-1) > 30
    assert differ.mean() < 0.02  # what rounding makes depends on the processor; another z moves a tenth of the picture
    assert last[0][1] == last[1][1]


def test_both_policies_meet_the_same_scenes(envs, prior):
    learnt, uniform = (trace(envs[0], policy, 2, seed=3) for policy in (prior, None))
    assert learnt.objects.keys() == uniform.objects.keys()
    assert all(np.array_equal(learnt.objects[name], uniform.objects[name]) for name in learnt.objects)
    assert np.array_equal(learnt.ee[:, 0], uniform.ee[:, 0])
    assert not np.array_equal(learnt.ee[:, -1], uniform.ee[:, -1])


def test_a_rate_counts_and_brackets_itself():
    outcomes = [Outcome("prior", task, i, i < 3, i < 1) for task in ("a", "b") for i in range(10)]
    table = rates(outcomes)
    assert [(r.task, r.episodes, r.lifted, r.success) for r in table] == [
        ("a", 10, 0.3, 0.1), ("b", 10, 0.3, 0.1), ("all", 20, 0.3, 0.1)
    ]  # fmt: skip
    assert table[2].lifted_low < 0.3 < table[2].lifted_high
    assert table[2].lifted_high - table[2].lifted_low < table[0].lifted_high - table[0].lifted_low
    never = Rate.of([Outcome("uniform", "a", i, False, False) for i in range(100)], "a")
    assert never.lifted_low == 0.0
    assert never.lifted_high == pytest.approx(0.037, abs=1e-3)


def test_eval_writes_rates_with_their_seed_and_commit(prior_file, tmp_path):
    COMMANDS["eval"](prior_file, task=("grasp_cap",), episodes=2, workers=1, seed=4, out=tmp_path / "rates.csv")
    rows = list(csv.DictReader((tmp_path / "rates.csv").open()))
    assert [(row["policy"], row["task"], row["episodes"], row["seed"]) for row in rows] == [
        ("prior", "grasp_cap", "2", "4"), ("uniform", "grasp_cap", "2", "4")
    ]  # fmt: skip
    assert all(row["commit"] for row in rows)


def test_show_draws_a_picture(prior_file, tmp_path):
    COMMANDS["show"](prior_file, out=tmp_path / "fig4.png", trajectories=2)
    assert (tmp_path / "fig4.png").read_bytes().startswith(b"\x89PNG")


def test_train_leaves_a_prior_that_loads(tmp_path):
    write_dataset(tmp_path / "data", episodes=4)
    COMMANDS["train"]((tmp_path / "data",), out=tmp_path / "run", steps=2, batch=8, device="cpu", threads=1)
    assert (tmp_path / "run" / "prior.safetensors").exists()
    assert (tmp_path / "run" / "metrics.csv").read_text().count("\n") == 2


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("eval", {"task": ("grasp_ufo",), "episodes": 1}, "grasp_ufo"),
        ("eval", {"episodes": 0}, "--episodes 0"),
        ("show", {"out": "picture.doc"}, "picture.doc"),
        ("show", {"robot": "ur5"}, "ur5"),
    ],
)
def test_bad_arguments_are_one_clear_line(prior_file, tmp_path, command, arguments, message):
    if "out" in arguments:
        arguments = {**arguments, "out": tmp_path / arguments["out"]}
    with pytest.raises((ConfigError, WeightsError), match=message) as error:
        COMMANDS[command](prior_file, **arguments)
    assert "\n" not in str(error.value)


def test_nothing_trains_on_a_budget_of_nothing(tmp_path):
    with pytest.raises(ConfigError, match="--minutes 0"):
        COMMANDS["train"]((tmp_path,), minutes=0)

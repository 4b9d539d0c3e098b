"""A policy in a file: it acts as its run's evaluation did, and a file that is not whole or not for here is refused."""

import json
import os
import shutil
import struct

import numpy as np
import pytest
import torch
from rl_toys import ReachEnv
from safetensors import safe_open
from safetensors.torch import save_file

import parrot
from parrot.errors import ConfigError, RunError, SpaceError, WeightsError
from parrot.prior.control import controller_of
from parrot.prior.flow import FlowPrior
from parrot.prior.weights import load_prior, save_prior
from parrot.resources import share
from parrot.rl.export import export_policy
from parrot.rl.finetune import FineTuning
from parrot.rl.loop import run_loop
from parrot.rl.policy import FORMAT
from parrot.rl.sealed import read_sealed, write_sealed

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 48, 48, 3), np.uint8)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, prior_path):
    """Makes a short run of real learning with these settings, once for each."""
    made = {}

    def make(small, name, changes=(), **fields):
        if name not in made:
            path = tmp_path_factory.mktemp("runs") / name
            config = small(["synchronous=true", "updates_per_step=1", "start_successes=0", *changes], **fields)
            with FineTuning(config, path) as tuning:
                run_loop(ReachEnv(), tuning, load_prior(config.prior) if config.algo == "parrot" else None)
            made[name] = (path, config)
        return made[name]

    return make


@pytest.fixture
def run(runs, small):
    return runs(small, "parrot")[0]


@pytest.fixture
def policy(run, tmp_path):
    path = tmp_path / "policy.safetensors"
    export_policy(run, path)
    return path


def refused(path, *words, **options):
    with pytest.raises(WeightsError) as error:
        parrot.load_policy(path, **options)
    text = str(error.value)
    assert "\n" not in text
    assert path.name in text
    for word in words:
        assert word in text, text


@pytest.mark.parametrize(
    ("name", "changes", "fields"),
    [
        ("best-of-8", [], {}),
        ("mean", ["candidates=1", "encoder=paper", "warm_start=false"], {}),
        ("flow", ["policy=flow"], {}),
        ("held", ["restarts=[12]", "restart_hold=1000"], {}),
        ("raw", ["warm_start=false"], {"algo": "sac"}),
    ],
)
def test_it_acts_exactly_as_the_evaluation_of_its_run(runs, small, tmp_path, name, changes, fields):
    path, config = runs(small, f"unevaluated-{name}", changes, eval_after=0, **fields)
    run = tmp_path / "run"
    shutil.copytree(path, run)
    made = export_policy(run, tmp_path / "policy.safetensors")
    assert "without an evaluation" in made.card.note
    assert made.card.candidates == (0 if name in ("mean", "flow") else 8)
    evaluated = small(["synchronous=true", "updates_per_step=1", "start_successes=0", *changes], eval_after=2, **fields)
    with FineTuning(evaluated, run) as tuning:
        fresh = controller_of(load_prior(config.prior)) if config.algo == "parrot" else None
        controller = tuning.controller or fresh
        assert tuning.phase == "after"
        policy = parrot.load_policy(
            tmp_path / "policy.safetensors", robot="xarm6", seed=(config.seed << 20) + len(tuning.folder.rows)
        )
        actions = []
        for image in IMAGES:
            z = tuning.act(image)
            expected = controller.act(z, controller.look(image)) if controller else z
            actions.append(policy.act(image))
            assert actions[-1].tobytes() == expected.tobytes()
    assert len({action.tobytes() for action in actions}) == len(IMAGES)
    assert np.abs(actions).max() <= 1


def test_the_same_seed_acts_the_same_and_leaves_no_trace_of_what_was_before(policy):
    first = parrot.load_policy(policy, seed=3)
    actions = [first.act(image) for image in IMAGES]
    torch.rand(3)
    other = parrot.load_policy(policy, seed=4)
    assert any((other.act(image) != action).any() for image, action in zip(IMAGES, actions, strict=True))
    other.reset(3)
    for image, action in zip(IMAGES, actions, strict=True):
        assert (other.act(image) == action).all()


def test_the_card_says_what_it_is_and_how_good(run, policy):
    card = parrot.load_policy(policy).card
    summary = json.loads((run / "summary.json").read_text())
    assert (card.success.before, card.success.after) == (summary["success_before"], summary["success_after"])
    assert (card.success.before_episodes, card.success.after_episodes) == (2, 2)
    assert (card.task, card.algo, card.note) == ("dot", "parrot", "")
    body = card.embodiment
    assert (body.robot, body.renderer, body.control_hz) == ("xarm6", "pybullet-tiny", 10.0)
    assert body.action_scale == {"translation": 0.04, "rotation": 0.25}
    assert body.camera["fov"] == 36.0
    assert card.run == json.loads((run / "config.json").read_text())["config"]
    assert card.provenance["updates"] > 0
    assert len(card.provenance["checkpoint_sha256"]) == len(card.provenance["prior_sha256"]) == 64


def test_it_needs_nothing_beside_its_file(run, tmp_path, prior_path, small):
    elsewhere = tmp_path / "copy"
    shutil.copytree(run, elsewhere)
    export_policy(elsewhere, tmp_path / "policy.safetensors")
    shutil.rmtree(elsewhere)
    assert parrot.load_policy(tmp_path / "policy.safetensors", robot="xarm6").act(IMAGES[0]).shape == (7,)


def test_a_run_that_goes_on_is_exported_with_a_note(small, tmp_path):
    config = small(episodes=50)
    with FineTuning(config, tmp_path / "run") as tuning:
        with pytest.raises(RunError, match="no checkpoint yet"):
            export_policy(tmp_path / "run", tmp_path / "policy.safetensors")
        env, prior = ReachEnv(), controller_of(load_prior(config.prior))
        image, _ = env.reset(seed=0)
        for step in range(4):
            action = prior.act(tuning.act(image), prior.look(image))
            image, reward, _, truncated, info = env.step(action)
            tuning.observe(parrot.spaces.Outcome(reward, info["success"], False, truncated, step), action)
        tuning.save()
        policy = export_policy(tmp_path / "run", tmp_path / "policy.safetensors")
    assert "still going on" in policy.card.note
    assert policy.card.success.after is None
    assert policy.act(IMAGES[0]).shape == (7,)


def test_the_prior_that_the_run_learnt_with_is_asked_for_if_it_changed(run, tmp_path, prior_path):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        other = FlowPrior(load_prior(prior_path).config)
    for p in other.parameters():
        p.data += 0.05 * torch.randn_like(p)
    save_prior(other, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=r"other.safetensors: is not the prior that .* learnt with"):
        export_policy(run, tmp_path / "policy.safetensors", tmp_path / "other.safetensors")
    assert not (tmp_path / "policy.safetensors").exists()


def test_another_robot_action_scale_rate_camera_or_renderer_is_refused(policy, tmp_path, monkeypatch):
    text = share("config", "robots", "xarm6.yaml").read_text()
    for old, new, word in (
        ("name: xarm6", "name: wx250s", 'made for robot "xarm6", here it is "wx250s"'),
        ("translation: 0.04", "translation: 0.05", "made for action scale"),
        ("control_hz: 10.0", "control_hz: 5.0", "made for control hz 10.0, here it is 5.0"),
    ):
        assert old in text
        other = tmp_path / "other.yaml"
        other.write_text(text.replace(old, new))
        refused(policy, word, robot=other)
    refused(policy, 'made for renderer "pybullet-tiny", here it is "camera"', robot="xarm6", renderer="camera")
    scene = parrot.rl.embodiment.load_scene()
    moved = parrot.rl.embodiment.load_scene.__globals__["CameraConfig"](**{**vars(scene.camera), "fov": 40.0})
    monkeypatch.setattr("parrot.rl.embodiment.load_scene", lambda: type(scene)(**{**vars(scene), "camera": moved}))
    refused(policy, "made for camera", robot="xarm6")
    with pytest.raises(ConfigError, match="'xarm9' is not known"):
        parrot.load_policy(policy, robot="xarm9")


@pytest.mark.parametrize("keep", [0, 7, 5000, -1])
def test_a_file_that_was_cut_is_refused(policy, keep):
    policy.write_bytes(policy.read_bytes()[:keep])
    refused(policy, "not a whole safetensors file")


@pytest.mark.parametrize("where", ["weights", "card"])
def test_a_single_changed_byte_is_noticed(policy, where):
    data = bytearray(policy.read_bytes())
    if where == "weights":
        data[-5] ^= 1
    else:
        at = data.index(b"0.04")
        data[at : at + 4] = b"0.09"
    policy.write_bytes(data)
    refused(policy, "do not match their SHA-256")


def test_other_files_and_versions_are_refused(policy, prior_path, tmp_path):
    refused(tmp_path / "nothing.safetensors", "there is no such file")
    refused(prior_path, "has format 'parrot-prior-1', this parrot reads 'parrot-policy-1'")
    foreign = tmp_path / "photo.safetensors"
    foreign.write_bytes(os.urandom(5000))
    refused(foreign, "not a whole safetensors file")
    pickled = tmp_path / "agent.pt"
    torch.save({"a": torch.zeros(2)}, pickled)
    refused(pickled, "not a whole safetensors file")
    card, tensors, _ = read_sealed(policy, FORMAT, "parrot export")
    write_sealed(policy, "parrot-policy-2", card, tensors)
    refused(policy, "'parrot-policy-2'")
    write_sealed(policy, FORMAT, {**card, "hat": "red"}, tensors)
    refused(policy, "unknown hat")
    write_sealed(policy, FORMAT, {**card, "action_names": ["dx"]}, tensors)
    refused(policy, "action_names is ('dx',)")


def test_every_weight_has_to_load(policy):
    card, tensors, _ = read_sealed(policy, FORMAT, "parrot export")
    first = next(name for name in sorted(tensors) if name.startswith("actor.policy.out"))
    without = {k: v for k, v in tensors.items() if k != first}
    of_prior = next(name for name in sorted(tensors) if name.startswith("prior."))
    for changed, words in (
        (without, [f"{first} is missing"]),
        ({**tensors, "actor.hat": torch.zeros(2)}, ["actor.hat is not known"]),
        ({**without, first: torch.zeros(5)}, [f"{first} is (5,), not"]),
        ({k: v for k, v in tensors.items() if k != of_prior}, ["do not fit"]),
        ({**tensors, "prior.hat": torch.zeros(2)}, ["do not fit"]),
        ({**tensors, "hat": torch.zeros(2)}, ["hat is not known"]),
    ):
        write_sealed(policy, FORMAT, card, changed)
        refused(policy, *words)


def test_the_file_is_plain_safetensors_with_its_checksum(policy):
    with safe_open(policy, "pt") as file:
        meta = file.metadata()
        assert any(name.startswith("prior.") for name in file.keys())  # noqa: SIM118
    assert meta["sha256"] == parrot.load_policy(policy).sha256
    (length,) = struct.unpack("<Q", policy.read_bytes()[:8])
    assert json.loads(policy.read_bytes()[8 : 8 + length])["__metadata__"]["format"] == FORMAT


def test_what_is_no_run_is_refused(tmp_path, run):
    with pytest.raises(RunError, match="holds no run"):
        export_policy(tmp_path, tmp_path / "p.safetensors")
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    save_file({"a": torch.zeros(2)}, copy / "checkpoint" / "agent.safetensors", {"counters": "{}"})
    with pytest.raises(WeightsError, match="does not fit its settings"):
        export_policy(copy, tmp_path / "p.safetensors")
    value = json.loads((copy / "config.json").read_text())
    value["config"]["hat"] = 1
    (copy / "config.json").write_text(json.dumps(value))
    with pytest.raises(RunError, match="another version of parrot"):
        export_policy(copy, tmp_path / "p.safetensors")
    assert not (tmp_path / "p.safetensors").exists()


def test_an_image_of_another_size_is_refused(policy):
    with pytest.raises(SpaceError, match="expected uint8"):
        parrot.load_policy(policy).act(np.zeros((64, 64, 3), np.uint8))

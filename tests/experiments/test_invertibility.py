"""Which actions have a latent: a flow's all do, of a decoder with a known range just those within it."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch

from parrot.baselines.hirl import ConditionalVAE, HIRLConfig
from parrot.data.episode import Episode
from parrot.data.manifest import Manifest
from parrot.data.writer import EpisodeWriter
from parrot.errors import ConfigError
from parrot.experiments.invertibility import REACHES, Search, by_inversion, by_search, draw, measure
from parrot.prior.base import ActionDecoder
from parrot.prior.flow import FlowPrior
from parrot.prior.presets import PriorConfig
from parrot.prior.weights import save_prior

QUICK = Search(restarts=3, iterations=25)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


class Squeezed(ActionDecoder):
    """a = tanh(z) / 2: the actions within ±0.5, each by a single latent."""

    def decode(self, z, image=None, *, features=None):
        return torch.tanh(z) / 2

    def score(self, batch, features, step, generator):
        raise NotImplementedError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_search_finds_what_there_is_and_nothing_else():
    wanted = torch.rand(60, 7, generator=seeded()) * 0.9 - 0.45
    wanted[30:, 2] = 0.52
    found = by_search(Squeezed(), wanted, torch.empty(60, 0), np.inf, QUICK, seeded())
    assert (found.error[:30] < 1e-3).all()
    assert (found.error[30:] > 0.0199).all()
    torch.testing.assert_close(found.z[:30], torch.atanh(2 * wanted[:30]), atol=0.02, rtol=0)


def test_within_a_reach_only_latents_there_count():
    wanted = torch.zeros(2, 7)
    wanted[0, 0], wanted[1, 0] = 0.5 * np.tanh(0.9), 0.5 * np.tanh(1.2)
    found = by_search(Squeezed(), wanted, torch.empty(2, 0), 1.0, QUICK, seeded())
    assert found.z.abs().max() <= 1.0
    assert found.error[0] < 1e-3 < found.error[1]
    wider = by_search(Squeezed(), wanted, torch.empty(2, 0), 2.0, QUICK, seeded(), found)
    assert (wider.error < 1e-3).all()
    assert torch.equal(wider.z[0], found.z[0])


def test_beyond_a_bound_that_is_wanted_an_action_is_clipped_to_it():
    model = FlowPrior(PriorConfig(channels=2, features=4, hidden=8, standardise=True)).eval()
    model.standardise(torch.zeros(7), torch.full((7,), 3.0))
    features, wanted = torch.randn(20, 4, generator=seeded()), torch.ones(20, 7)
    found = by_search(model, wanted, features, 3.0, QUICK, seeded())
    assert (found.error < 1e-3).all()
    assert (model.decode(found.z, features=features) > 0.999).all()


def test_a_latent_of_a_vae_that_gave_an_action_is_found_again(vae):
    features = torch.randn(40, 16, generator=seeded())
    with torch.no_grad():
        made = vae.decode(torch.randn(40, 8, generator=seeded(1)), features=features)
    inside = made.abs().amax(-1) < 1
    assert inside.sum() > 20
    found = by_search(vae, made[inside], features[inside], REACHES["sample"], Search(8, 40), seeded(2))
    assert (found.error < 1e-3).float().mean() > 0.9


def test_every_action_of_the_box_has_a_latent_under_a_flow():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for coupling in ("affine", "spline"):
            model = FlowPrior(PriorConfig(coupling=coupling, channels=2, features=4, hidden=16)).eval()
            for p in model.parameters():  # an untrained flow is the identity
                p.data += 0.2 * torch.randn_like(p)
            wanted, features = torch.rand(200, 7) * 2 - 1, torch.randn(200, 4)
            found = by_inversion(model, wanted, features)
            assert (found.error < 1e-3).all()
            assert (found.z - wanted).abs().max() > 0.1


def test_a_decoder_that_does_not_heed_its_latent_is_no_crash():
    class Flat(Squeezed):
        def decode(self, z, image=None, *, features=None):
            return 0.0 * z[:, :7] + 0.25

    wanted = torch.full((3, 7), 0.25)
    wanted[0] = 0.5
    found = by_search(Flat(8), wanted, torch.empty(3, 0), np.inf, QUICK, seeded())
    torch.testing.assert_close(found.error, torch.tensor([0.25, 0.0, 0.0]))


@pytest.fixture(scope="module")
def vae():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ConditionalVAE(HIRLConfig(encoder="fast", channels=4, features=16, hidden=16)).eval()
    model.card = {"robot": "toy-arm"}
    return model


@pytest.fixture(scope="module")
def files(tmp_path_factory, vae):
    """A dataset, an untrained flow and an untrained VAE."""
    folder, rng = tmp_path_factory.mktemp("models"), np.random.default_rng(0)
    manifest = Manifest(kind="collect", robot="toy-arm", renderer="noise", camera={"fov": 40})
    with EpisodeWriter(folder / "data", manifest, sync=False) as writer:
        for seed in range(3):
            images = rng.integers(0, 256, (10, 48, 48, 3), np.uint8)
            actions = np.clip(rng.normal(0, 0.5, (10, 7)), -1, 1).astype(np.float32)
            writer.append(Episode(images, actions, np.zeros(10), task="noise", success=True, seed=seed))
    flow = FlowPrior(PriorConfig(encoder="fast", channels=4, features=16, hidden=16))
    flow.card = {"robot": "toy-arm"}
    for name, model in (("flow", flow), ("vae", vae)):
        save_prior(model, folder / f"{name}.safetensors")
    return folder


def test_the_table_has_a_row_for_each_method_and_reach_and_the_figure_needs_nothing_else(files, tmp_path):
    told = []
    models = [files / "flow.safetensors", files / "vae.safetensors"]
    out = tmp_path / "invertibility.csv"
    measure(files / "data", models, out, actions=12, seed=3, search=replace(QUICK, restarts=2), report=told.append)
    assert told == [str(path) for path in models]
    rows = list(csv.DictReader(out.open()))
    assert [(r["method"], r["actions"], r["reach"]) for r in rows] == [
        (m, a, r) for m in ("parrot", "hirl") for a in ("uniform", "recorded") for r in REACHES
    ]
    assert all(r["seed"] == "3" and r["commit"] and r["of"] == "12" for r in rows)
    assert {r["how"] for r in rows if r["method"] == "hirl"} == {"search"}
    assert all(r["share"] == "1.0" for r in rows if r["method"] == "parrot")  # the identity: all within the box
    for method in ("parrot", "hirl"):
        shares = [float(r["share"]) for r in rows if r["method"] == method]
        assert shares[:3] == sorted(shares[:3]) and shares[3:] == sorted(shares[3:])
    again = tmp_path / "again.csv"
    measure(files / "data", models, again, actions=12, seed=3, search=replace(QUICK, restarts=2))
    assert again.read_text() == out.read_text()

    draw(out, tmp_path / "first.png")
    with out.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows({**row, "share": "0.5", "low": "0.4", "high": "0.6"} for row in rows)
    draw(out, tmp_path / "second.png")
    first, second = ((tmp_path / f"{name}.png").read_bytes() for name in ("first", "second"))
    assert first.startswith(b"\x89PNG")
    assert first != second


def test_what_cannot_be_measured_or_drawn_is_one_clear_error(files, vae, tmp_path):
    with pytest.raises(ConfigError, match="has 30 steps; give 1 to 30"):
        measure(files / "data", [files / "vae.safetensors"], tmp_path / "t.csv", actions=31)
    from parrot.data.dataset import Dataset

    seen = ConditionalVAE(vae.config)
    seen.card = {"robot": "toy-arm", "dataset_checksum": Dataset.open(files / "data").checksum()}
    save_prior(seen, tmp_path / "seen.safetensors")
    with pytest.raises(ConfigError, match="was trained on"):
        measure(files / "data", [tmp_path / "seen.safetensors"], tmp_path / "t.csv", actions=3)
    with pytest.raises(ConfigError, match="give a dataset to measure one"):
        draw(tmp_path / "nothing.csv", tmp_path / "t.png")

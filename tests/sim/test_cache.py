"""What parrot makes once and keeps."""

import numpy as np

from parrot.sim.env import ManipulationEnv
from parrot.sim.objects.catalogue import load_catalogue


def first_image():
    env = ManipulationEnv("grasp_cap", catalogue=load_catalogue())
    try:
        return env.reset(seed=3)[0]
    finally:
        env.close()


def test_a_cache_of_light_meshes_may_be_moved(tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    monkeypatch.setenv("PARROT_CACHE", str(here))
    before = first_image()
    made = {path: path.stat().st_mtime_ns for path in (here / "robots").rglob("*.urdf")}
    here.rename(there)
    monkeypatch.setenv("PARROT_CACHE", str(there))
    np.testing.assert_array_equal(first_image(), before)
    assert made == {here / path.relative_to(there): path.stat().st_mtime_ns for path in there.rglob("*.urdf")}

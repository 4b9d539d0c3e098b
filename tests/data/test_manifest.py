import json
from dataclasses import replace

import pytest
from data_fakes import MANIFEST, make_episode

from parrot.data import ArraySpec, Dataset, EpisodeWriter, Manifest, create_dataset
from parrot.errors import DatasetError

FULL = replace(
    MANIFEST, extra=(ArraySpec("latents", "float32", (7,)),), provenance={"commit": "abc"}, complete=True, episodes=2,
    tasks={"collect": {"tried": 3, "kept": 2, "succeeded": 2}}, checksum="1f",
)  # fmt: skip


def test_a_manifest_survives_its_file(tmp_path):
    FULL.save(tmp_path)
    assert Manifest.load(tmp_path) == FULL


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("robot", "ur5"), ("renderer", "egl"), ("camera", {"fov": 41.0}), ("action_scale", [0.05] * 3),
        ("control_hz", 5.0), ("object_split", "test"),
    ],
)  # fmt: skip
def test_datasets_that_read_differently_are_not_mixed(tmp_path, field, value):
    for name, manifest in (("a", MANIFEST), ("b", replace(MANIFEST, **{field: value}))):
        with EpisodeWriter(tmp_path / name, manifest) as writer:
            writer.append(make_episode(0))
    with pytest.raises(DatasetError, match=f"cannot be mixed: {field} is .* in one and .* in the other"):
        Dataset.open([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(DatasetError, match=f"cannot be continued: {field}"):
        EpisodeWriter(tmp_path / "a", replace(MANIFEST, **{field: value}))
    assert len(Dataset.open(tmp_path / "a")) == 1


@pytest.mark.parametrize(("field", "value"), [("seed", 4), ("task", "collect_grasp"), ("kind", "bags")])
def test_datasets_of_another_origin_mix_but_do_not_go_on_from_one_another(tmp_path, field, value):
    other = replace(MANIFEST, **{field: value})
    for name, manifest in (("a", MANIFEST), ("b", other)):
        with EpisodeWriter(tmp_path / name, manifest) as writer:
            writer.append(make_episode(int(name == "b")))
            writer.append(make_episode(2))
    both = Dataset.open([tmp_path / "a", tmp_path / "b"])
    assert [e.seed for e in both] == [0, 2, 1, 2]
    assert (both.manifest.episodes, both.manifest.steps) == (4, 20)
    with pytest.raises(DatasetError, match=f"cannot be continued: {field}"):
        EpisodeWriter(tmp_path / "a", other)


def test_datasets_share_the_extra_arrays_that_all_have(tmp_path):
    import numpy as np

    with EpisodeWriter(tmp_path / "a", replace(MANIFEST, extra=(ArraySpec("latents", "float32", (7,)),))) as writer:
        writer.append(make_episode(0, extra={"latents": np.zeros((5, 7), np.float32)}))
    with EpisodeWriter(tmp_path / "b", MANIFEST) as writer:
        writer.append(make_episode(1))
    assert [dict(e.extra) for e in Dataset.open([tmp_path / "a", tmp_path / "b"])] == [{}, {}]


def damage(**change):
    def apply(text):
        return json.dumps({**json.loads(text), **change})

    return apply


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda text: text[: len(text) // 2], "cannot be read"),
        (lambda text: "[]", "not the manifest of a parrot dataset"),
        (damage(format="lerobot"), "not the manifest of a parrot dataset"),
        (damage(version=99), "version 99, this parrot reads 1; upgrade"),
        (damage(colour="red"), "adds the field colour"),
        (damage(robot=7), "robot is 7"),
        (damage(episodes="many"), 'episodes is "many"'),
        (damage(extra=[{"name": "z"}]), "damaged"),
        (damage(image_shape=[64, 64, 3]), r"image_shape is \(64, 64, 3\)"),
    ],
)
def test_a_wrong_manifest_is_refused_in_one_line(tmp_path, spoil, words):
    create_dataset(tmp_path / "d", MANIFEST)
    file = tmp_path / "d" / "manifest.json"
    file.write_text(spoil(file.read_text()))
    for use in (Dataset.open, lambda path: EpisodeWriter(path, MANIFEST)):
        with pytest.raises(DatasetError, match=words) as caught:
            use(tmp_path / "d")
        assert "\n" not in str(caught.value)
        assert str(file) in str(caught.value)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(DatasetError, match="holds something else"):
        EpisodeWriter(tmp_path, MANIFEST)
    with pytest.raises(DatasetError, match=r"has no manifest\.json"):
        Dataset.open(tmp_path)
    with pytest.raises(DatasetError, match="does not exist"):
        Dataset.open(tmp_path / "nothing")
    with pytest.raises(DatasetError, match="holds something else"):
        EpisodeWriter(tmp_path / "thesis.tex", MANIFEST)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("name", "dtype", "shape", "words"),
    [("z", "complex64", (), "complex64"), ("../z", "float32", (), "plain name"), ("z", "float32", (0,), "positive")],
)
def test_an_array_that_cannot_be_kept_is_refused(name, dtype, shape, words):
    with pytest.raises(DatasetError, match=words):
        ArraySpec(name, dtype, shape)


def test_an_extra_array_does_not_hide_another():
    with pytest.raises(DatasetError, match="occurs twice"):
        replace(MANIFEST, extra=(ArraySpec("actions", "float32", (7,)),))

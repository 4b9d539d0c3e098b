"""LeRobot's format: what is exported comes back to the byte, and what others have recorded is read as they meant it."""

import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from check_with_lerobot import compare
from data_fakes import MANIFEST, assert_same, make_episode
from PIL import Image

from parrot.cli import main
from parrot.data import ArraySpec, Dataset, EpisodeWriter, Manifest, seal
from parrot.data.lerobot import export, from_lerobot, to_lerobot
from parrot.errors import DatasetError
from parrot.observe import observe

EXTRA = (
    ArraySpec("stamps", "int64", ()), ArraySpec("latents", "float32", (8,)), ArraySpec("pose", "float64", (2, 3)),
    ArraySpec("flag", "uint8", (1,)), ArraySpec("half", "float16", (2,)),
)  # fmt: skip


@pytest.fixture
def dataset(tmp_path):
    rng = np.random.default_rng(0)
    with EpisodeWriter(tmp_path / "ours", replace(MANIFEST, extra=EXTRA)) as writer:
        for number in range(12):
            steps = int(rng.integers(1, 9))
            extra = {
                spec.name: rng.integers(0, 2**60 if spec.dtype == "int64" else 100, (steps, *spec.shape)).astype(
                    spec.numpy
                )
                for spec in EXTRA
            }
            writer.append(make_episode(2**63 + number, steps, f"tâche {number % 3}", bool(number % 2), extra))
            if number % 5 == 0:
                writer.reject("tâche 1", 77)
    seal(tmp_path / "ours")
    return tmp_path / "ours"


@pytest.mark.parametrize("megabytes", [100, 0.1])
def test_what_is_exported_comes_back_to_the_byte(dataset, tmp_path, monkeypatch, capsys, megabytes):
    monkeypatch.setattr(export, "FILE_MB", megabytes)
    assert main(["data", "to-lerobot", str(dataset), "--out", str(tmp_path / "theirs")]) == 0
    assert (len(list((tmp_path / "theirs" / "data").glob("*/*.parquet"))) == 1) is (megabytes == 100)
    assert main(["data", "from-lerobot", str(tmp_path / "theirs"), "--out", str(tmp_path / "back")]) == 0
    assert main(["data", "check", str(tmp_path / "back")]) == 0
    assert "12 episodes" in capsys.readouterr().out
    for found, wanted in zip(Dataset.open(tmp_path / "back"), Dataset.open(dataset), strict=True):
        assert_same(found, wanted)
    ours, back = Manifest.load(dataset), Manifest.load(tmp_path / "back")
    assert back.checksum == ours.checksum
    assert back.provenance["source_1"].startswith(ours.checksum)
    ours.compatible_with(back)
    assert (back.kind, back.extra, back.seed) == (ours.kind, EXTRA, None)


def test_lerobots_own_reader_finds_the_same(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    pytest.importorskip("lerobot.datasets.lerobot_dataset")
    monkeypatch.setattr(export, "FILE_MB", 0.1)
    to_lerobot(dataset, tmp_path / "theirs")
    assert compare(dataset, tmp_path / "theirs") == Dataset.open(dataset).steps


@pytest.mark.parametrize("kind", ["image", "video"])
def test_what_lerobots_own_writer_wrote_is_read(tmp_path, monkeypatch, kind):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    lerobot = pytest.importorskip("lerobot.datasets.lerobot_dataset")
    rng = np.random.default_rng(2)
    colours = rng.integers(20, 230, (9, 3))
    actions = rng.uniform(-1, 1, (9, 2)).astype(np.float32)
    theirs = lerobot.LeRobotDataset.create(
        "them/data", fps=10, root=tmp_path / "lr", robot_type="so100", use_videos=kind == "video", vcodec="h264",
        features={
            "observation.images.top": {"dtype": kind, "shape": (96, 128, 3), "names": ["height", "width", "channels"]},
            "action": {"dtype": "float32", "shape": (2,), "names": ["x", "y"]},
            "next.success": {"dtype": "bool", "shape": (1,), "names": None},
        },
    )  # fmt: skip
    pictures = np.broadcast_to(colours[:, None, None], (9, 96, 128, 3)).astype(np.uint8)
    for k in range(9):
        success = np.array([k == 3])
        frame = {"observation.images.top": pictures[k], "action": actions[k], "next.success": success, "task": "reach"}
        theirs.add_frame(frame)
        if k in (3, 8):
            theirs.save_episode()
    theirs.finalize()
    rules = {"action": {"names": {"dx": "y", "dy": "x"}}}
    (tmp_path / "map.yaml").write_text(yaml.safe_dump(rules))
    from_lerobot(tmp_path / "lr", tmp_path / "d", tmp_path / "map.yaml")
    found = Dataset.open(tmp_path / "d")
    assert np.diff(found.offsets).tolist() == [4, 5]
    assert found.success.tolist() == [True, False]
    np.testing.assert_array_equal(found.actions[:, :2], actions[:, ::-1])
    assert not found.actions[:, 2:].any()
    error = np.abs(found.images(slice(None)).astype(int) - colours[:, None, None]).max()
    assert error == 0 if kind == "image" else error < 12


def test_the_folder_says_what_lerobot_needs_to_know(dataset, tmp_path):
    to_lerobot(dataset, tmp_path / "theirs", fps=12.5, robot_type="xarm")
    info = json.loads((tmp_path / "theirs/meta/info.json").read_text())
    steps = Dataset.open(dataset).steps
    assert (info["codebase_version"], info["fps"], info["robot_type"]) == ("v3.0", 12.5, "xarm")
    assert (info["total_episodes"], info["total_frames"], info["splits"]) == (12, steps, {"train": "0:12"})
    table = pq.read_table(tmp_path / "theirs/data/chunk-000/file-000.parquet")
    assert table.column_names == list(info["features"])
    assert table["index"].to_pylist() == list(range(steps))
    done = np.flatnonzero(table["next.done"].to_numpy())
    np.testing.assert_array_equal(done + 1, Dataset.open(dataset).offsets[1:])
    assert table["next.success"].to_numpy()[done].tolist() == Dataset.open(dataset).success.tolist()
    assert table["next.success"].to_numpy().sum() == 6
    picture = Image.open(io.BytesIO(table["observation.images.camera"][0]["bytes"].as_py()))
    assert picture.format == "PNG"
    episodes = pq.read_table(tmp_path / "theirs/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [row["dataset_to_index"] for row in episodes] == Dataset.open(dataset).offsets[1:].tolist()
    stats = json.loads((tmp_path / "theirs/meta/stats.json").read_text())
    actions = Dataset.open(dataset).actions
    np.testing.assert_allclose(stats["action"]["mean"], actions.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(stats["action"]["std"], actions.std(0), rtol=1e-4)
    pixels = Dataset.open(dataset).images(slice(None)) / 255
    for name, value in {
        "mean": pixels.mean((0, 1, 2)),
        "std": pixels.std((0, 1, 2)),
        "max": pixels.max((0, 1, 2)),
    }.items():
        np.testing.assert_allclose(np.ravel(stats["observation.images.camera"][name]), value, rtol=1e-6)


# A folder as others make them: 160×120 pictures, four numbers in metres, files that end in the middle of nothing.

LENGTHS = (5, 3, 6)
TEXT = "Pick up the red cube and put it into the blue box."
MAP = {
    "action": {
        "names": {"dx": "x", "dy": "y", "dz": 2, "gripper": "grip"},
        "scale": {"dx": 25, "dy": 25.0, "dz": 25, "gripper": 2}, "offset": {"gripper": -1},
    },
    "tasks": {TEXT: "red_cube"}, "robot": "so100", "action_scale": {"translation": 0.04, "rotation": 0.25},
}  # fmt: skip


def theirs(folder: Path, *, video=False, cameras=("observation.images.top",), edit=None):
    """Writes the folder; returns pictures (14, 120, 160, 3) and actions (14, 4)."""
    rng = np.random.default_rng(1)
    count = sum(LENGTHS)
    # Smooth pictures, each of a colour of its own, that a video's codec keeps.
    ramp = np.linspace(0, 60, 160)[None, None, :, None]
    images = (ramp + rng.integers(0, 190, (count, 1, 1, 3)) + np.zeros((1, 120, 1, 1))).astype(np.uint8)
    actions = rng.uniform(-0.05, 0.05, (count, 4)).astype(np.float32)
    actions[:, 3] = rng.uniform(0, 1, count)
    kind = "video" if video else "image"
    info = {
        "codebase_version": "v3.0", "robot_type": "so100_follower", "total_episodes": len(LENGTHS), "fps": 10,
        "total_frames": count, "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "features": {
            **{name: {"dtype": kind, "shape": [120, 160, 3], "names": ["height", "width", "c"]} for name in cameras},
            "action": {"dtype": "float32", "shape": [4], "names": {"motors": ["x", "y", "z", "grip"]}},
            "timestamp": {"dtype": "float32", "shape": [1], "names": None},
        },
    }  # fmt: skip
    if edit:
        edit(info)
    for part in ("data/chunk-000", "meta/episodes/chunk-000"):
        (folder / part).mkdir(parents=True)
    (folder / "meta/info.json").write_text(json.dumps(info))
    number = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
    frame = np.concatenate([np.arange(length) for length in LENGTHS])
    columns = {
        "action": pa.FixedSizeListArray.from_arrays(pa.array(actions.ravel()), 4),
        "timestamp": pa.array((frame / 10).astype(np.float32)), "frame_index": frame, "episode_index": number,
        "index": np.arange(count), "task_index": np.zeros(count, np.int64),
    }  # fmt: skip
    if not video:
        values = [{"bytes": cv2.imencode(".png", image[..., ::-1])[1].tobytes(), "path": None} for image in images]
        columns |= dict.fromkeys(cameras, pa.array(values))
    table = pa.table(columns)
    for k, (first, stop) in enumerate([(0, 8), (8, 14)]):
        pq.write_table(
            table.slice(first, stop - first), folder / f"data/chunk-000/file-{k:03d}.parquet", row_group_size=3
        )
    starts = np.cumsum([0, *LENGTHS])
    rows = {"episode_index": np.arange(3), "length": LENGTHS, "tasks": [[TEXT]] * 3}
    if video:
        name = f"videos/{cameras[0]}"
        rows |= {f"{name}/chunk_index": [0] * 3, f"{name}/file_index": [0, 0, 1]}
        rows[f"{name}/from_timestamp"] = [0.0, 0.5, 0.0]
        encode(folder / name / "chunk-000/file-000.mp4", images[: starts[2]])
        encode(folder / name / "chunk-000/file-001.mp4", images[starts[2] :])
    pq.write_table(pa.table(rows), folder / "meta/episodes/chunk-000/file-000.parquet")
    pq.write_table(pa.table({"task": [TEXT], "task_index": [0]}), folder / "meta/tasks.parquet")
    return images, actions


def encode(path, images):
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=10)
        stream.height, stream.width, stream.pix_fmt = *images.shape[1:3], "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def write_map(tmp_path, **changes):
    (tmp_path / "map.yaml").write_text(yaml.safe_dump({**MAP, **changes}))
    return tmp_path / "map.yaml"


def test_a_foreign_dataset_is_read_as_its_map_says(tmp_path):
    images, actions = theirs(tmp_path / "lr")
    report = from_lerobot(tmp_path / "lr", tmp_path / "d", write_map(tmp_path, crop=[0.25, 0.0, 0.5, 1.0]))
    found = Dataset.open(tmp_path / "d")
    np.testing.assert_array_equal(np.diff(found.offsets), LENGTHS)
    np.testing.assert_array_equal(found.images(slice(None)), [observe(image[:, 40:120]) for image in images])
    wanted = np.zeros((14, 7), np.float32)
    wanted[:, :3] = np.clip(actions[:, :3] * 25, -1, 1)
    wanted[:, 6] = actions[:, 3] * 2 - 1
    np.testing.assert_allclose(found.actions, wanted, atol=1e-6)
    assert report.clipped["dx"] == pytest.approx((np.abs(actions[:, 0]) > 0.04).mean())
    assert report.clipped["droll"] == report.clipped["gripper"] == 0
    assert set(found.tasks) == {"red_cube"}
    assert found.success.all() and list(found.seeds) == [0, 1, 2]
    np.testing.assert_array_equal(np.flatnonzero(found.rewards), np.cumsum(LENGTHS) - 1)
    manifest = found.manifest
    assert (manifest.kind, manifest.robot, manifest.renderer, manifest.control_hz) == (
        "lerobot",
        "so100",
        "camera",
        10.0,
    )
    assert manifest.action_scale == MAP["action_scale"]
    assert found.verify() == []


def test_several_frames_make_a_step_whose_displacements_add_up(tmp_path):
    images, actions = theirs(tmp_path / "lr")
    from_lerobot(tmp_path / "lr", tmp_path / "d", write_map(tmp_path, every=2))
    found = Dataset.open(tmp_path / "d")
    assert np.diff(found.offsets).tolist() == [3, 2, 3]
    assert found.manifest.control_hz == 5
    steps = [(0, 2), (2, 4), (4, 5), (5, 7), (7, 8), (8, 10), (10, 12), (12, 14)]
    wanted = np.stack([actions[a:b, :3].sum(0) * 25 for a, b in steps])
    np.testing.assert_allclose(found.actions[:, :3], np.clip(wanted, -1, 1), atol=1e-5)
    np.testing.assert_allclose(found.actions[:, 6], [actions[b - 1, 3] * 2 - 1 for _, b in steps], atol=1e-6)
    np.testing.assert_array_equal(found.images(slice(None)), [observe(images[a]) for a, _ in steps])
    np.testing.assert_array_equal(found.rewards, [0, 0, 1, 0, 1, 0, 0, 1])


def test_videos_are_read_frame_by_frame(tmp_path, monkeypatch, capsys):
    images, _ = theirs(tmp_path / "lr", video=True)
    from_lerobot(tmp_path / "lr", tmp_path / "d", write_map(tmp_path))
    found = Dataset.open(tmp_path / "d").images(slice(None)).astype(int)
    wanted = np.stack([observe(image) for image in images]).astype(int)
    assert np.abs(found - wanted).mean() < 4
    # Each is its own picture, and no neighbour's.
    distance = np.abs(found[:, None] - wanted[None]).mean((2, 3, 4))
    assert (distance.argmin(1) == np.arange(14)).all()
    monkeypatch.setitem(sys.modules, "av", None)
    assert (
        main(
            [
                "data",
                "from-lerobot",
                *map(str, (tmp_path / "lr", "--out", tmp_path / "e", "--map", tmp_path / "map.yaml")),
            ]
        )
        == 2
    )
    error = capsys.readouterr().err
    assert "needs av, which is not installed; pip install 'parrot[video]'" in error and error.count("\n") == 1
    assert not (tmp_path / "e").exists()


def test_a_video_that_ends_early_is_refused(tmp_path):
    images, _ = theirs(tmp_path / "lr", video=True)
    encode(tmp_path / "lr/videos/observation.images.top/chunk-000/file-001.mp4", images[:4])
    with pytest.raises(DatasetError, match=r"file-001.mp4 has no frame at 0\.4"):
        from_lerobot(tmp_path / "lr", tmp_path / "d", write_map(tmp_path))
    (tmp_path / "lr/videos/observation.images.top/chunk-000/file-001.mp4").write_bytes(b"no video")
    with pytest.raises(DatasetError, match=r"file-001.mp4 cannot be decoded"):
        from_lerobot(tmp_path / "lr", tmp_path / "d", write_map(tmp_path))
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image": "observation.image"}, "image: observation.image is none of the features with images: observation"),
        ({"action": {"names": {"dx": "left"}}}, "names: dx: action has no left; it has 4 numbers: x, y, z, grip"),
        ({"action": {"names": {"dx": 4}}}, "has no 4"),
        ({"action": {"names": {"x": "x"}}}, "unknown x; the names are dx, dy"),
        ({"action": {"key": "actions"}}, "there is no feature actions"),
        ({"action": {"scale": {"dx": "much"}}}, "expected a number, found 'much'"),
        ({"tasks": {}}, "has more than 43 bytes; name it"),
        ({"colour": "red"}, "unknown colour"),
        ({"reward": "score"}, "reward: there is no feature score"),
        ({"success": "next.success"}, "success: there is no feature next.success"),
        ({"every": 0}, "every: 0 is not above 0"),
    ],
)
def test_a_map_that_does_not_fit_is_one_line(tmp_path, capsys, changes, words):
    theirs(tmp_path / "lr")
    arguments = ["--out", str(tmp_path / "d"), "--map", str(write_map(tmp_path, **changes))]
    assert main(["data", "from-lerobot", str(tmp_path / "lr"), *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error and "map.yaml" in error and error.count("\n") == 1
    assert not (tmp_path / "d").exists()


def test_without_a_map_foreign_names_are_one_line_that_lists_them(tmp_path, capsys):
    theirs(tmp_path / "lr", cameras=("observation.images.top", "observation.images.wrist"))
    assert main(["data", "from-lerobot", str(tmp_path / "lr"), "--out", str(tmp_path / "d")]) == 2
    error = capsys.readouterr().err
    assert "without --map: image: name one of the features with images: observation.images.top, observation" in error


def spoil_info(**changes):
    return lambda folder: (folder / "meta/info.json").write_text(
        json.dumps({**json.loads((folder / "meta/info.json").read_text()), **changes})
    )


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "meta/info.json").unlink(), "has no meta/info.json"),
        (lambda folder: (folder / "meta/info.json").write_text("{"), "cannot be read"),
        (spoil_info(codebase_version="v2.1"), "format v2.1; parrot reads v3.0"),
        (lambda folder: (folder / "data/chunk-000/file-001.parquet").unlink(), "frames of episode 2 of 3 are missing"),
        (
            lambda folder: (folder / "data/chunk-000/file-000.parquet").unlink(),
            "are not those of the table of episodes",
        ),
        (lambda folder: (folder / "data/chunk-000/file-000.parquet").write_bytes(b"PAR1"), "cannot be read"),
        (lambda folder: (folder / "meta/tasks.parquet").unlink(), "tasks.parquet cannot be read"),
    ],
)
def test_a_damaged_folder_is_one_line_and_no_dataset(tmp_path, capsys, spoil, words):
    theirs(tmp_path / "lr")
    spoil(tmp_path / "lr")
    arguments = ["--out", str(tmp_path / "d"), "--map", str(write_map(tmp_path))]
    assert main(["data", "from-lerobot", str(tmp_path / "lr"), *arguments]) == 4
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not (tmp_path / "d").exists()


def test_without_pyarrow_the_extra_is_named(dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert main(["data", "to-lerobot", str(dataset), "--out", str(tmp_path / "x")]) == 2
    assert "needs pyarrow, which is not installed; pip install 'parrot[lerobot]'" in capsys.readouterr().err


def test_an_export_without_a_rate_or_episodes_is_refused(tmp_path, capsys):
    with EpisodeWriter(tmp_path / "d", replace(MANIFEST, control_hz=None)) as writer:
        writer.append(make_episode(0))
    assert main(["data", "to-lerobot", str(tmp_path / "d"), "--out", str(tmp_path / "x")]) == 2
    assert "has no control rate; give the frames per second, --fps" in capsys.readouterr().err
    assert main(["data", "to-lerobot", str(tmp_path / "d"), "--out", str(tmp_path / "x"), "--fps", "5"]) == 0
    EpisodeWriter(tmp_path / "empty", MANIFEST).close()
    assert main(["data", "to-lerobot", str(tmp_path / "empty"), "--out", str(tmp_path / "y")]) == 4

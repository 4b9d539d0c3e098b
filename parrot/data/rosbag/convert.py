"""`parrot data from-bags`: bags become a dataset, episode by episode, so that a kill at any moment costs nothing.

Each bag is read twice: the first time for when things were, which decides what an episode is; the second time for what
they are. The same command again goes on where it was stopped, and ends with the same dataset.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from parrot.data.episode import Episode
from parrot.data.index import SHARDS, read_index
from parrot.data.manifest import ArraySpec, Manifest
from parrot.data.rosbag.actions import make_source
from parrot.data.rosbag.candidate import Candidate
from parrot.data.rosbag.clock import clock_cuts
from parrot.data.rosbag.cutting import cut
from parrot.data.rosbag.filling import Filled, fill
from parrot.data.rosbag.mapping import Mapping as BagMapping
from parrot.data.rosbag.notes import odd
from parrot.data.rosbag.pairing import candidates
from parrot.data.rosbag.reader import Bag
from parrot.data.rosbag.report import BagReport, topic_report
from parrot.data.rosbag.survey import check_topics, survey
from parrot.data.writer import EpisodeWriter, create_dataset, seal
from parrot.durable import write_json
from parrot.errors import ConfigError, DatasetError
from parrot.provenance import provenance

if TYPE_CHECKING:
    from parrot.sim.config import RobotConfig

__all__ = ["REPORT_FILE", "Conversion", "convert"]

REPORT_FILE = "from_bags.json"
"""In the dataset's folder: what it was made from, and the report."""

STAMPS = ArraySpec("stamps", "int64", ())
"""When each step's image was, ns."""

SHARD = "0"
_BAG_BITS, _EPISODE_BITS = 40, 12

About = dict[str, str]
Progress = Callable[[int, float], None]
"""Called with the number of the bag and how much of it is read, 0 to 1."""


@dataclass(frozen=True)
class Conversion:
    """What a conversion is given beside bags and mapping."""

    robot: Callable[[str], RobotConfig]
    """The robot of this name."""
    worlds: Mapping[str, Callable[[str, str], dict[str, Any]]]
    """Renderer -> what a manifest says of the world it draws, for a robot and a task; others are real cameras."""
    keep_failures: bool = False
    """Whether episodes that did not succeed are kept, too."""


def convert(
    bags: Sequence[Path], out: Path, mapping: BagMapping, how: Conversion, progress: Progress | None = None
) -> list[BagReport]:
    """Turns bags into a dataset; what is there of it already stays.

    Args:
        bags: Folders or files.
        out: The dataset's folder.
        mapping: What the bags' topics mean.
        how: Robots, worlds, and what is kept.
        progress: Called now and then.

    Returns:
        What came of each bag; the same stands in `from_bags.json` in the dataset.

    Raises:
        ConfigError: the mapping does not fit the bags.
        DatasetError: a bag cannot be read, or the folder holds something else.
        RunError: the disk is full.
    """
    if not bags:
        raise DatasetError("no bag given; give at least one folder, or .mcap or .db3 file")
    abouts, digests = _look(bags, mapping, how)
    robot = how.robot(abouts[0]["robot"])
    manifest = _manifest(mapping, how, robot, abouts)
    hz = float(manifest.control_hz or 0)
    request = {
        "bags": digests, "mapping": json.loads(json.dumps(asdict(mapping))), "keep_failures": how.keep_failures,
        "about": abouts,
    }  # fmt: skip
    reports = _begin(out, manifest, request)
    if len(reports) < len(bags) or not Manifest.load(out).complete:
        with EpisodeWriter(out, manifest, SHARD) as writer:
            for number in range(len(reports), len(bags)):
                with Bag(bags[number]) as bag:
                    job = _Job(bag, number, mapping, how, robot, hz, abouts[number]["task"], writer, progress)
                    reports.append(job.run())
                _save(out, request, reports)
        seal(out)
    return reports


def _look(bags: Sequence[Path], mapping: BagMapping, how: Conversion) -> tuple[list[About], list[str]]:
    """What each bag is about, and its digest; whether the mapping fits all of them is found out before any is read.

    Raises:
        ConfigError: the mapping does not fit, or bags differ in robot, renderer or objects.
    """
    abouts: list[About] = []
    digests: list[str] = []
    for path in bags:
        with Bag(path, peek=True) as bag:
            about = {
                "task": mapping.task or bag.custom.get("task") or "demonstration",
                "robot": mapping.robot or bag.custom.get("robot") or "",
                "renderer": mapping.renderer or bag.custom.get("renderer") or "camera",
                "object_split": mapping.object_split or bag.custom.get("object_split") or "",
            }
            if not about["robot"]:
                raise ConfigError(f"{path}: says nothing of its robot; give --robot NAME, or robot: in the mapping")
            robot = how.robot(about["robot"])
            check_topics(bag, mapping, () if mapping.recorded else make_source(mapping.action, robot).topics)
            digests.append(bag.digest)
        for name in ("robot", "renderer", "object_split"):
            if about[name] != abouts[0][name] if abouts else False:
                raise ConfigError(
                    f"{path}: {name} is {about[name] or 'unknown'}, in {bags[0]} it is {abouts[0][name] or 'unknown'}; "
                    "convert them into datasets of their own"
                )
        abouts.append(about)
    if len(set(digests)) < len(digests):
        raise DatasetError("the same bag is given twice; give each once")
    return abouts, digests


def _manifest(mapping: BagMapping, how: Conversion, robot: RobotConfig, abouts: Sequence[About]) -> Manifest:
    about = abouts[0]
    tasks = {a["task"] for a in abouts}
    if world := how.worlds.get(about["renderer"]):
        fields = world(about["robot"], about["task"])
        if mapping.control_hz not in (None, fields["control_hz"]):
            raise ConfigError(
                f"control_hz: {mapping.control_hz:g} is not that of the simulator, {fields['control_hz']:g}"
            )
    else:
        crop = None if mapping.image.crop is None else list(mapping.image.crop)
        fields = {
            "robot": robot.name, "renderer": about["renderer"], "camera": {"about": mapping.camera, "crop": crop},
            "action_scale": asdict(robot.action_scale), "control_hz": mapping.control_hz or robot.control_hz,
        }  # fmt: skip
    if about["object_split"]:
        fields["object_split"] = about["object_split"]
    return Manifest(
        kind="bags", task=tasks.pop() if len(tasks) == 1 else "", extra=(STAMPS,),
        provenance=provenance("rosbags", "opencv-python-headless"),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"), **fields,
    )  # fmt: skip


def _begin(out: Path, manifest: Manifest, request: dict[str, Any]) -> list[BagReport]:
    """Begins the dataset, or finds the one that is there; the reports of the bags that are done.

    Raises:
        DatasetError: the folder holds something else, or was made from other bags or in another way.
    """
    path = out / REPORT_FILE
    create_dataset(out, manifest)
    if not path.exists():
        if any((out / SHARDS).iterdir()):
            raise DatasetError(f"{out}: holds a dataset that was not made from bags; choose another folder")
        _save(out, request, [])
        return []
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        reports = [BagReport.from_json(value) for value in found["reports"]]
        old = found["request"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path}: cannot be read ({error}); choose another folder") from error
    if old != request:
        name = next(name for name in request if old.get(name) != request[name])
        what = {"bags": "other bags", "mapping": "another mapping", "about": "another task or robot"}
        raise DatasetError(
            f"{out}: was made from {what.get(name, 'the same bags, but with other options')}; choose another folder "
            "(datasets can be used together)"
        )
    return reports


def _save(out: Path, request: dict[str, Any], reports: Sequence[BagReport]) -> None:
    write_json(out / REPORT_FILE, {"request": request, "reports": [report.to_json() for report in reports]})


@dataclass
class _Job:
    """The conversion of one bag."""

    bag: Bag
    number: int
    mapping: BagMapping
    how: Conversion
    robot: RobotConfig
    hz: float
    task: str
    writer: EpisodeWriter
    progress: Progress | None

    def run(self) -> BagReport:
        """Writes the bag's episodes."""
        bag, mapping = self.bag, self.mapping
        self.done = set(read_index(self.writer.path / SHARDS / SHARD)["attempt"].tolist())
        source = None if mapping.recorded else make_source(mapping.action, self.robot)
        found = survey(bag, mapping, source.topics if source else ())
        self.survey = found
        mapping = self.mapping = found.mapping
        # Fixed transforms are sent once, with whatever stamp.
        fixed = mapping.action.get("static_topic", "/tf_static")
        others = [found.tracks[name] for name in source.topics if name != fixed] if source else []
        made = candidates(found, mapping, self.hz, others)
        names = {mapping.topics.episode: "task", mapping.topics.outcome: "outcome", mapping.topics.marker: "marker"}
        if found.marker is found.episode:
            names[mapping.topics.episode] = "marker"
        names |= dict.fromkeys(source.topics, "source of actions") if source else {mapping.topics.action: "action"}
        names[mapping.topics.image] = "image"
        self.report = BagReport(str(bag.path))
        self.report.topics = [topic_report(name, t, names.get(name, "")) for name, t in found.tracks.items()]
        received = np.concatenate([t.receive for t in found.tracks.values()])
        self.report.seconds = float(np.ptp(received)) / 1e9 if len(received) else 0.0
        total, broken = max((int(t.order[-1]) for t in found.tracks.values() if len(t)), default=1), Counter[str]()
        told = self.progress

        def tell(order: int) -> None:
            if told:
                told(self.number, order / total)

        cuts = clock_cuts(found, mapping, others)
        for number, filled in fill(bag, found, mapping, made, cuts, source, broken, tell):
            self._write(number, made[number], filled)
        self.report.notes = odd(bag, found, mapping, self.hz, self.report, source, broken)
        return self.report

    def _write(self, number: int, candidate: Candidate, filled: Filled | None) -> None:
        """Writes the episodes of a candidate, but for those that a run before this one has written."""
        said = self.survey.task_before(int(candidate.images[0])) if len(candidate) and not self.mapping.task else None
        task = said or self.task
        for part, (steps, why) in enumerate(cut(candidate, self.mapping, self.hz, self.how.keep_failures)):
            attempt = (self.number << _BAG_BITS) + (number << _EPISODE_BITS) + part
            seed = _seed(self.bag.digest, number, part)
            if why is not None or filled is None:
                self.report.dropped[why or ""] += 1
                if attempt not in self.done:
                    self.writer.reject(task, seed, attempt)
                continue
            episode = _episode(candidate, filled, steps, task, seed)
            self.report.kept += 1
            self.report.succeeded += episode.success
            self.report.steps += len(episode)
            self.report.clipped += round(float(filled.clipped[steps].sum()))
            if attempt not in self.done:
                self.writer.append(episode, attempt)


def _episode(candidate: Candidate, filled: Filled, steps: slice, task: str, seed: int) -> Episode:
    length, success = steps.stop - steps.start, bool(candidate.success)
    if candidate.rewards is not None:
        rewards = candidate.rewards[steps]
    else:
        rewards = np.zeros(length, np.float32)
        rewards[-1] = success
    return Episode(
        filled.images[steps], filled.actions[steps], rewards, task=task, success=success, seed=seed,
        extra={STAMPS.name: candidate.stamps[steps]},
    )  # fmt: skip


def _seed(digest: str, number: int, part: int) -> int:
    """A number of the episode's own: a hash of its bag and its place in it, the same in whatever dataset."""
    return int.from_bytes(hashlib.sha256(f"{digest} {number} {part}".encode()).digest()[:8], "big")

"""Bags of arms that know nothing of parrot: each conversion is checked against known truth."""

from __future__ import annotations

import numpy as np
import pytest
from bag_makers import SECOND, START, Lab, number_of, numbered

from parrot.data.rosbag.mapping import ImageRule, Topics
from parrot.errors import ConfigError, SpaceError
from parrot.spaces import ACTION_NAMES, OUTCOME_NAMES

MS = SECOND // 1000
PERIOD = 100 * MS


class Camera:
    """Pictures with their numbers, and when they were taken."""

    def __init__(self, lab, seconds, hz=30, topic="/camera/image", start=START, jitter=0, latency=0, first=0, seed=0,
                 width=64, height=48, encoding="rgb8", clock=lambda t: t, receive=lambda t: t):  # fmt: skip
        rng = np.random.default_rng(seed)
        self.stamps, self.numbers = [], []
        for k in range(int(seconds * hz)):
            stamp = start + round(k * SECOND / hz) + int(rng.integers(-jitter, jitter + 1))
            late = int(rng.integers(0, latency + 1))
            picture = numbered(first + k, width, height)
            picture = picture[..., ::-1].copy() if encoding == "bgr8" else picture
            lab.image(topic, picture, clock(stamp), receive(stamp + late), encoding)
            self.stamps.append(clock(stamp))
            self.numbers.append(first + k)

    def seen_at(self, times):
        """By brute force: the newest picture that is not newer."""
        return [max((s, n) for s, n in zip(self.stamps, self.numbers, strict=True) if s <= t)[1] for t in times]

    def taken(self, number):
        return self.stamps[self.numbers.index(number)]


class Commands:
    """Actions that carry their number."""

    def __init__(self, lab, seconds, hz=10, start=START + 5 * MS, latency=0, first=0, clock=lambda t: t, seed=1):
        rng = np.random.default_rng(seed)
        self.stamps, self.numbers = [], []
        for k in range(int(seconds * hz)):
            stamp = start + round(k * SECOND / hz)
            values = np.full(7, (first + k) / 1024)
            lab.vector("/action", ACTION_NAMES, values, clock(stamp), stamp + int(rng.integers(0, latency + 1)))
            self.stamps.append(clock(stamp))
            self.numbers.append(first + k)

    def after(self, times):
        return [min((s, n) for s, n in zip(self.stamps, self.numbers, strict=True) if s >= t)[1] for t in times]


def by_reception(lab):
    lab.rows.sort(key=lambda row: row[1])


def check(episode, camera, commands, begin, steps):
    times = [begin + k * PERIOD for k in range(steps)]
    numbers = [number_of(image) for image in episode.images]
    assert numbers == camera.seen_at(times)
    taken = [camera.taken(n) for n in numbers]
    assert episode.extra["stamps"].tolist() == taken
    # The action that followed the image; where the image serves again, the one that followed the step's beginning.
    since = [t if k and taken[k - 1] == s else s for k, (t, s) in enumerate(zip(times, taken, strict=True))]
    assert (episode.actions[:, 0] * 1024).round().astype(int).tolist() == commands.after(since)


LENGTH = {"by": "length", "length": 1.0, "success": "all"}


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_real_camera_and_joints_at_their_own_rates(tmp_path, from_bags, storage):
    lab = Lab("ros2_humble")
    camera = Camera(lab, 2.5, width=640, height=480, encoding="bgr8", jitter=8 * MS, latency=40 * MS)
    commands = Commands(lab, 2.7, latency=10 * MS)
    for k in range(250):
        lab.vector("/joint_states", [f"joint{i}" for i in range(6)], np.sin(np.arange(6) + k), START + k * 10 * MS)
    by_reception(lab)
    dataset, report = from_bags(lab.write(tmp_path / "bag", storage), **LENGTH)
    begin = min(camera.stamps)
    assert np.diff(dataset.offsets).tolist() == [10, 10, 4]
    for k, steps in enumerate((10, 10, 4)):
        check(dataset.episode(k), camera, commands, begin + k * SECOND, steps)
    topics = {t.name: (t.messages, t.use) for t in report.topics}
    assert topics == {"/camera/image": (75, "image"), "/action": (27, "action"), "/joint_states": (250, "")}
    assert dataset.success.all()


def test_late_messages_and_messages_out_of_order_go_where_their_stamps_say(tmp_path, from_bags):
    lab = Lab()
    rng = np.random.default_rng(3)
    late = {int(n) for n in rng.choice(60, 6, replace=False)}
    camera = Camera(lab, 2.0, jitter=5 * MS)
    for row, (topic, receive, data) in enumerate(lab.rows):
        if row in late:
            lab.rows[row] = (topic, receive + 700 * MS, data)
    commands = Commands(lab, 2.5, latency=60 * MS)
    by_reception(lab)
    assert camera.stamps != sorted(camera.stamps) or late
    dataset, report = from_bags(lab.write(tmp_path / "bag"), **LENGTH)
    assert report.dropped == {}
    check(dataset.episode(0), camera, commands, min(camera.stamps), 10)
    assert len(dataset) == 2


def test_time_of_reception_where_stamps_are_of_no_use(tmp_path, from_bags):
    lab = Lab()
    camera = Camera(lab, 1.6, clock=lambda t: t - 100 * SECOND)
    camera.stamps = [s + 100 * SECOND for s in camera.stamps]
    commands = Commands(lab, 1.8)
    bag = lab.write(tmp_path / "bag")
    dataset, _ = from_bags(bag, time="receive", **LENGTH)
    check(dataset.episode(0), camera, commands, START, 10)
    other, report = from_bags(bag, out="header", **LENGTH)
    assert len(other) == 0
    assert set(report.dropped) == {"the clocks of its topics differ"}
    assert any("say time: receive" in note for note in report.notes)


def test_stamps_of_zero_count_as_none(tmp_path, from_bags):
    lab = Lab()
    camera = Camera(lab, 1.6, clock=lambda t: 0)
    camera.stamps = [receive for _, receive, _ in lab.rows]
    commands = Commands(lab, 1.8)
    dataset, _ = from_bags(lab.write(tmp_path / "bag"), **LENGTH)
    check(dataset.episode(0), camera, commands, START, 10)


@pytest.mark.parametrize("jump", [5 * SECOND, -5 * SECOND])
@pytest.mark.parametrize("whose", ["camera", "everyone", "recorder", "machine"])
@pytest.mark.parametrize("by", ["markers", "gaps", "length"])
def test_no_episode_spans_a_jump_of_a_clock(tmp_path, from_bags, jump, whose, by):
    """Three demonstrations with pauses; within the second one, a clock jumps for good."""
    lab, starts = Lab(), [START + k * 6 * SECOND for k in range(3)]

    def jumped(t):
        return t + jump if t >= starts[1] + SECOND else t

    def true(t):
        return t

    for k, start in enumerate(starts):
        lab.marker("start", start - 50 * MS)
        Camera(lab, 2.0, start=start, first=100 * k, clock=true if whose == "recorder" else jumped)
        Commands(
            lab, 2.2, start=start + 5 * MS, first=100 * k, clock=jumped if whose in ("everyone", "machine") else true
        )
        lab.marker("success", start + 2150 * MS)
    by_reception(lab)
    if whose in ("recorder", "machine"):
        lab.rows = [(topic, jumped(receive), data) for topic, receive, data in lab.rows]
    dataset, report = from_bags(lab.write(tmp_path / "bag"), by=by, length=1.0, gap=2.0)
    pause = whose == "machine" and jump > 0 and by != "markers"  # looks like nobody recorded for a while
    assert (sum(report.dropped.values()) >= 1) != pause
    found = set()
    for episode in dataset:
        numbers = np.array([number_of(image) for image in episode.images])
        (which,) = set((numbers // 100).tolist())
        found.add(which)
        told = (episode.actions[:, 0] * 1024).round().astype(int)
        # When they truly were: steps are a period apart, and each action came within a period of its image.
        taken, moved = (numbers - 100 * which) * SECOND // 30, (told - 100 * which) * PERIOD + 5 * MS
        assert np.all(np.abs(np.diff(taken) - PERIOD) <= SECOND // 30 + 1)
        assert np.all((moved >= taken) & (moved - taken <= PERIOD))
        assert len(episode) <= 20
    assert 0 in found
    if by == "markers":
        assert 1 not in found and len(dataset) <= 2
        assert report.dropped.keys() & {"a clock jumped", "the clocks of its topics differ", "it has a gap"}
    # Once all clocks have jumped, they agree again; a camera whose own has jumped stays of no use.
    assert (2 in found) == (whose != "camera")


def test_two_cameras_the_mapping_says_which(tmp_path, from_bags):
    lab = Lab()
    wrist = Camera(lab, 1.2, topic="/wrist/image", first=1000)
    front = Camera(lab, 1.2, topic="/front/image", hz=15, encoding="bgr8")
    commands = Commands(lab, 1.4)
    by_reception(lab)
    bag = lab.write(tmp_path / "bag")
    for topic, camera in (("/wrist/image", wrist), ("/front/image", front)):
        dataset, _ = from_bags(bag, topics=Topics(image=topic), out=topic[1:6], **LENGTH)
        check(dataset.episode(0), camera, commands, START, 10)


def test_a_missing_topic_or_one_of_another_type_lists_what_is_there(tmp_path, from_bags):
    lab = Lab()
    Camera(lab, 0.5, topic="/wrist/image")
    Commands(lab, 0.5)
    bag = lab.write(tmp_path / "bag")
    with pytest.raises(ConfigError) as error:
        from_bags(bag, **LENGTH)
    assert str(error.value).endswith(
        "image is mapped to /camera/image, which is not there; its topics are "
        "/action (sensor_msgs/msg/JointState), /wrist/image (sensor_msgs/msg/Image)"
    )
    with pytest.raises(
        ConfigError, match=r"image is mapped to /action, which is sensor_msgs/msg/JointState, not sensor"
    ):
        from_bags(bag, topics=Topics(image="/action"), **LENGTH)
    with pytest.raises(ConfigError, match="outcome is mapped to /outcome, which is not there"):
        from_bags(bag, topics=Topics(image="/wrist/image"))
    assert not (tmp_path / "data").exists()


def test_a_stretch_without_images_or_actions_is_dropped_or_splits(tmp_path, from_bags):
    lab = Lab()
    camera = Camera(lab, 3.0)
    commands = Commands(lab, 3.2)
    dead = (START + 1000 * MS, START + 1500 * MS)
    lab.rows = [row for row in lab.rows if row[0] != "/camera/image" or not dead[0] <= row[1] <= dead[1]]
    pairs = [(s, n) for s, n in zip(camera.stamps, camera.numbers, strict=True) if not dead[0] <= s <= dead[1]]
    camera.stamps, camera.numbers = [s for s, _ in pairs], [n for _, n in pairs]
    lab.marker("start", START - MS)
    lab.marker("success", START + 3 * SECOND)
    by_reception(lab)
    bag = lab.write(tmp_path / "bag")
    dataset, report = from_bags(bag, by="gaps")
    # The last image before the hole serves as long as the tolerance, 150 ms, allows.
    assert np.diff(dataset.offsets).tolist() == [12, 13]
    check(dataset.episode(0), camera, commands, START, 12)
    check(dataset.episode(1), camera, commands, START + 16 * PERIOD, 13)
    _, report = from_bags(bag, by="markers", out="markers")
    assert report.dropped == {"an image is missing in it": 1}


def test_markers_say_what_an_episode_is_and_how_it_went(tmp_path, from_bags):
    lab = Lab()
    Camera(lab, 20)
    Commands(lab, 20)
    for second, text in [
        (1, "start"), (2, "success"),
        (3, "start"), (4, "failure"),
        (5, "start"), (6, "discard"),
        (7, "start"), (8, "start"), (9, "success"),  # the one begun at 7 has no verdict
        (10, "start"), (11, "success"), (11.5, "discard"),  # thought better of
        (12, "success"), (13, "what?"), (14, "start"), (14.5, "what?"), (15, "success"),
        (19, "start"),
    ]:  # fmt: skip
        lab.marker(text, START + round(second * SECOND) - MS)
    by_reception(lab)
    bag = lab.write(tmp_path / "bag")
    dataset, report = from_bags(bag, by="markers")
    begins = [number_of(image) for image in dataset.images(dataset.offsets[:-1])]
    assert begins == [30, 240, 420]
    assert dataset.success.all()
    assert [float(r) for r in dataset.episode(0).rewards] == [0.0] * (len(dataset.episode(0)) - 1) + [1.0]
    assert report.dropped == {
        "it did not succeed (--keep-failures keeps it)": 2, "it was discarded by a marker": 2,
        "it has no end in the bag": 1,
    }  # fmt: skip
    every, _ = from_bags(bag, by="markers", keep_failures=True, out="all")
    assert every.success.tolist() == [True, False, False, True, True]


def test_length_and_steps_are_limited(tmp_path, from_bags):
    lab = Lab()
    for k, seconds in enumerate((0.25, 1.0, 3.0)):
        Camera(lab, seconds, start=START + 10 * k * SECOND, first=100 * k)
        Commands(lab, seconds + 0.2, start=START + 10 * k * SECOND)
    dataset, report = from_bags(lab.write(tmp_path / "bag"), by="gaps", min_steps=3, max_steps=20)
    assert np.diff(dataset.offsets).tolist() == [9]
    assert report.dropped == {"it is shorter than 3 steps": 1, "it is longer than 20 steps": 1}


def test_actions_beyond_the_scale_are_clipped_and_counted(tmp_path, from_bags):
    lab = Lab()
    Camera(lab, 1.2)
    for k in range(12):
        lab.vector("/action", ACTION_NAMES[::-1], np.full(7, 1.5 if k % 4 == 0 else -0.5), START + k * PERIOD)
    dataset, report = from_bags(lab.write(tmp_path / "bag"), by="gaps")
    assert dataset.actions.max() == 1.0
    assert (report.steps, report.clipped) == (11, int((dataset.actions[:, 0] == 1.0).sum()))


def test_names_of_recorded_actions_are_mapped(tmp_path, from_bags):
    lab = Lab()
    Camera(lab, 1.2)
    names = ["grip", "vx", "vy", "vz", "wx", "wy", "wz", "battery"]
    for k in range(12):
        lab.vector("/cmd", names, np.arange(8) / 10, START + k * PERIOD)
    action = {"from": "recorded", "names": dict(zip(ACTION_NAMES, [*names[1:7], "grip"], strict=True))}
    bag = lab.write(tmp_path / "bag")
    dataset, _ = from_bags(bag, by="gaps", action=action, topics=Topics(action="/cmd"))
    np.testing.assert_allclose(dataset.actions[0], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.0], atol=1e-7)
    wrong, report = from_bags(bag, by="gaps", topics=Topics(action="/cmd"), out="wrong")
    assert len(wrong) == 0
    assert "/cmd: 12 messages cannot be read" in report.notes


@pytest.mark.parametrize("jump", [5 * SECOND, -1500 * MS, -5 * SECOND])
@pytest.mark.parametrize("whose", ["camera", "everyone", "recorder", "machine"])
@pytest.mark.parametrize("by", ["markers", "gaps"])
def test_derived_actions_never_mix_both_sides_of_a_jump(tmp_path, from_bags, jump, whose, by):
    """The tool swings, so that where it was tells when it was."""
    lab, starts = Lab(), [START + k * 4 * SECOND for k in range(3)]

    def jumped(t):
        return t + jump if t >= starts[1] + SECOND else t

    def where(t):
        return np.array([0.4 + 0.1 * np.sin((t - START) / SECOND * 1.7), 0.05 * np.cos((t - START) / SECOND), 0.2])

    for k, start in enumerate(starts):
        lab.marker("start", start - 50 * MS)
        Camera(lab, 1.8, start=start, first=100 * k, clock=(lambda t: t) if whose == "recorder" else jumped)
        lab.marker("success", start + 1900 * MS)
    for k in range(1200):
        t = START - 200 * MS + k * 10 * MS
        lab.pose("/pose", where(t), jumped(t) if whose in ("everyone", "machine") else t, t)
    by_reception(lab)
    if whose in ("recorder", "machine"):
        lab.rows = [(topic, jumped(receive), data) for topic, receive, data in lab.rows]
    action = {"from": "poses", "topic": "/pose"}
    dataset, _ = from_bags(lab.write(tmp_path / "bag"), by=by, gap=1.0, action=action)
    found = set()
    for episode in dataset:
        numbers = np.array([number_of(image) for image in episode.images])
        (which,) = set((numbers // 100).tolist())
        found.add(which)
        # Every third picture stands at a step's beginning, to a millisecond.
        begins = starts[which] + (numbers - 100 * which) * SECOND // 30
        moved = np.array([where(t + PERIOD) - where(t) for t in begins]) / 0.04
        assert np.abs(episode.actions[:, :3] - moved).max() < 0.3
    assert 0 in found
    assert (2 in found) == (whose != "camera")
    assert by != "markers" or 1 not in found


@pytest.mark.parametrize("missing", [None, "first", "inner"])
def test_outcomes_end_episodes_also_where_their_stamps_are_their_own(tmp_path, from_bags, missing):
    lab = Lab()
    camera = Camera(lab, 4.4)
    commands = Commands(lab, 4.6)
    for k in range(40):
        last, won = k % 20 == 19, k < 20
        values = [float(last and won), last and won, last and won, last and not won, k % 20]
        if k != {"first": 0, "inner": 7}.get(missing):
            lab.vector("/outcome", OUTCOME_NAMES, values, START + k * PERIOD + 97 * MS)
    by_reception(lab)
    dataset, report = from_bags(
        lab.write(tmp_path / "bag"), by="outcome", pairing="resample", keep_failures=True, control_hz=10.0
    )
    assert dataset.success.tolist() == ([False] if missing else [True, False])
    if missing is None:
        check(dataset.episode(0), camera, commands, START, 19)
        assert dataset.episode(0).rewards.tolist() == [0.0] * 18 + [1.0]
    else:
        reason = "its beginning is not in the bag" if missing == "first" else "an outcome is missing in it"
        assert report.dropped == {reason: 1}


def test_a_crop_that_leaves_the_picture_is_one_line(tmp_path, from_bags):
    lab = Lab()
    Camera(lab, 1.2)
    Commands(lab, 1.4)
    with pytest.raises(SpaceError, match=r"crop \[0.0, 0.0, 640.0, 480.0\] leaves the picture of 64x48; give x, y"):
        from_bags(lab.write(tmp_path / "bag"), image=ImageRule(crop=(0.0, 0.0, 640.0, 480.0)), **LENGTH)

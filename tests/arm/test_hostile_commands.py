"""Random, hostile and malformed commands, joint states, pictures and clocks, with kills in between, on a simulated arm.

    PARROT_HOSTILE_COMMANDS=100000 pytest tests/arm/test_hostile_commands.py

runs as many as the project promises; by default there are 1,200.
"""

import math
import os
from pathlib import Path

import numpy as np
import pytest
from arm_rig import LIMITS, ROBOT, Rig, beyond_box
from hypothesis import given, settings
from hypothesis import strategies as st

import parrot
from parrot.arm.safety import FAULTS, SafetyCore
from parrot.sim.config import load_robot

ROBOTS = (ROBOT, load_robot("wx250s"))

ROOT = Path(parrot.__file__).parent.parent

COMMANDS = int(os.environ.get("PARROT_HOSTILE_COMMANDS", "1200"))

STILL = 0.05
"""rad/s; the simulated arm has a time constant of 20 ms."""


class Broken:
    """Whatever looks at it fails."""

    def __array__(self, *args, **kwargs):
        raise RuntimeError("do not look")

    def __float__(self):
        raise RuntimeError("do not look")


def hostile_vector(rng, length):
    values = [math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, 1e6, -1.0, 1.0, 0.0, -0.0, 0.5000001]
    kind = rng.integers(14)
    if kind < 5:
        return rng.uniform(-1, 1, length).astype(rng.choice([np.float64, np.float32, np.float16]))
    if kind < 7:
        return np.sign(rng.uniform(-1, 1, length)) * rng.choice([1, 1, 1, 50])
    if kind == 7:
        return list(rng.choice(values, length))
    if kind == 8:
        return rng.uniform(-1, 1, rng.integers(0, 20))
    if kind == 9:
        return rng.choice([1, -1, 0], length).astype(rng.choice([np.int8, np.int64, np.uint8]))
    if kind == 10:
        return np.full(length, rng.choice(values))
    odd = [None, "1234567", b"1234567", {}, [None] * length, ["1"] * length, [[0.0]] * length, [True] * length,
           np.zeros((length, 1)), np.zeros(length, complex), Broken(), [Broken()] * length, 7, math.nan,
           [10**400] * length, np.array([1] * length, object), [[1, 2], [3]], np.zeros(length, "M8[s]")]  # fmt: skip
    return odd[rng.integers(len(odd))]


def hostile_time(rng, now):
    return [now - 3600, now + 3600, now - 1e-9, now, math.nan, math.inf, -math.inf, -1.0, 0, None, "soon", 10**400,
            now + 1e300, Broken(), np.float32(now), now + 10][rng.integers(16)]  # fmt: skip


class Siege(Rig):
    """A rig under attack: `assault` is one command and what goes with it."""

    def __init__(self, rng, robot):
        super().__init__(ready=False, robot=robot)
        self.rng, self.kinds = rng, set()
        self.start = beyond_box(self.limits, *self.pose())

    def assault(self):
        rng, core = self.rng, self.core
        for _ in range(rng.integers(0, 4)):
            self.disturb()
        if rng.random() < 0.9:  # mostly in the loop's rhythm, so that the arm moves at all
            self.pass_time(rng.choice([0.02, 0.05, 0.1, 0.1]))
        now = self.now if rng.random() < 0.97 else hostile_time(rng, self.now)
        kind = rng.random()
        if kind < 0.8:
            command = core.act(hostile_vector(rng, 7), now)
        elif kind < 0.9:
            goal = self.home if rng.random() < 0.5 else hostile_vector(rng, 6)
            command = core.goto(goal, now, hostile_vector(rng, 1) if rng.random() < 0.1 else rng.uniform(-1, 2))
        else:
            command = core.tick(now)
        self.check(command)

    def disturb(self):
        rng, core = self.rng, self.core
        kind = rng.integers(60)
        if kind == 0:
            core.observe(hostile_vector(rng, 6), self.now)
        elif kind == 1:
            self.observe(self.plant.joints + rng.normal(0, 2, 6))
        elif kind == 2:
            self.observe(self.plant.joints, hostile_time(rng, self.now))
        elif kind == 3:
            core.camera(rng.choice([0, -1, 10**6, 10**18]), rng.choice([0, 1]), self.now)
        elif kind == 4:
            core.camera(hostile_vector(rng, 1), Broken(), hostile_time(rng, self.now))
        elif kind == 5:
            core.estop(self.now)
        elif kind in (6, 7, 8, 9):
            core.release(self.now)
        elif kind == 10:
            core.resume(self.now)
        elif kind == 11:
            self.pass_time(rng.choice([0.3, 0.7, 2.5]), joints=bool(rng.random() < 0.5), pictures=False)
        elif kind == 12:
            for _ in range(20):  # a burst
                self.check(core.act(np.sign(rng.uniform(-1, 1, 7)), self.now))
        elif kind == 13:
            self.pass_time(0.5)
        elif kind == 14:
            self.kill()
        elif kind == 15:  # new stamps, the same picture
            for _ in range(25):
                self.pass_time(0.1, pictures=False)
                self.pictures += 1
                core.camera(self.pictures, "frozen", self.now)
                self.check(core.act(hostile_vector(rng, 7), self.now))

    def check(self, command):
        if command is None:
            return
        self.take(command)
        self.kinds.add(command.reason)
        if command.reason in FAULTS:
            assert command.joints.tobytes() in self.measured, command.reason
        outside = beyond_box(self.limits, *self.pose())
        # The way between two admissible places bulges a little, and a person reads millimetres.
        assert (outside <= np.maximum(self.start, [0.005] * 3 + [0.03] * 3)).all(), outside

    def kill(self):
        """Nothing more is sent; the arm comes to rest by itself, and another core takes over."""
        self.plant.run(2 * self.limits.period)
        self.now += 2 * self.limits.period
        assert np.abs(self.plant.speed).max() < STILL
        self.core = SafetyCore(self.limits, self.kinematics)


@pytest.mark.timeout(3600)
def test_no_hostile_command_leaves_the_limits():
    kinds, ways = set(), []
    for seed in range(max(2, COMMANDS // 1000)):
        siege = Siege(np.random.default_rng(seed), ROBOTS[seed % 2])
        for _ in range(min(COMMANDS // 2, 1000)):
            siege.assault()
            assert siege.broken == [], (seed, siege.commands[-1])
        kinds |= siege.kinds | set(siege.core.counts)
        ways.append(np.ptp([command.measured for command in siege.commands], axis=0).max())
    # The attack was one: the arm moved, and all kinds of limits had to act.
    assert {"", "malformed action", "malformed goal", "workspace", "speed", "ramp", "watchdog"} <= kinds
    assert set(FAULTS) <= kinds
    assert min(ways) > 0.3
    page = (ROOT / "docs" / "safety.md").read_text()
    assert [kind for kind in kinds if kind and f"`{kind}`" not in page] == []


@pytest.mark.parametrize("fault", ["killed", "estop", "joints", "camera", "clock", "garbage", "silence"])
def test_the_arm_is_still_within_two_control_periods_of_a_fault(fault):
    rng, fastest = np.random.default_rng(len(fault)), 0.0
    for _ in range(max(10, COMMANDS // 500)):
        rig = Rig()
        for _ in range(rng.integers(1, 8)):
            rig.act(np.sign(rng.uniform(-1, 1, 7)))
            rig.pass_time()
        rig.act(np.sign(rng.uniform(-1, 1, 7)))
        rig.pass_time(rng.choice([0.02, 0.05, 0.08]))
        fastest = max(fastest, np.abs(rig.plant.speed).max())
        begin(rig, fault)
        for _ in range(round(2 * LIMITS.period / 0.02)):
            if fault != "killed":
                rig.take(rig.core.tick(rig.now))
            if fault == "garbage":
                rig.take(rig.core.act("garbage", rig.now))
            rig.pass_time(0.02, joints=fault != "joints", pictures=fault != "camera")
        assert rig.broken == []
        assert np.abs(rig.plant.speed).max() < STILL
    assert fastest > 1.0


def begin(rig, fault):
    """The fault; for those that only time reveals, the moment at which the core knows."""
    if fault == "estop":
        rig.core.estop(rig.now)
    elif fault == "clock":
        rig.core.tick(rig.now - 3600)
        rig.now -= 3600
    elif fault in ("joints", "camera"):
        while rig.act([0.5, 0, 0, 0, 0, 0, 0]).reason not in FAULTS:
            rig.pass_time(0.02, joints=fault != "joints", pictures=fault != "camera")


numbers = st.floats(allow_nan=True, allow_infinity=True, width=64)
calls = st.one_of(
    st.tuples(st.just("act"), st.lists(numbers, min_size=7, max_size=7)),
    st.tuples(st.just("act"), st.lists(st.floats(-1, 1), min_size=7, max_size=7)),
    st.tuples(st.just("act"), st.one_of(st.none(), st.text(), st.lists(numbers, max_size=9))),
    st.tuples(st.just("goto"), st.lists(numbers, min_size=6, max_size=6)),
    st.tuples(st.just("observe"), st.lists(numbers, min_size=6, max_size=6)),
    st.tuples(st.sampled_from(["tick", "estop", "release", "resume"]), st.none()),
    st.tuples(st.just("wait"), st.sampled_from([0.02, 0.1, 0.3])),
)


@settings(deadline=None, max_examples=max(20, COMMANDS // 100))
@given(st.lists(st.tuples(calls, st.one_of(st.just(0.0), st.just(0.0), numbers)), max_size=25))
def test_whatever_the_order_of_calls_and_times(sequence):
    rig = Rig()
    for (name, value), later in sequence:
        if name == "wait":
            rig.pass_time(value)
            continue
        call, now = getattr(rig.core, name), rig.now + later
        command = call(now) if value is None and name != "act" else call(value, now)
        rig.take(command)
        assert rig.broken == [], (name, value)

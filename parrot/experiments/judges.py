"""How runs decide a claim: by 95% intervals alone, stratified bootstrap of interquartile means or Wilson's.

A judge reads a budget's results and says whether they agree with a claim. It is open while too few runs are there, or
while their intervals hold both answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from parrot.experiments.drawing import label, title
from parrot.experiments.statistics import FEWEST_RUNS, Interval, difference, interval
from parrot.experiments.table import Curve, Results, is_grasp, scores
from parrot.results import wilson

__all__ = [
    "ALIKE", "NOTHING", "SOLVED", "STEADY", "Outcome", "Verdict",
    "alike", "better", "both", "interaction", "little", "mismatch", "nothing", "progress", "sizes", "steady",
]  # fmt: skip

Outcome = Literal["agrees", "contradicts", "open", "not run yet"]

NOTHING = 0.1
"""Success below which a method made no progress: "fails to make progress", "close to zero"."""
ALIKE = 0.15
"""Difference in success below which two are alike: "not substantially better", "similar performance"."""
SOLVED = 0.5
"""Success above which a task is solved well enough for "can still solve"."""
TASKS = 8
"""Tasks of the paper's Figure 5."""
STEADY = 0.1
"""Standard deviation over seeds below which there is "little variance across runs"."""

_FROM = {"place": "pick and place only", "grasp": "grasping only", "both": "both"}

Decision = bool | None
"""Whether the runs agree; None: they do not decide."""


@dataclass(frozen=True)
class Verdict:
    """What the runs say of a claim."""

    outcome: Outcome
    """In a word."""
    lines: tuple[str, ...] = ()
    """The figures behind it, for people."""


def _verdict(lines: Iterable[str], decisions: Iterable[Decision]) -> Verdict:
    """Agrees if every part does, contradicts if any part does; a claim of which nothing was run has no parts."""
    parts = tuple(decisions)
    if not parts:
        return Verdict("not run yet")
    if any(part is False for part in parts):
        return Verdict("contradicts", tuple(lines))
    return Verdict("agrees" if all(parts) else "open", tuple(lines))


def _count(number: int, what: str) -> str:
    """So many of these."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _on(tasks: int) -> str:
    """How much of the paper's comparison there is."""
    return f"on {tasks} of the paper's {TASKS} tasks"


def _figure(found: Interval, signed: bool = False) -> str:
    value = f"{found.value:+.2f}" if signed else f"{found.value:.2f}"
    if not found.known:
        return f"{value} (no interval: fewer than {FEWEST_RUNS} runs of a task; {_count(found.runs, 'run')})"
    low, high = (f"{end:+.2f}" if signed else f"{end:.2f}" for end in (found.low, found.high))
    return f"{value} ({low} to {high}; {_count(found.runs, 'run')})"


def _above(found: Interval, bound: float) -> Decision:
    """Whether it is above the bound, if the interval decides."""
    if not found.known or found.low <= bound <= found.high:
        return None
    return found.low > bound


def _common(one: Sequence[Sequence[Curve]], other: Sequence[Sequence[Curve]]) -> tuple[list, list]:
    """The runs of two methods on the tasks that both were run on."""
    theirs = {runs[0].task: runs for runs in other}
    pairs = [(runs, theirs[runs[0].task]) for runs in one if runs[0].task in theirs]
    return [a for a, _ in pairs], [b for _, b in pairs]


def better(one: str, others: Sequence[str], measure: str, complete: bool = True) -> Callable[[Results], Verdict]:
    """One method against several, over the tasks that both were run on; all of them must have been run."""

    def judge(results: Results) -> Verdict:
        tasks, lines, decisions = results.budget.fig5.tasks, list[str](), list[Decision]()
        for other in others:
            a, b = _common(results.select(one, tasks), results.select(other, tasks))
            if not a:
                continue
            found = difference(scores(a, measure), scores(b, measure))
            lines.append(f"{label(one)} over {label(other)}: {_figure(found, signed=True)} {_on(len(a))}")
            decisions.append(_above(found, 0.0))
        if decisions and complete and len(decisions) < len(others):
            decisions.append(None)
        return _verdict(lines, decisions)

    return judge


def nothing(algo: str) -> Callable[[Results], Verdict]:
    """A method that makes no progress."""

    def judge(results: Results) -> Verdict:
        runs = results.select(algo, results.budget.fig5.tasks)
        if not runs:
            return Verdict("not run yet")
        found = interval(scores(runs, "final"))
        best = max(float(np.mean(task)) for task in scores(runs, "final"))
        line = f"{label(algo)} in the end: {_figure(found)} {_on(len(runs))}, {best:.2f} on its best"
        # One task with progress contradicts "any of the tasks", if the mean of its runs is sure of it.
        sure = any(_above(interval([task]), NOTHING) for task in scores(runs, "final"))
        below = _above(found, NOTHING)
        return _verdict([line], [False if sure else None if below is None else not below])

    return judge


def progress(algo: str, low: float, high: float) -> Callable[[Results], Verdict]:
    """A method that makes progress on a share of the tasks between two bounds, once all were run."""

    def judge(results: Results) -> Verdict:
        tasks = results.budget.fig5.tasks
        runs = results.select(algo, tasks)
        if not runs:
            return Verdict("not run yet")
        there = [found.known for found in map(interval, ([task] for task in scores(runs, "final")))]
        won = [
            r[0].task
            for r in runs
            if np.mean([curve.final for curve in r]) > np.mean([curve.initial for curve in r]) + NOTHING
        ]
        names = f" ({', '.join(map(title, won))})" if won else ""
        line = f"{label(algo)} makes progress on {len(won)} of {len(runs)} tasks{names}; the paper has {TASKS}"
        enough = len(tasks) == TASKS and len(runs) == len(tasks) and all(there)
        return _verdict([line], [low <= len(won) / len(tasks) <= high if enough else None])

    return judge


def both(*judges: Callable[[Results], Verdict]) -> Callable[[Results], Verdict]:
    """A claim of several parts; one that was not run leaves it open."""

    def judge(results: Results) -> Verdict:
        parts = [part(results) for part in judges]
        known = [part for part in parts if part.outcome != "not run yet"]
        words: dict[Outcome, Decision] = {"agrees": True, "contradicts": False, "open": None, "not run yet": None}
        return _verdict(
            [line for part in parts for line in part.lines], [words[part.outcome] for part in parts] if known else []
        )

    return judge


def interaction(results: Results) -> Verdict:
    """Random z against random actions: shares of episodes over all tasks, by Wilson's intervals."""
    lines, decisions = list[str](), list[Decision]()
    pairs = [
        (results.walked.get((task, "prior")), results.walked.get((task, "uniform")))
        for task in results.budget.fig4.tasks
    ]
    there = [(a, b) for a, b in pairs if a and b]
    if not there:
        return Verdict("not run yet")
    for flag, verb in (("touched", "touch"), ("lifted", "lift")):
        ends, texts = [], []
        for k, name in enumerate(("random z through the prior", "random actions")):
            hits, n = (sum(getter) for getter in ((p[k].counts[flag] for p in there), (p[k].episodes for p in there)))
            ends.append(wilson(hits, n))
            texts.append(f"{name} {verb} an object in {hits / n:.0%} ({ends[-1][0]:.0%} to {ends[-1][1]:.0%}) of {n}")
        lines.append("; ".join(texts))
        decisions.append(True if ends[0][0] > ends[1][1] else False if ends[0][1] < ends[1][0] else None)
    return _verdict(lines, decisions)


def steady(results: Results) -> Verdict:
    """How much seeds differ in the end."""
    runs = results.select("parrot", results.budget.fig5.tasks)
    if not runs:
        return Verdict("not run yet")
    deviation = float(np.mean([np.std(task) for task in scores(runs, "final")]))
    fewest = min(map(len, runs))
    line = f"standard deviation {deviation:.2f}, of at least {_count(fewest, 'run')} a task, {_on(len(runs))}"
    return _verdict([line], [deviation < STEADY if fewest >= FEWEST_RUNS else None])


def alike(one: str, others: Sequence[str], measure: str) -> Callable[[Results], Verdict]:
    """One method that is no more than `ALIKE` better than each of several; all of them must have been run."""

    def judge(results: Results) -> Verdict:
        tasks, lines, decisions = results.budget.fig5.tasks, list[str](), list[Decision]()
        for other in others:
            a, b = _common(results.select(one, tasks), results.select(other, tasks))
            if not a:
                continue
            found = difference(scores(a, measure), scores(b, measure))
            lines.append(f"{label(one)} over {label(other)}, before learning: {_figure(found, signed=True)}")
            decisions.append(_within(found))
        return _verdict(lines, decisions + [None] * (0 < len(decisions) < len(others)))

    return judge


def _within(found: Interval) -> Decision:
    """Whether the first is not better than alike, if the interval decides."""
    above = _above(found, ALIKE)
    return None if above is None else not above


def sizes(results: Results) -> Verdict:
    """Larger datasets against 10,000 trajectories."""
    plan = results.budget.fig6
    finals = {n: results.select("parrot", plan.tasks, "both", n) for n in sorted(plan.trajectories)}
    finals = {n: runs for n, runs in finals.items() if runs}
    if not finals:
        return Verdict("not run yet")
    lines = [f"{n:,} trajectories: {_figure(interval(scores(runs, 'final')))}" for n, runs in finals.items()]
    enough, more = 10_000, [n for n in finals if n > 10_000]
    if enough not in finals or not more:
        return _verdict([*lines, "the claim is about 10,000 and more; other sizes leave it open"], [None])
    decisions = []
    for n in more:
        a, b = _common(finals[n], finals[enough])
        found = difference(scores(a, "final"), scores(b, "final"))
        lines.append(f"{n:,} over {enough:,}: {_figure(found, signed=True)}")
        decisions.append(_within(found))
    return _verdict(lines, decisions)


def little(results: Results) -> Verdict:
    """The smallest dataset against none at all."""
    plan = results.budget.fig6
    few = min(plan.trajectories)
    a, b = _common(results.select("parrot", plan.tasks, "both", few), results.select("sac", plan.tasks))
    if not a:
        return Verdict("not run yet")
    found = difference(scores(a, "final"), scores(b, "final"))
    return _verdict([f"{few:,} trajectories over SAC: {_figure(found, signed=True)}"], [_above(found, 0.0)])


def mismatch(mix: str, grasp: bool, bound: float, above: bool) -> Callable[[Results], Verdict]:
    """A prior of one kind of data on one kind of task.

    Args:
        mix: kind of its data.
        grasp: whether the tasks are to grasp, or to place.
        bound: of success after learning.
        above: whether the claim is that it is above the bound, or below.
    """

    def judge(results: Results) -> Verdict:
        plan = results.budget.fig7
        tasks = [task for task in plan.tasks if is_grasp(task) == grasp]
        kind, lines = "grasping" if grasp else "pick and place", list[str]()
        found: dict[str, Interval] = {}
        for name in (mix, "both"):
            if runs := results.select("parrot", tasks, name, plan.trajectories):
                found[name] = interval(scores(runs, "final"))
                lines.append(
                    f"prior from {_FROM[name]}, {kind} tasks: {_figure(found[name])} on {_count(len(runs), 'task')}"
                )
        if mix not in found:
            return Verdict("not run yet")
        over = _above(found[mix], bound)
        return _verdict(lines, [None if over is None else over == above])

    return judge

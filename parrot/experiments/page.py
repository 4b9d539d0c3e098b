"""`docs/reproduction.md`: the paper's claims, and what the CSVs say of each so far; made by a command, not by hand."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from parrot.errors import ConfigError
from parrot.experiments.findings import FINDINGS, Finding
from parrot.experiments.jobs import Place
from parrot.experiments.plan import FIGURES, Plan
from parrot.experiments.table import Results
from parrot.fields import read_yaml

__all__ = ["page"]

REASONS = "reasons.yaml"
"""Beside the budgets' folders: name of a claim -> why our runs contradict the paper."""

_ORDER = ("paper", "small")

_HEAD = """\
# The paper's claims, and what our runs say

Written by `parrot experiment report` from the CSVs in [{results}]({link}), never by hand;
[experiments.md](experiments.md) tells how the runs are made, and what a budget is. Figures are interquartile means of
success over all runs and tasks, with 95% intervals from a stratified bootstrap (Agarwal et al., 2021) and the number of
runs; a claim counts as decided only where such intervals, with at least three runs of each task, decide it. Before that
it is open, whichever way the figures lean. The paper's own figures are pictures: its curves are not compared number by
number.

All methods of a budget learn by the same SAC. Only that of the budget `paper` is the paper's; `small` and `smoke` take
the preset `fast`, whose choices were made on PARROT ([training.md](training.md)) and may suit it better than others.
"""


def page(results: Path, docs: Path) -> str:
    """The page, as Markdown.

    Args:
        results: folder that holds a folder for each budget.
        docs: folder of the page, which its links start from.

    Raises:
        RunError: a folder was made by another version of parrot.
        ConfigError: `reasons.yaml` names no claim of ours.
    """
    found = [Results(path.parent) for path in sorted(results.glob("*/budget.json"))]
    found.sort(key=lambda r: _rank(r.budget.name))
    reasons = _reasons(results / REASONS)
    link = os.path.relpath(results, docs)
    parts = [_HEAD.format(results=results.name, link=link)]
    parts.append("\n".join(_runs(found)))
    for figure in FIGURES:
        parts.append("\n".join(_section(figure, found, reasons, docs)))
    return "\n".join(parts)


def _rank(name: str) -> tuple[int, str]:
    base = name.partition("-x")[0]
    return (_ORDER.index(base) if base in _ORDER else len(_ORDER), name)


def _reasons(path: Path) -> dict[str, str]:
    value = read_yaml(path) if path.exists() else None
    reasons = value if isinstance(value, dict) else {}
    if unknown := set(reasons) - {finding.key for finding in FINDINGS}:
        known = ", ".join(finding.key for finding in FINDINGS)
        raise ConfigError(f"{path}: there is no claim {sorted(unknown)[0]!r}; the claims are {known}")
    return reasons


def _runs(found: Sequence[Results]) -> Iterator[str]:
    """How many results there are, of how many, by which commits."""
    yield "## What was run\n"
    if not found:
        yield "Nothing yet.\n"
        return
    yield "| budget | " + " | ".join(FIGURES) + " | commits |"
    yield "|---" * (len(FIGURES) + 2) + "|"
    for results in found:
        plan, place = Plan(results.budget), Place(results.folder, Path())
        counts = []
        for figure in FIGURES:
            names = [job.name for job in plan.jobs(figure) if job.final]
            counts.append(f"{sum(place.table(name).exists() for name in names)} of {len(names)}")
        commits = sorted({c.commit for c in results.curves} | {w.commit for w in results.walked.values()})
        yield f"| {results.budget.name} | {' | '.join(counts)} | {', '.join(f'`{c}`' for c in commits) or '-'} |"
    yield ""


_TITLES = {
    "fig4": "Figure 4: exploration with and without the prior",
    "fig5": "Figure 5: seven methods",
    "fig6": "Figure 6: how much prior data",
    "fig7": "Figure 7: prior data of another kind",
}


def _section(figure: str, found: Sequence[Results], reasons: dict[str, str], docs: Path) -> Iterator[str]:
    yield f"## {_TITLES[figure]}\n"
    for results in found:
        picture = results.folder / f"{figure}.png"
        if picture.exists():
            name = results.budget.name
            note = " (nothing is claimed from it)" if results.budget.claims_nothing else ""
            yield f"![{_TITLES[figure]}, budget {name}{note}]({os.path.relpath(picture, docs)})\n"
    for finding in FINDINGS:
        if finding.figure == figure:
            yield from _claim(finding, found, reasons)


def _claim(finding: Finding, found: Sequence[Results], reasons: dict[str, str]) -> Iterator[str]:
    yield f"### {finding.claim}\n"
    yield f"Decided by: {finding.how}.\n"
    told = contradicted = False
    for results in found:
        name, verdict = results.budget.name, finding.judge(results)
        if verdict.outcome == "not run yet":
            continue
        told = True
        if results.budget.claims_nothing:
            yield f"- **{name}**: it was run, to show that it runs; nothing is claimed from it."
            continue
        contradicted |= verdict.outcome == "contradicts"
        yield f"- **{name}: {verdict.outcome}**"
        yield from (f"  - {line}" for line in verdict.lines)
    if not told:
        yield "- **not run yet**"
    if contradicted:
        yield f"- Why: {reasons.get(finding.key, 'the reason is still to be looked for')}"
    yield ""

"""The page of claims: decided by intervals, silent on a smoke run, and the one in docs is what the CSVs say."""

from dataclasses import replace
from pathlib import Path

import pytest
from tiny import TINY

import parrot
from parrot.durable import write_json, write_text
from parrot.errors import ConfigError
from parrot.experiments.budgets import METHODS, Comparison, Exploration, budget
from parrot.experiments.drawing import label
from parrot.experiments.findings import FINDINGS
from parrot.experiments.page import page
from parrot.experiments.plan import Plan
from parrot.experiments.table import Results
from parrot.results import write_results

ROOT = Path(parrot.__file__).resolve().parent.parent
JUDGE = {finding.key: finding.judge for finding in FINDINGS}


def results(folder, finals, size=None, initial=0.0):
    """A folder of results in which each method ends with these rates, one for each seed, on every task of Figure 5."""
    size = size or replace(budget("paper"), name="test")
    write_json(folder / "budget.json", size.to_json())
    for algo, rates in finals.items():
        for task in size.fig5.tasks:
            for seed, rate in enumerate(rates):
                run = Plan(size).run(task, algo, seed)
                write(folder, run, initial, rate, size)
    return Results(folder)


def write(folder, run, initial, final, size):
    about = {
        "task": run.task, "algo": run.algo, "mix": run.mix or "", "trajectories": run.trajectories, "seed": run.seed,
        "commit": "abc",
    }  # fmt: skip
    ends = ((0, initial), (size.env_steps, final))
    write_results(folder / f"{run.name}.csv", [{**about, "at": at, "success": rate} for at, rate in ends])


def test_clear_runs_decide_and_scattered_ones_do_not(tmp_path):
    good, bad, torn = (0.9, 0.95, 1.0), (0.0, 0.02, 0.0), (0.0, 0.5, 1.0)
    clear = results(tmp_path / "a", {m: good if m == "parrot" else bad for m in METHODS})
    assert JUDGE["higher"](clear).outcome == JUDGE["faster"](clear).outcome == "agrees"
    assert JUDGE["sac"](clear).outcome == "agrees"
    assert JUDGE["steady"](clear).outcome == "agrees"
    assert JUDGE["latent"](clear).outcome == "open"
    worse = results(tmp_path / "b", {m: bad if m == "parrot" else good for m in METHODS})
    assert JUDGE["higher"](worse).outcome == "contradicts"
    assert JUDGE["sac"](worse).outcome == "contradicts"
    open_ = results(tmp_path / "c", dict.fromkeys(METHODS, torn))
    assert JUDGE["higher"](open_).outcome == "open"


def test_a_claim_about_every_method_is_open_until_every_method_was_run(tmp_path):
    found = results(tmp_path, {"parrot": (0.9, 0.9, 1.0), "sac": (0.0, 0.0, 0.0)})
    verdict = JUDGE["higher"](found)
    assert verdict.outcome == "open"
    (line,) = verdict.lines  # of 16 times 0.9 and 8 times 1.0 the middle half has 10 and 2
    assert line.startswith("PARROT over SAC: +0.92 (")
    assert line.endswith("; 48 runs) on 8 of the paper's 8 tasks")
    assert JUDGE["vae_features"](found).outcome == "not run yet"


def test_two_seeds_decide_nothing(tmp_path):
    found = results(tmp_path, {m: (1.0, 1.0) if m == "parrot" else (0.0, 0.0) for m in METHODS})
    assert {JUDGE[key](found).outcome for key in ("higher", "faster", "sac", "steady", "start")} == {"open"}


def test_progress_on_two_tasks_of_eight_is_what_the_paper_says_of_bc_sac(tmp_path):
    found = results(tmp_path, {"bc_sac": (0.0, 0.0, 0.0)})
    assert JUDGE["bc_sac"](found).outcome == "contradicts"  # on none at all
    for task in found.budget.fig5.tasks[:2]:
        for seed in range(3):
            write(tmp_path, Plan(found.budget).run(task, "bc_sac", seed), 0.0, 0.8, found.budget)
    verdict = JUDGE["bc_sac"](Results(tmp_path))
    assert verdict.outcome == "agrees"
    assert verdict.lines[0].startswith(
        f"{label('bc_sac')} makes progress on 2 of 8 tasks (Grasp cap, Place can in pan)"
    )


def test_sizes_and_mismatch_are_judged_by_their_own_runs(tmp_path):
    found = results(tmp_path, {"sac": (0.0, 0.0, 0.0)})
    b, plan = found.budget, Plan(found.budget)
    for task in b.fig6.tasks:
        for n in b.fig6.trajectories:
            for seed in range(3):
                write(tmp_path, plan.run(task, "parrot", seed, "both", n), 0.1, 0.7 if n == 5000 else 0.9, b)
    for task in b.fig7.tasks:
        for seed in range(3):
            write(tmp_path, plan.run(task, "parrot", seed, "grasp", b.fig7.trajectories), 0.0, 0.05, b)
            write(tmp_path, plan.run(task, "parrot", seed, "place", b.fig7.trajectories), 0.1, 0.3, b)
    found = Results(tmp_path)
    assert JUDGE["sizes"](found).outcome == JUDGE["little"](found).outcome == "agrees"
    assert JUDGE["grasp-prior"](found).outcome == "agrees"
    assert JUDGE["place-prior"](found).outcome == "contradicts"


def test_a_contradiction_asks_for_its_reason(tmp_path):
    results(tmp_path / "test", {"sac": (0.8, 0.9, 1.0)})
    assert "- Why: the reason is still to be looked for" in page(tmp_path, tmp_path)
    write_text(tmp_path / "reasons.yaml", "sac: The reward is dense here.\n")
    text = page(tmp_path, tmp_path)
    assert "- Why: The reward is dense here." in text
    assert "| test | 0 of 16 | 24 of 168 |" in text
    write_text(tmp_path / "reasons.yaml", "sack: typo\n")
    with pytest.raises(ConfigError, match="there is no claim 'sack'"):
        page(tmp_path, tmp_path)


def test_nothing_is_claimed_from_a_smoke_run(tmp_path):
    size = budget("smoke")
    results(tmp_path / "smoke", {m: (1.0,) if m == "parrot" else (0.0,) for m in METHODS}, size)
    text = page(tmp_path, tmp_path)
    assert "| smoke | 0 of 4 | 14 of 14 |" in text
    assert "- **smoke**: it was run, to show that it runs; nothing is claimed from it." in text
    assert not any(word in text for word in ("**smoke: agrees**", "**smoke: open**", "over SAC"))


def test_the_page_in_docs_is_what_the_csvs_say():
    committed = (ROOT / "docs" / "reproduction.md").read_text(encoding="utf-8")
    assert page(ROOT / "results" / "reproduction", ROOT / "docs") == committed, "run: parrot experiment report"


def test_interaction_is_judged_by_shares_of_episodes(tmp_path):
    size = replace(TINY, name="test", fig4=Exploration(("grasp_cap",), 1, 100), fig5=Comparison((), (), 1))
    write_json(tmp_path / "budget.json", size.to_json())
    for policy, touches in (("prior", 90), ("uniform", 20)):
        about = {"task": "grasp_cap", "policy": policy, "seed": 0, "commit": "abc"}
        rows = [
            {**about, "episode": n, "what": "episode", "step": 25, "x": "", "y": "", "z": "",
             "touched": int(n < touches), "lifted": int(n < touches // 2), "success": 0}
            for n in range(100)
        ]  # fmt: skip
        path = {**about, "episode": 100, "what": "path", "step": 0, "x": 0.3, "y": 0.0, "z": 0.1, "touched": 0,
                "lifted": 0, "success": 0}  # fmt: skip
        write_results(tmp_path / "explore" / f"grasp_cap-{policy}.csv", [path, *rows])
    verdict = JUDGE["interaction"](Results(tmp_path))
    assert verdict.outcome == "agrees"
    assert verdict.lines[0].startswith("random z through the prior touch an object in 90% (83% to 94%) of 100;")

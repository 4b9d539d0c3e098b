"""Training shared out by the real torchrun: the same prior as one process makes, and one folder."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from prior_blobs import SMALL, write_dataset

from parrot.prior.train import Trainer

# Without augmentation and noise, so that a batch is the same whoever draws it.
PLAIN = replace(SMALL, shift=0, jitter=0.0, dequantise=0.0, dequantise_bound=0.0, steps=12, batch=16)

PROGRAM = """
import sys, torch
from pathlib import Path
from test_workers import PLAIN
from parrot.data.dataset import Dataset
from parrot.prior.train import Trainer

torch.set_num_threads(1)
trainer = Trainer(Dataset.open([Path(sys.argv[1])]), PLAIN, Path(sys.argv[2]), device="cpu")
trainer.run()
print(f"worker {trainer.workers.rank}: {sum(float(p.detach().double().sum()) for p in trainer.prior.parameters())!r}")
"""


def torchrun(workers, *arguments):
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={workers}", "--standalone"]
    path = os.pathsep.join([os.path.dirname(__file__), os.getcwd(), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, timeout=110,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.mark.timeout(120)
def test_two_workers_learn_what_one_learns(tmp_path):
    dataset = write_dataset(tmp_path / "data", episodes=30)
    (tmp_path / "program.py").write_text(PROGRAM)
    done = torchrun(2, tmp_path / "program.py", tmp_path / "data", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    sums = {line.partition(": ")[2] for line in done.stdout.splitlines() if line.startswith("worker")}
    assert len(sums) == 1, "the workers' weights differ"
    one = Trainer(dataset, PLAIN, tmp_path / "one", device="cpu")
    one.run()
    two = Trainer(dataset, PLAIN, tmp_path / "two", device="cpu")
    assert two.step == PLAIN.steps
    for ours, theirs in zip(one.prior.parameters(), two.prior.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=1e-3)


@pytest.mark.timeout(120)
def test_a_batch_that_cannot_be_shared_out_is_refused_in_one_line(tmp_path):
    write_dataset(tmp_path / "data", episodes=3)
    done = torchrun(
        2, "-m", "parrot.cli", "prior", "train", tmp_path / "data", "--out", tmp_path / "out", "--batch", "7"
    )
    assert done.returncode != 0
    assert "batch 7 cannot be shared out to 2 workers" in done.stderr
    assert "Error:" not in done.stderr.split("torch.distributed")[0]

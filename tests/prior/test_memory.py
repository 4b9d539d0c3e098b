"""Freed memory that stays with the process."""

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, torch
from parrot.prior.memory import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit(77)
torch.set_num_threads(1)
def step():
    a = torch.ones(64 * 2**20 // 4)
    return (a + a).sum()
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how):
    done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip("the C library is not glibc")
    return int(done.stdout)


def test_buffers_that_come_again_are_not_mapped_again():
    assert faults("keep") < faults("give back") / 5

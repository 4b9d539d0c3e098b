"""Runs on a Ray cluster: a real one, on this machine."""

import os
import sys
import time
from pathlib import Path

import pytest
from tiny import task

from parrot.bench.collection import local_cluster
from parrot.experiments.jobs import left
from parrot.experiments.work import claims_of

pytest.importorskip("ray", reason="the extra `ray` is not installed")


@pytest.mark.own_process(300)
@pytest.mark.skipif(" " in sys.executable, reason="Ray itself fails where Python's path has spaces")
def test_a_cluster_does_the_jobs_and_sends_their_results_here(tmp_path):
    from parrot.experiments.remote import Cluster

    mine = task(tmp_path, "fig4")
    jobs = [job for job in mine.jobs() if job.final and not job.needs]  # what needs no prior
    path = os.pathsep.join(str(Path(__file__).parents[n]) for n in (0, 2))
    with local_cluster(path) as address, Cluster(address, 1, jobs, mine.place) as cluster:
        while cluster.running:
            time.sleep(0.1)
        cluster.check()
    assert left(jobs, mine.place) == []
    assert claims_of(mine.place).holders() == {}
    assert mine.place.table("explore/grasp_cap-uniform").exists()

"""What all tests share: one thread for each process, and a ROS graph that nobody else on the machine hears."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

# A shell that starts pytest in the background has it, and all that it starts, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Set before NumPy, PyTorch or rclpy are imported, and inherited by the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
if "PYTEST_XDIST_WORKER" in os.environ or "ROS_DOMAIN_ID" not in os.environ:
    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)

IN_ITS_OWN = "PARROT_TEST_IN_ITS_OWN_PROCESS"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "own_process(seconds): runs in a process of its own, which may take that long")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Such a process that was ended gets one more chance, and pytest's summary names it."""
    for item in items:
        if marker := item.get_closest_marker("own_process"):
            (seconds,) = marker.args
            # The process within ends first, and ends what it started.
            item.add_marker(pytest.mark.timeout(seconds if IN_ITS_OWN in os.environ else seconds + 60))
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Ray ends the process that drives it when a part of its cluster dies, which must not end all tests."""
    if not pyfuncitem.get_closest_marker("own_process") or IN_ITS_OWN in os.environ:
        return None
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:rerunfailures"]
    done = subprocess.run(
        [*command, pyfuncitem.nodeid],
        cwd=pyfuncitem.config.rootpath,
        env={**os.environ, IN_ITS_OWN: "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, f"ended with {done.returncode}:\n{done.stdout}"
    return True

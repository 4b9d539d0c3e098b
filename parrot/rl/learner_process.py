"""The actor's end of the learner: starts its process, has it save, and starts it again when something kills it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from parrot.errors import RunError
from parrot.rl.learner import LearnerSpec
from parrot.rl.shared import SharedBlock

__all__ = ["LearnerProcess"]

STOP_SECONDS = 3.0
"""A learner that has not saved and ended by then is killed; its last checkpoint stays."""

SHORT_LIFE = 30.0
"""Seconds: one that is killed sooner after its start may have been killed for what it does, for its memory say."""

SHORT_LIVES = 3
"""So many of them in a row, and it is not started again."""

log = logging.getLogger(__name__)


class LearnerProcess:
    """Starts the learner and looks after it.

    A learner that a signal killed, by whomever it was sent, goes on from its last checkpoint with the same replay: the
    memory is the actor's. One that ends by itself has met an error, and is not started again.

    Args:
        spec: what the learner is told.
        block: the shared memory; the replay in it may hold episodes already.
    """

    def __init__(self, spec: LearnerSpec, block: SharedBlock) -> None:
        self.spec, self.block = spec, block
        self.restarts = 0
        """How often it was started again."""
        self._short_lives = 0
        self._reported = False
        # Its last words, should it die; a file never fills up as a pipe does.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        self._start()

    def _start(self) -> None:
        env = {**os.environ, "OMP_NUM_THREADS": str(self.spec.threads), "MKL_NUM_THREADS": str(self.spec.threads)}
        package = str(Path(__file__).resolve().parents[2])
        env["PYTHONPATH"] = os.pathsep.join(p for p in (package, os.environ.get("PYTHONPATH")) if p)
        self._began = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "parrot.rl.learner", str(self.block.fd), self.spec.to_json(), str(os.getpid())],
            stdin=subprocess.DEVNULL, stdout=self._stderr, stderr=self._stderr, pass_fds=[self.block.fd], env=env,
            start_new_session=True,  # Ctrl-C is the actor's business, which then asks the learner to save
        )  # fmt: skip

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def check(self) -> None:
        """Notices a dead learner, and starts it again if a signal killed it.

        Raises:
            RunError: it has ended by itself, or is killed again and again.
        """
        code = self._process.poll()
        if code is None:
            return
        self._short_lives = self._short_lives + 1 if time.monotonic() - self._began < SHORT_LIFE else 0
        if code < 0 and self._short_lives < SHORT_LIVES:
            log.warning("the learner %s; it goes on from its last checkpoint, and no episode is lost", _end(code))
            self.restarts += 1
            self._start()
            return
        self._reported = True
        self._stderr.seek(0)
        words = self._stderr.read().decode(errors="replace").strip().splitlines()
        if code > 0 and words and words[-1].startswith("parrot: "):
            raise RunError(f"the learner stopped: {words[-1].removeprefix('parrot: ')}")
        how = _end(code) + (f" {SHORT_LIVES} times, soon after its start" if code < 0 else "")
        cause = f" ({words[-1]})" if words else ""
        raise RunError(f"the learner {how}{cause}; everything up to here is saved: start the same run again to go on")

    def wait_for(self, updates: int, poll: Callable[[], None] = lambda: None) -> None:
        """Waits until the learner has done so many updates in all.

        Raises:
            RunError: as `check`.
        """
        while self.block.statistics[0] < updates:
            self.check()
            poll()
            time.sleep(0.002)

    def save(self) -> None:
        """Has the learner save, and waits for it.

        Raises:
            RunError: as `check`; for instance because the disk is full.
        """
        self.block.wishes[1] += 1
        while self.block.statistics[1] < self.block.wishes[1]:
            self.check()
            time.sleep(0.005)

    def stop(self) -> None:
        """Has the learner save and end; if it was killed, its last checkpoint stays.

        Raises:
            RunError: it had ended by itself before, unnoticed, or could not save.
        """
        try:
            if self._reported:
                return
            self.block.wishes[0] = 1
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            code = self._process.returncode
            if code > 0:
                self.check()
            elif code < 0:
                log.warning("the learner %s before it had saved; its last checkpoint stays", _end(code))
        finally:
            self.close()

    def close(self) -> None:
        """Ends the learner without ado if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._stderr.close()


def _end(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"

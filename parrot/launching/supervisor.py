"""Runs the processes of a graph: relays what they print, and ends them all when one that is required ends.

One thread, no locks: the loop waits on the processes' pipes and looks at the processes twenty times a second.
"""

from __future__ import annotations

import ctypes
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import IO

from parrot.errors import ConfigError
from parrot.launching.substitutions import PlannedNode

__all__ = ["ESCALATION", "Supervisor", "exit_status"]

ESCALATION = ((0.0, signal.SIGINT), (3.5, signal.SIGTERM), (4.7, signal.SIGKILL))
"""Seconds after the graph starts to end -> signal that the processes then get. All are gone within 5 s."""

TICK = 0.05
"""Seconds between two looks at the processes."""

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

log = logging.getLogger("parrot.launch")


def exit_status(code: int) -> int:
    """The exit status as a shell gives it: 128 + N for a process that signal N ended."""
    return code if code >= 0 else 128 - code


@dataclass(eq=False)
class Child:
    """One process of the graph."""

    label: str
    """Executable and number, as launch labels it: `sim_node-1`."""
    process: subprocess.Popen[bytes]
    required: bool
    partial: dict[int, bytes] = field(default_factory=dict)
    """File descriptor -> the beginning of a line whose end has not come yet."""
    ended: bool = False


class Supervisor:
    """The processes of one graph, from start to end. Use from the main thread."""

    def __init__(self, nodes: Sequence[PlannedNode], *, own_terminal: bool | None = None) -> None:
        """Prepares the graph.

        Args:
            nodes: What to run.
            own_terminal: Give the terminal, unprefixed, to the only node with `output="screen"`, so that it
                can draw there. None: if standard output is a terminal.
        """
        self.nodes = list(nodes)
        screens = [n for n in self.nodes if n.output == "screen"]
        on_terminal = sys.stdout.isatty() if own_terminal is None else own_terminal
        self.owner = screens[0] if on_terminal and len(screens) == 1 else None
        self.children: list[Child] = []
        self.selector = selectors.DefaultSelector()
        self.signals: list[int] = []
        self.errors_told: set[bytes] = set()
        self.ending_since: float | None = None
        self.escalated = 0
        self.failure = 0

    def run(self) -> int:
        """Runs the graph to its end.

        Returns:
            0, or the exit status of the first node that failed, or 128 + N if signal N ended the graph.

        Raises:
            ConfigError: a node is of another package.
        """
        commands = [command(node) for node in self.nodes]
        previous = {s: signal.signal(s, self._on_signal) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            for index, (node, words) in enumerate(zip(self.nodes, commands, strict=True), start=1):
                self._start(f"{node.executable}-{index}", node, words)
            while not all(child.ended for child in self.children):
                self._relay(TICK)
                self._reap()
                self._obey_signals()
                self._escalate()
        finally:
            self._kill_all()
            for number, handler in previous.items():
                signal.signal(number, handler)
        return self.failure or (128 + self.signals[0] if self.signals else 0)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.signals.append(number)

    def _start(self, label: str, node: PlannedNode, words: list[str]) -> None:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL, stdout=None if node is self.owner else subprocess.PIPE, stderr=subprocess.PIPE,
            env={**node.environment, "PYTHONUNBUFFERED": "1"},
            # Away from the terminal's process group: Ctrl-C comes to us alone, and we pass it on once.
            start_new_session=True,
            preexec_fn=die_with(os.getpid()),
        )  # fmt: skip
        child = Child(label, process, node.required)
        self.children.append(child)
        for stream, shown in ((process.stdout, node.output != "log"), (process.stderr, True)):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                self.selector.register(stream, selectors.EVENT_READ, (child, shown))
        log.info("%s: process started with pid %d", label, process.pid)

    def _relay(self, timeout: float) -> None:
        """Passes on whole lines, each with its process's label before it."""
        if not self.selector.get_map():
            time.sleep(timeout)
            return
        for key, _ in self.selector.select(timeout):
            stream: IO[bytes] = key.fileobj  # type: ignore[assignment]
            child, shown = key.data
            try:
                data = os.read(key.fd, 65536)
            except BlockingIOError:
                continue
            lines = (child.partial.pop(key.fd, b"") + data).split(b"\n")
            if data:
                child.partial[key.fd] = lines.pop()
            else:
                self.selector.unregister(stream)
                lines = [line for line in lines if line]
            if shown and (lines := [line for line in lines if self._is_news(line)]):
                prefix = f"[{child.label}] ".encode()
                sys.stdout.buffer.write(b"".join(prefix + line + b"\n" for line in lines))
                sys.stdout.buffer.flush()

    def _is_news(self, line: bytes) -> bool:
        """Whether no other node has told the same error: a missing file may concern several of them."""
        if not line.startswith(b"parrot: "):
            return True
        told = line in self.errors_told
        self.errors_told.add(line)
        return not told

    def _reap(self) -> None:
        """Notices the processes that have ended; a required one ends the graph."""
        for child in self.children:
            if child.ended or child.process.poll() is None:
                continue
            child.ended = True
            self._relay(0)
            code = child.process.returncode
            if code and not self.failure and not self._killed_by_us(code):
                self.failure = exit_status(code)
            if self.ending_since is None:
                consequence = "it is required: ending the graph" if child.required else "the graph goes on"
                say = log.error if code else log.info
                say("%s: %s (pid %d); %s", child.label, how_it_ended(code), child.process.pid, consequence)
                if child.required:
                    self.end()
            elif code and not self._killed_by_us(code):
                log.error("%s: %s (pid %d)", child.label, how_it_ended(code), child.process.pid)

    def _killed_by_us(self, code: int) -> bool:
        """Whether our own signal killed the process: while it was starting or, after Ctrl-C, for being too slow."""
        ours = (-signal.SIGINT, -signal.SIGTERM, *([-signal.SIGKILL] if self.signals else []))
        return self.ending_since is not None and code in ours

    def _obey_signals(self) -> None:
        """A first signal ends the graph, each further one presses harder."""
        wanted = len(self.signals)
        if wanted and self.ending_since is None:
            log.info("%s: ending the graph", signal.Signals(self.signals[0]).name)
            self.end()
        while self.escalated < min(wanted, len(ESCALATION)):
            self._send_next()

    def end(self) -> None:
        """Begins to end the graph."""
        if self.ending_since is None:
            self.ending_since = time.monotonic()

    def _escalate(self) -> None:
        if self.ending_since is None:
            return
        passed = time.monotonic() - self.ending_since
        while self.escalated < len(ESCALATION) and passed >= ESCALATION[self.escalated][0]:
            self._send_next()

    def _send_next(self) -> None:
        number = ESCALATION[self.escalated][1]
        self.escalated += 1
        for child in self.children:
            if child.ended:
                continue
            if self.escalated > 1:
                log.warning("%s: has not ended yet; sending %s", child.label, number.name)
            child.process.send_signal(number)

    def _kill_all(self) -> None:
        """Ends whatever is left of the processes and of those that they started."""
        for child in self.children:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()
            for stream in (child.process.stdout, child.process.stderr):
                if stream is not None:
                    stream.close()
        self.selector.close()


def command(node: PlannedNode) -> list[str]:
    """The command that runs a node of ours.

    Raises:
        ConfigError: the node is of another package.
    """
    if node.package != "parrot":
        raise ConfigError(
            f"node {node.executable!r} of package {node.package!r}: `parrot launch` runs only parrot's own nodes; "
            "install ROS 2 and use `ros2 launch`"
        )
    return [sys.executable, "-m", f"parrot.nodes.{node.executable}", *node.arguments]


def die_with(parent: int) -> Callable[[], None]:
    """A function for the new process to run before our node: when we die, even by SIGKILL, it gets SIGTERM."""
    # Loaded here, not between fork and exec, where little is safe.
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def ask() -> None:
        # Held back until the node can save what it has (parrot.nodes.base), rather than interrupt its imports.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

    return ask


def how_it_ended(code: int) -> str:
    """In words."""
    if code == 0:
        return "has finished"
    if code > 0:
        return f"has failed with exit code {code}"
    return f"was killed by {signal.Signals(-code).name}"

"""What made a file: versions, commit, machine. Every manifest, model card and result carries it."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

__all__ = ["commit", "provenance"]


RESULTS = ("results", "docs", "bench/*.csv", "bench/*.json", "bench/*.png")
"""What a run writes into its checkout, and what cannot change a result."""


def commit() -> str:
    """The commit of parrot's checkout, with `-dirty` if it has changes other than results; `unknown` outside one."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():  # installed below somebody else's repository: their commit says nothing
        return "unknown"
    others = [f":(exclude){pattern}" for pattern in RESULTS]
    try:
        head = _git(root, "rev-parse", "--short=12", "HEAD")
        return head + "-dirty" * bool(_git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *others))
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def provenance(*packages: str) -> dict[str, str]:
    """Commit, Python, processor architecture, and the versions of parrot and of the named packages."""
    found = {"commit": commit(), "python": platform.python_version(), "machine": platform.machine()}
    for package in ("parrot", "numpy", *packages):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "unknown"
    return found


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

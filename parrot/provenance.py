"""What made a file: versions, commit, machine. Every manifest, model card and result carries it."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

__all__ = ["commit", "provenance"]


def commit() -> str:
    """The commit of parrot's checkout, with `-dirty` if it has changes; `unknown` outside a checkout."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():  # installed below somebody else's repository: their commit says nothing
        return "unknown"
    try:
        return subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True, text=True, check=True, timeout=10,
        ).stdout.strip()  # fmt: skip
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

"""The commit that results carry."""

import shutil
import subprocess
import sys
from pathlib import Path

from parrot import provenance


def test_results_leave_a_checkout_clean_and_code_does_not(tmp_path):
    def run(*command: str) -> str:
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()

    def commit() -> str:
        return run(sys.executable, "-c", "import runpy; print(runpy.run_path('parrot/provenance.py')['commit']())")

    code, result = tmp_path / "parrot" / "provenance.py", tmp_path / "results" / "curve.csv"
    for file in (code, result):
        file.parent.mkdir()
    shutil.copy(Path(provenance.__file__), code)
    result.write_text("step,success\n")
    run("git", "init", "--quiet")
    run("git", "add", ".")
    run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message=all")
    head = run("git", "rev-parse", "HEAD")[:12]
    assert commit() == head
    result.write_text("step,success\n1,0.5\n")
    (tmp_path / "runs").mkdir()
    assert commit() == head
    code.write_text(code.read_text() + "\n")
    assert commit() == f"{head}-dirty"

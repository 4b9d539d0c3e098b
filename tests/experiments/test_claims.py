"""Claims: one holder for a job, whoever asks; what a dead process held is free."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from parrot.experiments.claims import ClaimLostError, Claims, here


def waited(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def elsewhere(claims, job, **changes):
    """Makes a claim look like one of another machine."""
    path = claims.path(job)
    path.write_text(json.dumps({**json.loads(path.read_text()), "host": "another", **changes}))
    return path


def test_a_job_has_one_holder_until_it_is_given_back(tmp_path):
    claims = Claims(tmp_path)
    with claims.take("runs/grasp_cap/a") as claim:
        assert Claims(tmp_path).take("runs/grasp_cap/a") is None
        assert list(claims.holders()) == ["runs/grasp_cap/a"]
        assert claims.holders()["runs/grasp_cap/a"].token == claim.holder.token
    assert claims.holders() == {}
    claims.take("runs/grasp_cap/a").release()


def test_of_many_that_ask_at_once_one_gets_it(tmp_path):
    got, start = [], threading.Barrier(8)

    def ask():
        start.wait()
        got.append(Claims(tmp_path).take("job"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [claim for claim in got if claim]
    assert len(winners) == 1
    winners[0].release()


def test_what_a_killed_process_held_is_free_at_once_on_its_machine(tmp_path):
    code = textwrap.dedent(f"""
        import time
        from parrot.experiments.claims import Claims
        claim = Claims({str(tmp_path)!r}).take("job")
        print("held", flush=True)
        time.sleep(600)
    """)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    claims = Claims(tmp_path)
    assert claims.take("job") is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with claims.take("job") as claim:
        assert claim.holder.pid == os.getpid()


def test_a_claim_of_another_machine_is_free_when_it_stops_beating(tmp_path):
    claims = Claims(tmp_path, beat_s=600)
    first = claims.take("job")
    path = elsewhere(claims, "job")
    assert claims.take("job") is None
    os.utime(path, (time.time() - 121, time.time() - 121))
    assert claims.holders() == {}
    second = claims.take("job")
    first.release()  # no longer its own, so this takes nothing away
    assert claims.holders()["job"].host == here()
    second.release()


def test_whoever_lost_a_claim_is_told(tmp_path):
    claims = Claims(tmp_path, beat_s=0.02)
    claim = claims.take("job")
    elsewhere(claims, "job", token="theirs")

    def told():
        try:
            claim.tell(0.5)
        except ClaimLostError:
            return True
        return False

    waited(told)
    claim.release()
    assert claims.read(claims.path("job")).token == "theirs"


def test_a_beat_carries_how_far_the_job_is(tmp_path):
    claims = Claims(tmp_path, beat_s=0.02)
    with claims.take("job") as claim:
        before = claims.path("job").stat().st_mtime_ns
        claim.tell(0.25, "episode 3")
        waited(lambda: claims.holders()["job"].progress == 0.25)
        assert claims.holders()["job"].note == "episode 3"
        assert claims.path("job").stat().st_mtime_ns > before


def test_half_a_file_is_free_only_when_it_is_old(tmp_path):
    claims = Claims(tmp_path)
    claims.path("job").write_text('{"host": "an')
    assert claims.take("job") is None
    os.utime(claims.path("job"), (0, 0))
    with pytest.raises(AssertionError), claims.take("job"):
        raise AssertionError
    assert claims.holders() == {}

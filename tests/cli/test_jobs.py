# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Several trainings at a time: their number, their threads, restarts and their end. Shells stand for trainings."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from rich.console import Console

from rsl_dpcppo.cli.compare.jobs import MOST_RESTARTS, Job, progress_table, run_all, was_killed
from rsl_dpcppo.cli.compare.machine import Machine, threads_each
from rsl_dpcppo.cli.compare.processes import OVER_MEMORY, Resources

OUTCOMES = {0: "finished", 3: "diverged"}


def job(folder: Path, name: str, script: str | Callable[[], str]) -> Job:
    def command() -> list[str]:
        return ["sh", "-c", script if isinstance(script, str) else script()]

    return Job(name, command, folder / f"{name}.log", OUTCOMES)


def text_of(jobs: list[Job]) -> str:
    console = Console(width=100)
    with console.capture() as captured:
        console.print(progress_table(jobs))
    return captured.get()


def test_so_many_run_at_a_time(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    jobs = [job(tmp_path, f"j{i}", f"echo 1 >> {shared}; sleep 0.3; echo -1 >> {shared}") for i in range(5)]
    run_all(jobs, Machine(2, Resources()), Console(quiet=True))
    assert max(itertools.accumulate(int(line) for line in shared.read_text().split())) == 2
    assert [(each.status, each.state) for each in jobs] == [(0, "finished")] * 5


def test_cores_are_shared_unless_threads_are_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert [threads_each(n) for n in (1, 3, 16)] == [8, 2, 1]
    for given, expected in (("", "2"), ("5", "5")):
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        if given:
            monkeypatch.setenv("OMP_NUM_THREADS", given)
        one = job(tmp_path, f"threads{given}", "echo $OMP_NUM_THREADS")
        run_all([one], Machine(3, Resources()), Console(quiet=True))
        assert one.log.read_text().strip() == expected


def test_cores_of_a_run_go_before_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    one = job(tmp_path, "cores", "echo $OMP_NUM_THREADS")
    run_all([one], Machine(1, Resources(cores=3)), Console(quiet=True))
    assert one.log.read_text().strip() == "3"


TAKE_MEMORY = f"{sys.executable} -c 'import time; taken = bytearray(200 * 2**20); time.sleep(60)' & wait"
"""Takes it in a child, as environments do that are processes of their own."""


def test_a_run_that_takes_too_much_memory_is_ended_and_not_taken_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [job(tmp_path, "small", "exit 0"), job(tmp_path, "large", TAKE_MEMORY)]
    run_all(jobs, Machine(2, Resources(memory=0.1)), Console(width=200))
    small, large = jobs
    assert (small.state, large.state, large.status, large.restarts) == ("finished", "failed", OVER_MEMORY, 0)
    message = re.search(
        r"\[ERROR\] large: ended, because it took (\d\.\d+) GiB of memory, and --memory is 0.1", large.log.read_text()
    )
    assert message
    assert 0.1 < float(message.group(1)) < 0.5
    assert message.group() in capsys.readouterr().out


def test_a_run_waits_until_its_memory_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What those that run may still take is not free; one is run however little there is."""
    shared = tmp_path / "shared"
    most = {}
    for free in (0.0, 2.5, 9.0):
        shared.unlink(missing_ok=True)
        monkeypatch.setattr(psutil, "virtual_memory", lambda free=free: SimpleNamespace(available=free * 2**30))
        jobs = [job(tmp_path, f"j{i}", f"echo 1 >> {shared}; sleep 0.3; echo -1 >> {shared}") for i in range(3)]
        run_all(jobs, Machine(3, Resources(memory=1.0)), Console(quiet=True))
        assert [each.state for each in jobs] == ["finished"] * 3
        most[free] = max(itertools.accumulate(int(line) for line in shared.read_text().split()))
    assert most == {0.0: 1, 2.5: 2, 9.0: 3}


def test_a_killed_run_is_taken_up_a_few_times(tmp_path: Path) -> None:
    scripts = iter(["kill -9 $$", "exit 143", "echo done"])
    healed, dying = job(tmp_path, "healed", lambda: next(scripts)), job(tmp_path, "dying", "kill -9 $$")
    run_all([healed, dying], Machine(1, Resources()), Console(quiet=True))
    assert (healed.status, healed.state, healed.restarts) == (0, "finished", 2)
    assert (dying.status, dying.state, dying.restarts) == (-9, "failed", MOST_RESTARTS)
    assert [was_killed(status) for status in (-9, 143, 130, 0, 1, 2, 3)] == [True, True, True, *[False] * 4]


def test_a_failure_does_not_end_the_others_unless_it_is_the_first(tmp_path: Path) -> None:
    first = [job(tmp_path, "a", "exit 2"), job(tmp_path, "b", "exit 0")]
    run_all(first, Machine(1, Resources()), Console(quiet=True))
    assert [each.state for each in first] == ["failed", "waiting"]
    later = [job(tmp_path, "c", "exit 0"), job(tmp_path, "d", "exit 2"), job(tmp_path, "e", "exit 3")]
    run_all(later, Machine(1, Resources()), Console(quiet=True))
    assert [each.state for each in later] == ["finished", "failed", "diverged"]


def test_table_has_all_runs_and_how_far_they_are(tmp_path: Path) -> None:
    jobs = [job(tmp_path, name, "") for name in ("first", "second", "third")]
    jobs[0].state, jobs[1].state, jobs[1].restarts = "finished", "running", 1
    jobs[1].log.write_text("\x1b[1m Learning iteration 7/100 \x1b[0m\nLearning iteration 8/100\n" + 50 * "Loss: 1\n")
    title, *lines = text_of(jobs).splitlines()
    rows = [line for line in lines if line.startswith("│")]
    assert title.strip() == "1 of 3 runs have ended"
    assert [row.split("│")[1].strip() for row in rows] == ["second", "first", "third"]
    assert [cell.strip() for cell in rows[0].split("│")[2:4]] == ["running, restarted 1x", "8/100"]


STOPPED = """
import sys
from pathlib import Path
from rich.console import Console
from rsl_dpcppo.cli.compare.jobs import Job, run_all
from rsl_dpcppo.cli.compare.machine import Machine
from rsl_dpcppo.cli.compare.processes import Resources
from rsl_dpcppo.errors import StoppedError
script = "trap 'echo ended; exit 143' TERM; echo begun; while :; do sleep 0.05; done"
jobs = [Job(name, lambda: ["sh", "-c", script], Path(f"{name}.log")) for name in "abc"]
try:
    run_all(jobs, Machine(2, Resources()), Console(quiet=True))
except StoppedError as error:
    sys.exit(f"{error} {error.signal}")
"""


def test_a_signal_ends_all_of_them_and_no_more_begin(tmp_path: Path) -> None:
    """Ctrl-C reaches this process alone; the others have it from there, as SIGTERM."""
    logs = [tmp_path / f"{name}.log" for name in "abc"]
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED], cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        while not all(log.is_file() and "begun" in log.read_text() for log in logs[:2]):
            assert process.poll() is None
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert errors.strip() == "SIGINT: stopped. The same command goes on from here. 2"
    assert [log.read_text().split() for log in logs[:2]] == [["begun", "ended"]] * 2
    assert not logs[2].exists()

# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What a node of a cluster does, without Ray: a training's files on their way, its end, and what it leaves."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from rsl_dpcppo.cli.compare import compare, transfer
from rsl_dpcppo.cli.compare.node import PREFIX, Training, remove_abandoned
from rsl_dpcppo.cli.compare.processes import OVER_MEMORY, Resources
from rsl_dpcppo.cli.compare.transfer import Inbox, Outbox, Piece, read_files
from rsl_dpcppo.errors import ConfigError

FOLDER = "logs/rsl_rl/e"
RUN = f"{FOLDER}/2001-01-01_00-00-00_seed1"


def write(root: Path, name: str, content: bytes, age: float = 5.0) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, times=(time.time() - age,) * 2)


def names(pieces: list[Piece]) -> list[str]:
    return [piece.path.removeprefix(f"{FOLDER}/").rpartition("seed1/")[2] for piece in pieces]


def test_what_has_changed_is_sent_once_and_logs_first(tmp_path: Path) -> None:
    box = Outbox(tmp_path, FOLDER)
    write(tmp_path, f"{FOLDER}/seed1.log", b"one\n")
    write(tmp_path, f"{RUN}/model_0.pt", b"weights", age=0.0)
    write(tmp_path, f"{RUN}/events.out.tfevents.1.host", b"ev")
    write(tmp_path, f"{RUN}/params/agent.yaml", b"a: 1", age=0.0)  # may be half of it
    write(tmp_path, f"{RUN}/.model_1.pt.77", b"half")
    write(tmp_path, "elsewhere.txt", b"")
    pieces, is_all = box.take(has_ended=False)
    assert (names(pieces), is_all) == (["events.out.tfevents.1.host", "seed1.log", "model_0.pt"], True)
    assert box.take(has_ended=False) == ([], True)
    with (tmp_path / FOLDER / "seed1.log").open("ab") as file:
        file.write(b"two\n")
    pieces, _ = box.take(has_ended=True)
    assert names(pieces) == ["seed1.log", "params/agent.yaml"]
    assert pieces[0] == Piece(f"{FOLDER}/seed1.log", b"two\n", is_addition=True)
    write(tmp_path, f"{RUN}/params/agent.yaml", b"a: 2")
    assert names(box.take(has_ended=False)[0]) == ["params/agent.yaml"]


def test_much_is_sent_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "MOST_BYTES", 10)
    for i in range(3):
        write(tmp_path, f"{RUN}/model_{i}.pt", bytes(20))
    box = Outbox(tmp_path, FOLDER)
    taken = [box.take(has_ended=True) for _ in range(3)]
    assert [(names(pieces), is_all) for pieces, is_all in taken] == [
        (["model_0.pt"], False),
        (["model_1.pt"], False),
        (["model_2.pt"], True),
    ]


def test_folders_have_the_time_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node's clock may go after that of the node before; the newest folder is the last by name all the same."""
    monkeypatch.chdir(tmp_path)
    for text in (b"first", b"second"):
        box = Inbox(Path(FOLDER) / "seed1.log")
        box.put([Piece(f"{RUN}/model_0.pt", b"old", False), Piece(f"{FOLDER}/seed1.log", text, True)])
        box.put([Piece(f"{RUN}/model_0.pt", text, False), Piece(f"{RUN}/params/env.yaml", b"", False)])
    first, second = sorted(path for path in Path(FOLDER).iterdir() if path.is_dir())
    assert first.name > "2026"
    assert [(each / "model_0.pt").read_bytes() for each in (first, second)] == [b"first", b"second"]
    assert (Path(FOLDER) / "seed1.log").read_bytes() == b"firstsecond"
    assert sorted(path.name for path in first.rglob("*")) == ["env.yaml", "model_0.pt", "params"]


def follow(training: Training, inbox: Inbox, num_stops: int = 0) -> int:
    while True:
        pieces, status = training.poll(num_stops)
        inbox.put(pieces)
        if status is not None:
            return status
        time.sleep(0.05)


TRAINING = f"""
set -e
grep -q weights {RUN}/model_4.pt
test "$CUDA_VISIBLE_DEVICES" = ""
mkdir -p {RUN}_2
trap 'printf saved > {RUN}_2/model_9.pt; exit 143' TERM
echo "begun with $OMP_NUM_THREADS threads"
while :; do sleep 0.05; done
"""


def test_a_training_goes_on_from_what_it_is_given_and_its_end_arrives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, f"{RUN}/model_4.pt", b"weights")
    training, inbox, log = Training(), Inbox(Path(FOLDER) / "seed1.log"), tmp_path / FOLDER / "seed1.log"
    files = read_files([Path(RUN) / "model_4.pt"])
    training.begin("T", ["sh", "-c", TRAINING], sys.executable, f"{FOLDER}/seed1.log", files, Resources(cores=3))
    while not (log.is_file() and log.read_text()):
        pieces, status = training.poll(0)
        assert status is None
        inbox.put(pieces)
    assert follow(training, inbox, num_stops=1) == 143
    assert log.read_text() == "begun with 3 threads\n"
    (saved,) = Path(FOLDER).glob("*/model_9.pt")
    assert saved.read_bytes() == b"saved"
    assert saved.parent.name > "2026"
    root = training._root
    training.close()
    assert not root.exists()


def test_memory_of_a_training_elsewhere_is_limited_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    take = "import time; taken = bytearray(200 * 2**20); time.sleep(60)"
    training = Training()
    command = ["its python", "-c", take]
    training.begin("T", command, "its python", f"{FOLDER}/seed1.log", [], Resources(memory=0.1))
    assert follow(training, Inbox(Path(FOLDER) / "seed1.log")) == OVER_MEMORY
    assert "[ERROR] T: ended, because it took 0." in (tmp_path / FOLDER / "seed1.log").read_text()
    training.close()


def test_folders_of_trainings_that_are_gone_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    alive = Training()
    gone, other = tmp_path / f"{PREFIX}x", tmp_path / "other"
    for folder in (gone, other):
        folder.mkdir()
    remove_abandoned()
    assert gone.exists()  # it may have been made just now
    remove_abandoned(age=-1.0)
    assert (gone.exists(), other.exists(), alive._root.exists()) == (False, True, True)
    alive.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ray=auto"], r"Ray is not installed here: pip install -e \"\.\[ray\]\""),
        (["--tune", "--vary=agent.algorithm.gamma=0.9,0.99"], r"Ray is not installed here"),
        (["--ray=auto", "--jobs=2"], "leave --jobs out"),
        (["--tune", "--jobs=2"], "leave --jobs out"),
        (["--gpus=0.5"], "add --ray"),
        (["--grace=3"], "add it, or leave --grace out"),
    ],
)
def test_flags_that_do_not_fit_are_refused(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rsl_dpcppo.cli.compare.arguments.is_installed", lambda _: False)
    with pytest.raises(ConfigError, match=message):
        compare(arguments)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ray=auto", "--device=cuda:0"], "add --gpus 1"),
        (["--tune", "--agents=ppo"], "chooses between values"),
        (["--tune", "--agents=ppo,dpcppo", "--task=MultiGoal-v0,TwoModes-v0"], "MultiGoal-v0, TwoModes-v0: --task"),
        (["--tune", "--study=score", "--size=paper"], "is for one task that trains here"),
    ],
)
def test_what_ray_cannot_do_is_refused(arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rsl_dpcppo.cli.compare.arguments.is_installed", lambda _: True)
    with pytest.raises(ConfigError, match=message):
        compare(arguments)

# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Tests of checkpoint files."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rsl_dpcppo.checkpoint import find_checkpoint, read_checkpoint, remove_unfinished, write_checkpoint
from rsl_dpcppo.errors import CheckpointError


def make_checkpoint(iteration: int = 3) -> dict[str, Any]:
    """Return a checkpoint with the contents of a real one: weights, an optimizer with state, plain values."""
    torch.manual_seed(iteration)
    network = torch.nn.Linear(20, 20)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.randn(4, 20)).sum().backward()
    optimizer.step()
    return {
        "model_state_dict": network.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "iter": iteration,
        "infos": None,
    }


def check_equal(first: Any, second: Any) -> None:
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for name in first:
            check_equal(first[name], second[name])
    elif isinstance(first, torch.Tensor):
        torch.testing.assert_close(first, second, rtol=0.0, atol=0.0)
    else:
        assert first == second


# Writing.


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_checkpoint(make_checkpoint(), tmp_path / "model_3.pt")
    check_equal(read_checkpoint(tmp_path / "model_3.pt"), make_checkpoint())
    assert [entry.name for entry in tmp_path.iterdir()] == ["model_3.pt"]


def test_stock_rsl_rl_can_read_it(tmp_path: Path) -> None:
    """RSL-RL's runner reads with plain torch.load."""
    write_checkpoint(make_checkpoint(), str(tmp_path / "model_3.pt"))
    check_equal(torch.load(tmp_path / "model_3.pt", weights_only=False), make_checkpoint())


def test_a_new_checkpoint_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    write_checkpoint(make_checkpoint(1), path)
    write_checkpoint(make_checkpoint(2), path)
    check_equal(read_checkpoint(path), make_checkpoint(2))


@pytest.mark.parametrize("error", [OSError("No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("bytes_written", [0, 100])
def test_interrupted_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, bytes_written: int
) -> None:
    path = tmp_path / "model.pt"
    write_checkpoint(make_checkpoint(1), path)
    before = path.read_bytes()

    def fail_midway(_: Any, file: Any) -> None:
        file.write(b"x" * bytes_written)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", fail_midway)
        with pytest.raises(type(error)):
            write_checkpoint(make_checkpoint(2), path)
        with pytest.raises(type(error)):
            write_checkpoint(make_checkpoint(2), tmp_path / "other.pt")

    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.pt"]


def test_a_killed_write_is_not_taken_for_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed cannot tidy up; what it leaves must not be found when the run is resumed."""
    folder = tmp_path / "run"
    folder.mkdir()
    write_checkpoint(make_checkpoint(1), folder / "model_1.pt")
    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", lambda _, file: file.write(b"x" * 100))
        patch.setattr("os.fsync", _kill)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            write_checkpoint(make_checkpoint(2), folder / "model_2.pt")
    assert len(list(folder.iterdir())) == 2
    assert find_checkpoint(tmp_path) == folder / "model_1.pt"


def _kill(_: int) -> None:
    raise KeyboardInterrupt


# Reading what is no checkpoint.


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint '.*model_7\.pt'"):
        read_checkpoint(tmp_path / "model_7.pt")


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9, 0.999])
def test_truncated_checkpoint_is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "model.pt"
    write_checkpoint(make_checkpoint(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match=r"model\.pt"):
        read_checkpoint(path)


def random_bytes(seed: int) -> bytes:
    generator = np.random.default_rng(seed)
    return generator.bytes(int(generator.integers(1, 2000)))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    "contents",
    [
        pytest.param(b"", id="zero bytes"),
        pytest.param(b"PK\x03\x04" + bytes(100), id="head of a zip file"),
        pytest.param(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n", id="git-lfs pointer"),
        pytest.param(b"<!DOCTYPE html><html></html>", id="web page"),
        pytest.param(b"hello world\n", id="text"),
        pytest.param(b"\x80\x02.", id="empty pickle"),
        pytest.param(bytes(1000), id="zeros"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, contents: bytes) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(contents)
    with pytest.raises(CheckpointError, match=r"model\.pt"):
        read_checkpoint(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_garbage_is_refused(tmp_path: Path) -> None:
    path, errors = tmp_path / "model.pt", []
    for seed in range(300):
        path.write_bytes(random_bytes(seed))
        try:
            read_checkpoint(path)
        except Exception as error:
            errors.append(type(error))
    assert errors == 300 * [CheckpointError]


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_flipped_bytes_are_refused_or_harmless(tmp_path: Path) -> None:
    """A damaged disk: the file is refused, or what it holds is whole; nothing else is raised."""
    path, others = tmp_path / "model.pt", []
    write_checkpoint(make_checkpoint(), path)
    whole, generator = path.read_bytes(), np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(whole)
        for position in generator.integers(0, len(whole), size=10):
            damaged[position] = generator.integers(0, 256)
        path.write_bytes(damaged)
        try:
            check_equal(read_checkpoint(path), make_checkpoint())
        except CheckpointError:
            pass
        except Exception as error:
            others.append(error)
    assert others == []


def test_one_flipped_bit_of_a_weight_is_noticed(tmp_path: Path) -> None:
    path, checkpoint = tmp_path / "model.pt", make_checkpoint()
    write_checkpoint(checkpoint, path)
    whole = path.read_bytes()
    weights = checkpoint["model_state_dict"]["weight"].numpy().tobytes()
    for position in (0, 3, len(weights) // 2):
        damaged = bytearray(whole)
        damaged[whole.index(weights) + position] ^= 0x40
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="is damaged; take an earlier checkpoint"):
            read_checkpoint(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"iter": "abc"}, "iteration 'abc'; it must be a whole number from 0"),
        ({"iter": 2.5}, "iteration 2.5"),
        ({"iter": -5}, "iteration -5"),
        ({"iter": 10**12}, "iteration 1000000000000"),
        ({"iter": True}, "iteration True"),
        ({"optimizer_state_dict": None}, "NoneType as optimizer_state_dict"),
        ({"model_state_dict": [1]}, "list as model_state_dict"),
        ({"model_state_dict": {"weight": torch.tensor([1.0, float("nan")])}}, "'weight', that are not finite"),
        ({"model_state_dict": {"weight": 3}}, "'weight', that are not finite"),
        ({"model_state_dict": {"weight": torch.ones(2).to_sparse()}}, "'weight', that are not finite"),
    ],
)
def test_wrong_contents_are_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    write_checkpoint({**make_checkpoint(), **changes}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=re.escape(message)):
        read_checkpoint(tmp_path / "model.pt")


def test_infos_may_be_missing(tmp_path: Path) -> None:
    checkpoint = make_checkpoint()
    del checkpoint["infos"]
    write_checkpoint(checkpoint, tmp_path / "model.pt")
    assert read_checkpoint(tmp_path / "model.pt")["infos"] is None


def test_a_full_disk_is_said_and_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoint(make_checkpoint(), tmp_path / "model.pt")

    def fail(*_: Any) -> None:
        raise RuntimeError("PytorchStreamWriter failed writing file")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="Is the disk full"):
        write_checkpoint(make_checkpoint(4), tmp_path / "model.pt")
    monkeypatch.undo()
    check_equal(read_checkpoint(tmp_path / "model.pt"), make_checkpoint())
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.pt"]


def test_what_killed_writers_left_is_removed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    names = [f".model_3.pt.{ended.pid}", f".model_4.pt.{os.getpid()}", "model_2.pt", ".model_5.pt.backup"]
    for name in names:
        (run / name).touch()
    remove_unfinished(tmp_path)
    assert sorted(path.name for path in run.iterdir()) == sorted(names[1:])


class Intruder:
    """An object whose pickle creates a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("writer", ["pickle", "torch", "torch, old format"])
def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, writer: str) -> None:
    path, trace = tmp_path / "model.pt", tmp_path / "code_was_run"
    checkpoint = {**make_checkpoint(), "infos": Intruder(trace)}
    if writer == "pickle":
        path.write_bytes(pickle.dumps(checkpoint, protocol=2))
    else:
        torch.save(checkpoint, path, _use_new_zipfile_serialization=writer == "torch")

    with pytest.raises(CheckpointError, match="could run code"):
        read_checkpoint(path)
    assert not trace.exists()

    # The file is dangerous indeed: without the protection its code runs.
    if writer == "pickle":
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert trace.exists()


@pytest.mark.parametrize(
    "contents",
    [
        pytest.param({"state_dict": {"weight": torch.zeros(2)}}, id="state of a network"),
        pytest.param({"iter": 3}, id="no optimizer"),
        pytest.param({"optimizer_state_dict": {}}, id="no iteration"),
        pytest.param([1, 2, 3], id="list"),
        pytest.param(torch.zeros(3), id="tensor"),
        pytest.param(None, id="none"),
    ],
)
def test_files_of_other_programs_are_refused(tmp_path: Path, contents: Any) -> None:
    path = tmp_path / "model.pt"
    torch.save(contents, path)
    with pytest.raises(CheckpointError, match="not a checkpoint of RSL-RL"):
        read_checkpoint(path)


# Finding.


def make_runs(root: Path, runs: dict[str, list[str]]) -> None:
    for run, files in runs.items():
        (root / run / "params").mkdir(parents=True)
        for name in ["events.out.tfevents.1", *files]:
            (root / run / name).touch()


def test_newest_checkpoint_of_the_newest_run_is_found(tmp_path: Path) -> None:
    make_runs(
        tmp_path,
        {
            "2026-03-01_10-00-00": ["model_500.pt"],
            "2026-03-02_09-00-00_tuned": ["model_9.pt", "model_50.pt", "model_100.pt"],
            "2026-02-28_23-59-59": ["model_1000.pt"],
        },
    )
    assert find_checkpoint(tmp_path) == tmp_path / "2026-03-02_09-00-00_tuned" / "model_100.pt"
    assert find_checkpoint(str(tmp_path)) == find_checkpoint(tmp_path)


def test_checkpoints_sort_by_number(tmp_path: Path) -> None:
    make_runs(tmp_path, {"run": ["model_9.pt", "model_100.pt"]})
    assert find_checkpoint(tmp_path).name == "model_100.pt"
    assert find_checkpoint(tmp_path, checkpoint=r"model_\d\.pt").name == "model_9.pt"


def test_names_are_regular_expressions(tmp_path: Path) -> None:
    make_runs(
        tmp_path,
        {
            "2026-03-01_10-00-00_a": ["model_1.pt", "model_2.pt"],
            "2026-03-02_10-00-00_b": ["model_3.pt"],
        },
    )
    assert find_checkpoint(tmp_path, ".*_a") == tmp_path / "2026-03-01_10-00-00_a" / "model_2.pt"
    assert find_checkpoint(tmp_path, "2026-03-01", "model_1.pt") == tmp_path / "2026-03-01_10-00-00_a" / "model_1.pt"


def test_runs_without_checkpoints_are_skipped(tmp_path: Path) -> None:
    """Such as the run that was started just now, or that failed at once."""
    make_runs(tmp_path, {"2026-03-01": ["model_1.pt"], "2026-03-02": []})
    (tmp_path / "2026-03-03_notes.txt").touch()
    assert find_checkpoint(tmp_path) == tmp_path / "2026-03-01" / "model_1.pt"


def test_unmatched_run_lists_the_runs(tmp_path: Path) -> None:
    make_runs(tmp_path, {"2026-03-01": ["model_1.pt"], "2026-03-02": ["model_1.pt"]})
    with pytest.raises(CheckpointError, match=r"'2025.*'.*2026-03-01, 2026-03-02"):
        find_checkpoint(tmp_path, "2025")


def test_unmatched_checkpoint_names_what_was_asked_for(tmp_path: Path) -> None:
    make_runs(tmp_path, {"2026-03-01": ["model_1.pt"]})
    with pytest.raises(CheckpointError, match=r"'model_7.*'.*2026-03-01"):
        find_checkpoint(tmp_path, checkpoint="model_7")


@pytest.mark.parametrize("folder", ["empty", "not_there"])
def test_no_runs_at_all(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=rf"{folder}.*none"):
        find_checkpoint(tmp_path / folder)


@pytest.mark.parametrize("names", [{"load_run": "["}, {"checkpoint": "*.pt"}])
def test_wrong_regular_expression_is_named(tmp_path: Path, names: dict[str, str]) -> None:
    """Shell patterns are an easy mistake."""
    make_runs(tmp_path, {"2026-03-01": ["model_1.pt"]})
    with pytest.raises(CheckpointError):
        find_checkpoint(tmp_path, **names)


def test_leftovers_are_no_checkpoints(tmp_path: Path) -> None:
    make_runs(tmp_path, {"2026-03-01": ["model_1.pt", "model_1000.pt.tmp", ".model_2000.pt.77"]})
    (tmp_path / "2026-03-01" / "model_99.pt").mkdir()
    assert find_checkpoint(tmp_path).name == "model_1.pt"


def test_a_file_is_named_with_or_without_its_suffix(tmp_path: Path) -> None:
    make_runs(tmp_path, {"2026-03-01": ["model_1.pt", "model_10.pt"]})
    assert find_checkpoint(tmp_path, checkpoint="model_1").name == "model_1.pt"
    assert find_checkpoint(tmp_path, checkpoint="model_1.pt").name == "model_1.pt"

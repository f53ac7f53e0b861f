# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Files that something or somebody damaged: each is refused in words, or does exactly what it did."""

from __future__ import annotations

import contextlib
import copy
import functools
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from agents import LOGS, Bandit, agent_dict, flat_parameters, make_runner, small_agent, small_peer
from torch import Tensor

from rsl_dpcppo.bridge.runner import Runner
from rsl_dpcppo.cli.dispatch import USER_ERRORS
from rsl_dpcppo.cli.export import export
from rsl_dpcppo.cli.play import play
from rsl_dpcppo.cli.train import train
from rsl_dpcppo.errors import CheckpointError
from rsl_dpcppo.tasks.agents import to_ppo

pytestmark = pytest.mark.campaign

AGENTS = ["dpcppo", "dpcppo_fold", "genpo", "policyflow", "fpo", "ppo"]
REMOVED = object()
TASK = "--task=TwoModes-v0"


def make(name: str) -> Any:
    cfg = small_agent() if name == "dpcppo" else to_ppo(small_agent()) if name == "ppo" else small_peer(name)
    cfg.critic.obs_normalization = True
    return make_runner(Bandit(16), agent_dict(cfg), Runner)


@functools.cache
def checkpoint_of(name: str) -> bytes:
    """Return the file of a run's checkpoint."""
    torch.manual_seed(0)
    runner = make(name)
    runner.learn(3)
    path = Path(tempfile.mkdtemp(dir=LOGS.name)) / "model_2.pt"
    runner.save(str(path))
    return path.read_bytes()


def state_of(runner: Any) -> Tensor:
    """Return all numbers that a checkpoint restores."""

    def leaves(tree: Any) -> list[Tensor]:
        if isinstance(tree, dict):
            return [leaf for value in tree.values() for leaf in leaves(value)]
        if isinstance(tree, (list, tuple)):
            return [leaf for value in tree for leaf in leaves(value)]
        return [torch.as_tensor(tree).double().flatten()] if isinstance(tree, (Tensor, int, float)) else []

    modules = [runner.alg.policy] if hasattr(runner.alg, "policy") else [runner.alg.actor, runner.alg.critic]
    return torch.cat([*map(flat_parameters, modules), *leaves(runner.alg.optimizer.state_dict())])


@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.parametrize("seed", range(40))
def test_a_flipped_bit(name: str, seed: int, tmp_path: Path) -> None:
    contents, rng = bytearray(checkpoint_of(name)), random.Random(f"{name}{seed}")
    contents[rng.randrange(len(contents))] ^= 1 << rng.randrange(8)
    path = tmp_path / "model_2.pt"
    runner, whole = make(name), make(name)
    path.write_bytes(checkpoint_of(name))
    whole.load(str(path))
    path.write_bytes(contents)
    try:
        runner.load(str(path))
    except CheckpointError:
        return
    torch.testing.assert_close(state_of(runner), state_of(whole), rtol=0.0, atol=0.0, equal_nan=True)


WRONG: list[Any] = [None, [], {}, "abc", 2.5, -5, 10**12, float("nan"), True, REMOVED]
WRONG_TENSORS: list[Any] = [
    lambda x: torch.full_like(x, torch.nan) if x.is_floating_point() else x[None].clone(),
    lambda x: x.flatten()[:1].clone().expand(3, 7).clone(),
    lambda x: x.double() if x.is_floating_point() else x.float(),
    lambda x: x.to(torch.complex64),
    lambda x: x.to_sparse() if x.dim() > 0 else x[None],
]


def paths_of(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the places of a checkpoint: of all its values, and of the sections that hold them."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, (list, tuple)) else ()
    return [place for key, value in items for place in [(*path, key), *paths_of(value, (*path, key))]]


def put(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a tree with another value, or with none, at a place."""
    if not path:
        return value
    changed = list(tree) if isinstance(tree, tuple) else tree
    changed[path[0]] = put(changed[path[0]], path[1:], value)
    if changed[path[0]] is REMOVED:
        del changed[path[0]]
    return tuple(changed) if isinstance(tree, tuple) else changed


def get(tree: Any, path: tuple[Any, ...]) -> Any:
    return functools.reduce(lambda node, key: node[key], path, tree)


@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.parametrize("seed", range(80))
def test_a_wrong_value(name: str, seed: int, tmp_path: Path) -> None:
    """What is taken all the same trains on, and what it is then saves and loads."""
    path = tmp_path / "model_2.pt"
    path.write_bytes(checkpoint_of(name))
    checkpoint = torch.load(path, weights_only=True)
    rng = random.Random(f"{name}{seed}")
    place = rng.choice(paths_of(checkpoint))
    old = get(checkpoint, place)
    value = rng.choice(WRONG)
    if isinstance(old, Tensor) and rng.random() < 0.7:
        value = rng.choice(WRONG_TENSORS)(old)
    checkpoint = put(copy.deepcopy(checkpoint), place, value)
    torch.save(checkpoint, path)
    runner = make(name)
    try:
        runner.load(str(path))
    except CheckpointError:
        return
    runner.learn(2)
    runner.save(str(path))
    make(name).load(str(path))


@functools.cache
def run_folder() -> Path:
    """Return a run of the command line, with a checkpoint."""
    folder = Path(tempfile.mkdtemp(dir=LOGS.name))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        small = ["num_steps_per_env=4", "algorithm.flow_num_epochs=1", "actor.flow_steps=2", "actor.hidden_dims=[16]"]
        train([TASK, "--max_iterations=1", "--num_envs=16", *(f"agent.{field}" for field in small)])
    return folder


def damaged(text: str, rng: random.Random) -> bytes:
    """Return a configuration as an editor, a merge or a disk leaves it."""
    lines = text.splitlines()
    line = rng.randrange(len(lines))
    kind = rng.randrange(6)
    if kind == 0:
        del lines[line]
    elif kind == 1:
        values = ("null", "[]", "{}", "abc", "2.5", "-5", "1e12", ".nan", "true", "'", "!!python/object:os.system x")
        lines[line] = lines[line].partition(":")[0] + ": " + rng.choice(values)
    elif kind == 2:
        lines[line] = lines[line].lstrip() if rng.random() < 0.5 else "   " + lines[line]
    elif kind == 3:
        lines = lines[:line]
    elif kind == 4:
        lines.insert(line, rng.choice(("<<<<<<< HEAD", "nonsense: 1", "\t", "- 1", "algorithm: 3")))
    contents = bytearray("\n".join(lines).encode() or b" ")
    if kind == 5:
        contents[rng.randrange(len(contents))] = rng.randrange(256)
    return bytes(contents)


@pytest.mark.parametrize("file", ["agent.yaml", "env.yaml"])
@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_configuration(file: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(run_folder(), tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    (path,) = tmp_path.glob(f"logs/rsl_rl/*/*/params/{file}")
    rng = random.Random(f"{file}{seed}")
    path.write_bytes(damaged(path.read_text(), rng))
    commands = [
        (export, [TASK]),
        (play, [TASK, "--num_envs=4", "--video_length=0"]),
        (train, [TASK, "--resume", "--max_iterations=1", "--num_envs=4"]),
    ]
    for command, arguments in commands:
        with contextlib.suppress(*USER_ERRORS):
            command(arguments)

# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""A new algorithm is one folder (tests/toy_algorithm/toy) and one line: the rest follows, on every RSL-RL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from agents import Bandit, agent_dict, flat_parameters, make_runner, small_agent
from rsl_rl.algorithms import PPO
from rsl_rl.runners import OnPolicyRunner

import rsl_dpcppo
from rsl_dpcppo import algorithms, export
from rsl_dpcppo.algorithms.registry import ALGORITHMS, Algorithm
from rsl_dpcppo.bridge.rebuild import build_model
from rsl_dpcppo.bridge.train_cfg import class_names
from rsl_dpcppo.cli.export import export as export_command
from rsl_dpcppo.cli.play import play
from rsl_dpcppo.cli.train import train
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.tasks.agents import to_peer
from rsl_dpcppo.tasks.registry import find_task


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = Path(__file__).parents[1] / "toy_algorithm"
    monkeypatch.setattr(algorithms, "__path__", [*algorithms.__path__, str(folder)])
    monkeypatch.setitem(ALGORITHMS, "toy", Algorithm("toy", "Toy", "Toy", "Toy"))
    yield
    for name in ("Toy", class_names("toy")[1].rpartition(".")[2]):
        vars(rsl_dpcppo).pop(name, None)


def toy_agent() -> Any:
    cfg: Any = to_peer(small_agent(), "toy")
    cfg.actor.flow_steps = 4
    return cfg


def test_its_public_classes_are_there_and_are_rsl_rls() -> None:
    algorithm, model = class_names("toy")
    assert algorithm == "rsl_dpcppo.Toy"
    assert issubclass(rsl_dpcppo.Toy, PPO)
    assert {"Toy", "ToyRunnerCfg", model.rpartition(".")[2]} <= set(dir(rsl_dpcppo))


def test_it_learns_in_the_unmodified_runner() -> None:
    torch.manual_seed(0)
    runner = make_runner(Bandit(256), agent_dict(toy_agent()))
    assert isinstance(runner.alg, PPO)
    runner.learn(60)
    with torch.inference_mode():
        actions = runner.get_inference_policy("cpu")(runner.env.get_observations())
    assert (actions.mean(dim=0) - torch.tensor(Bandit.good_action)).abs().max() < 0.15


def test_it_resumes_and_is_exported(tmp_path: Path) -> None:
    def build(seed: int) -> OnPolicyRunner:
        torch.manual_seed(seed)
        return OnPolicyRunner(Bandit(), agent_dict(toy_agent()), log_dir=str(tmp_path / "logs"), device="cpu")

    straight = build(1)
    straight.learn(4)
    first = build(1)
    first.learn(2)
    first.save(str(tmp_path / "model_1.pt"))
    resumed = build(2)
    resumed.load(str(tmp_path / "model_1.pt"))
    resumed.learn(2)
    model = resumed.alg.model
    assert torch.equal(flat_parameters(straight.alg.model), flat_parameters(model))

    exported = export.exported_policy(model, "zero")
    for path in export.export(exported, tmp_path / "exported"):
        assert export.largest_difference(model, exported, path) < 1e-5
    rebuilt = build_model(agent_dict(toy_agent()), torch.load(tmp_path / "model_1.pt", weights_only=True))
    assert torch.equal(flat_parameters(rebuilt), flat_parameters(first.alg.model))


def test_the_commands_have_it_as_an_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["agent.actor.hidden_dims=[16]", "agent.critic.hidden_dims=[16]", "agent.algorithm.temperature=0.5"]
    task = find_task("TwoModes-v0")
    train([f"--task={task.name}", "--agent=toy", "--num_envs=16", "--max_iterations=1", *small])
    (run,) = (tmp_path / "logs/rsl_rl" / task.make_agent("toy").experiment_name).iterdir()
    assert list(json.loads((run / "evaluation.json").read_text())) == ["Toy", "Toy, zero noise"]
    assert yaml.safe_load((run / "params/agent.yaml").read_text())["algorithm"]["class_name"] == "rsl_dpcppo.Toy"
    play([f"--task={task.name}", "--agent=toy", "--noise=zero"])
    export_command([f"--task={task.name}", "--agent=toy"])
    assert (run / "exported/policy.onnx").is_file()


def test_its_wrong_fields_are_refused() -> None:
    cfg = agent_dict(toy_agent())
    cfg["algorithm"]["temperatur"] = 1.0
    with pytest.raises(ConfigError, match="Did you mean 'temperature'"):
        make_runner(Bandit(), cfg)

# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Tasks of the hosts that this package launches, and the settings of their agents. No host has to be installed."""

from __future__ import annotations

import dataclasses
import importlib.util
from typing import Any

import pytest

from rsl_dpcppo.algorithms.dpcppo.config import DPCPPORunnerCfg
from rsl_dpcppo.config.ppo import PPOAlgorithmCfg, PPORunnerCfg
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.tasks.agents import to_ppo
from rsl_dpcppo.tasks.envpool.tasks import PORTS
from rsl_dpcppo.tasks.registry import find_task

# Table 14 of the paper, row by row: the value of every task but the ones in brackets.
TABLE_14: dict[str, tuple[Any, dict[str, Any]]] = {
    "lam": (0.95, {}),
    "desired_kl": (0.01, {}),
    "clip_param": (0.2, {"BallInCup": 0.05}),
    "max_grad_norm": (1.0, {}),
    "value_loss_coef": (1.0, {}),
    "use_clipped_value_loss": (True, {"BallInCup": False, "CheetahRun": False}),
    "num_learning_epochs": (5, {"CheetahRun": 10, "FingerSpin": 10}),
    "num_mini_batches": (4, {}),
    "schedule": ("adaptive", {"PointMass": "fixed"}),
    "learning_rate": (0.001, {"BallInCup": 0.0001, "PointMass": 0.0005}),
    "entropy_coef": (0.001, {"FingerSpin": 0.005, "ReacherEasy": 0.005, "ReacherHard": 0.005}),
    "score_coef": (0.1, {}),
}
# Table 5.
FLOW = {"flow_learning_rate": 0.001, "flow_ema_decay": 0.999, "flow_num_mini_batches": 4, "flow_num_epochs": 15}
TASKS = list(PORTS.values())


@pytest.mark.parametrize("task", TASKS)
def test_playground_agents_have_the_papers_values(task: str) -> None:
    cfg = find_task(f"Playground-{task}").make_agent("dpcppo")
    assert isinstance(cfg, DPCPPORunnerCfg)
    for name, (value, exceptions) in TABLE_14.items():
        assert getattr(cfg.algorithm, name) == exceptions.get(task, value), name
    for name, value in FLOW.items():
        assert getattr(cfg.algorithm, name) == value, name
    assert (cfg.num_steps_per_env, cfg.num_envs, cfg.actor.flow_steps) == (32, 4096, 16)
    assert cfg.actor.flow_hidden_dims == [128, 64, 32]
    assert cfg.actor.hidden_dims == cfg.critic.hidden_dims == [512, 256, 128]
    assert cfg.actor.activation == cfg.actor.flow_activation == cfg.critic.activation == "elu"
    assert cfg.experiment_name == f"Playground-{task}_dpcppo"
    steps = cfg.max_iterations * cfg.num_envs * cfg.num_steps_per_env
    assert steps == pytest.approx(60e6, rel=0.01)


def test_any_other_task_gets_what_the_table_has_for_most() -> None:
    cfg, other = (find_task(f"Playground-{name}").make_agent("dpcppo") for name in ("WalkerWalk", "HopperHop"))
    assert dataclasses.replace(other, experiment_name=cfg.experiment_name) == cfg


@pytest.mark.parametrize("task", ["Playground-BallInCup", "Gym-Ant-v5", "EnvPool-FingerSpin-v1"])
def test_ppo_differs_from_dpcppo_in_the_flow_alone(task: str) -> None:
    ours, ppo = (find_task(task).make_agent(name) for name in ("dpcppo", "ppo"))
    assert type(ppo) is PPORunnerCfg
    assert ppo.experiment_name == f"{task}_ppo"
    theirs, shared = dataclasses.asdict(ppo), dataclasses.asdict(ours)
    for section in ("actor", "critic", "algorithm"):
        mine = shared.pop(section)
        assert theirs.pop(section).items() <= mine.items()
    assert theirs | {"experiment_name": ""} == shared | {"experiment_name": ""}


def test_ppo_shares_no_lists_with_its_model() -> None:
    ours = find_task("Gym-Ant-v5").make_agent("dpcppo")
    assert isinstance(ours, DPCPPORunnerCfg)
    ppo = to_ppo(ours)
    ppo.actor.hidden_dims[0], ppo.critic.hidden_dims[0] = 1, 1
    assert ours.actor.hidden_dims[0] != 1
    assert ours.critic.hidden_dims[0] != 1
    assert type(ppo.algorithm) is PPOAlgorithmCfg


@pytest.mark.parametrize("port", PORTS)
def test_envpool_ports_keep_the_papers_ppo(port: str) -> None:
    ours = find_task(f"EnvPool-{port}").make_agent("dpcppo")
    paper = find_task(f"Playground-{PORTS[port]}").make_agent("dpcppo")
    assert isinstance(ours, DPCPPORunnerCfg)
    assert isinstance(paper, DPCPPORunnerCfg)
    for name in set(TABLE_14) - {"score_coef"}:
        assert getattr(ours.algorithm, name) == getattr(paper.algorithm, name)
    assert (ours.num_envs, ours.algorithm.score_coef) == (64, 0.03)


@pytest.mark.parametrize(
    ("task", "package", "extra"),
    [
        ("Playground-PointMass", "mujoco_playground", "playground"),
        ("EnvPool-ReacherEasy-v1", "envpool", "envpool"),
        ("Gym-Pendulum-v1", "gymnasium", "gymnasium"),
    ],
)
def test_missing_host_is_named_with_its_extra(task: str, package: str, extra: str) -> None:
    if importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed")
    task_ = find_task(task)
    with pytest.raises(ConfigError, match=rf'pip install -e "\.\[{extra}\]"'):
        task_.make_env(task_.env_cfg(), 2, "cpu", 0)

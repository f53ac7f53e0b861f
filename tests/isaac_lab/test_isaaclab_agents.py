# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The agents of Isaac Lab's tasks, loaded by the real Isaac Lab 2.3 with no simulator."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest
from agents import Bandit, make_runner

from isaaclab_tasks_cfg import HOST_KEY, agent_names, register
from rsl_dpcppo.algorithms.registry import ALGORITHMS, off_policy, on_policy_peers
from rsl_dpcppo.bridge.train_cfg import class_names
from rsl_dpcppo.config.paper import base_id, find_paper_task
from rsl_dpcppo.errors import ConfigError

sys.path.insert(0, str(Path(__file__).parent))
import fakes

pytestmark = pytest.mark.skipif(fakes.unavailable() is not None, reason=fakes.unavailable() or "")

# Written down from the paper's Tables 6 to 13: id, table, agent, GAE smoothing, desired kl, ratio clip, max gradient
# clip, value loss scale, epochs, mini batches, learning rate, entropy, score, rollouts, hidden widths, activation.
TABLES = """
Isaac-Ant-v0                         6 dpcppo    0.95 0.01  0.2 1.0 1.0 5 4 0.0005 0.005 0.1 32 400,200,100 elu
Isaac-Ant-v0                         6 ppo_paper 0.95 0.01  0.2 1.0 1.0 5 4 0.0005 0.01  -   32 400,200,100 elu
Isaac-Lift-Cube-Franka-v0            7 dpcppo    0.95 0.008 0.2 1.0 1.0 5 4 0.0001 0.004 0.1 24 256,128,64  elu
Isaac-Lift-Cube-Franka-v0            7 ppo_paper 0.95 0.01  0.2 1.0 1.0 5 4 0.0001 0.006 -   24 256,128,64  elu
Isaac-Quadcopter-Direct-v0           8 dpcppo    0.95 0.01  0.2 1.0 1.0 5 4 0.0005 0.01  0.5 24 64,64       mish
Isaac-Quadcopter-Direct-v0           8 ppo_paper 0.95 0.01  0.2 1.0 1.0 5 4 0.0005 0.01  -   24 64,64       elu
Isaac-Velocity-Flat-Anymal-D-v0      9 dpcppo    0.95 0.01  0.2 1.0 1.0 5 4 0.001  0.001 0.1 24 128,128,128 elu
Isaac-Velocity-Flat-Anymal-D-v0      9 ppo_paper 0.95 0.01  0.2 1.0 1.0 5 4 0.001  0.005 -   24 128,128,128 elu
Isaac-Velocity-Rough-H1-v0          10 dpcppo    0.95 0.01  0.2 1.0 1.0 5 4 0.0005 0.005 0.1 24 512,256,128 elu
Isaac-Velocity-Rough-H1-v0          10 ppo_paper 0.95 0.01  0.2 1.0 1.0 5 4 0.001  0.01  -   24 512,256,128 elu
Isaac-Velocity-Rough-Unitree-Go2-v0 11 dpcppo    0.95 0.01  0.2 1.0 1.0 5 4 0.001  0.005 0.1 24 512,256,128 elu
Isaac-Velocity-Rough-Unitree-Go2-v0 11 ppo_paper 0.95 0.01  0.2 1.0 1.0 5 4 0.001  0.01  -   24 512,256,128 elu
Isaac-Navigation-Flat-Anymal-C-v0   12 dpcppo    0.95 0.01  0.2 1.0 1.0 5 4 0.001  0.001 0.1  8 128,128     mish
Isaac-Navigation-Flat-Anymal-C-v0   12 ppo_paper 0.95 0.01  0.2 1.0 1.0 5 4 0.001  0.005 -    8 128,128     elu
Isaac-Velocity-Rough-G1-v0          13 dpcppo    0.95 0.01  0.2 1.0 1.0 5 4 0.001  0.001 0.1 24 512,256,128 elu
Isaac-Velocity-Rough-G1-v0          13 ppo_paper 0.95 0.01  0.2 1.0 1.0 5 4 0.001  0.008 -   24 512,256,128 elu
"""
COLUMNS = [line.split() for line in TABLES.strip().splitlines()]


@pytest.fixture(scope="module", autouse=True)
def _registered() -> None:
    fakes.install()
    import isaaclab_tasks  # noqa: F401

    register()


def load(task: str, key: str) -> Any:
    from isaaclab_tasks.utils import load_cfg_from_registry

    return load_cfg_from_registry(task, key)


def task_ids() -> list[str]:
    import gymnasium

    return [task for task, spec in gymnasium.registry.items() if HOST_KEY in spec.kwargs]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: f"table {column[1]} {column[2]}")
def test_agents_are_the_papers(column: list[str]) -> None:
    """Task and -Play task, both keys: the values of the table, and the host's own where the paper is silent."""
    task, table, agent, lam, kl, clip, grad, value, epochs, batches, rate, entropy, score, rollouts, widths, act = (
        column
    )
    paper_task = find_paper_task(task)
    assert paper_task is not None
    assert (paper_task.dpcppo.table, paper_task.ppo.table) == (int(table), int(table))
    play = task.replace("-v0", "-Play-v0")
    for task_id in [task] + [play] * (play in task_ids()):
        for key in (agent, f"rsl_rl_{agent.replace('_', '-')}_cfg_entry_point"):
            cfg, host = load(task_id, key), load(task_id, HOST_KEY)
            algorithm = cfg.algorithm
            assert (algorithm.lam, algorithm.desired_kl, algorithm.clip_param) == (float(lam), float(kl), float(clip))
            assert (algorithm.max_grad_norm, algorithm.value_loss_coef) == (float(grad), float(value))
            assert (algorithm.num_learning_epochs, algorithm.num_mini_batches) == (int(epochs), int(batches))
            assert (algorithm.learning_rate, algorithm.entropy_coef) == (float(rate), float(entropy))
            assert (algorithm.use_clipped_value_loss, algorithm.schedule) == (True, "adaptive")
            assert cfg.num_steps_per_env == int(rollouts)
            dims = [int(width) for width in widths.split(",")]
            assert cfg.policy.actor_hidden_dims == cfg.policy.critic_hidden_dims == dims
            assert cfg.policy.activation == act
            if agent == "dpcppo":
                assert algorithm.class_name == "rsl_dpcppo.DPCPPO"
                assert cfg.policy.class_name == "rsl_dpcppo.FlowActorCritic"
                assert algorithm.score_coef == float(score)
                assert (cfg.policy.flow_hidden_dims, cfg.policy.flow_activation) == (dims, act)
                # Table 5
                assert (cfg.policy.flow_steps, algorithm.flow_learning_rate) == (16, 0.001)
                assert (algorithm.flow_ema_decay, algorithm.flow_num_mini_batches) == (0.999, 4)
                assert algorithm.flow_num_epochs == 15
            else:
                assert (algorithm.class_name, cfg.policy.class_name) == ("PPO", "ActorCritic")
            for name in ("max_iterations", "save_interval", "seed", "clip_actions", "obs_groups"):
                assert cfg.to_dict()[name] == host.to_dict()[name]
            assert algorithm.gamma == host.algorithm.gamma
            assert cfg.policy.init_noise_std == host.policy.init_noise_std
            assert cfg.policy.actor_obs_normalization == host.policy.actor_obs_normalization
            assert cfg.experiment_name == f"{host.experiment_name}_{agent}"


def test_every_task_has_an_agent_of_the_hosts_own_types() -> None:
    """The 90 others: derived from their own configuration, with nothing that Hydra could not override."""
    from isaaclab_rl.rsl_rl import RslRlOnPolicyRunnerCfg, RslRlPpoActorCriticCfg, RslRlPpoAlgorithmCfg

    ids = task_ids()
    assert len(ids) > 80
    for task in ids:
        cfg, host = load(task, "dpcppo"), load(task, HOST_KEY)
        assert isinstance(cfg, RslRlOnPolicyRunnerCfg)
        assert isinstance(cfg.policy, RslRlPpoActorCriticCfg)
        assert isinstance(cfg.algorithm, RslRlPpoAlgorithmCfg)
        flow_fields = {name: value for name, value in vars(cfg.policy).items() if "flow" in name or "inference" in name}
        assert all(value is not None for value in flow_fields.values())
        if find_paper_task(task) is None:
            mine, theirs = cfg.to_dict(), host.to_dict()
            for section in ("policy", "algorithm"):
                ours = {name: mine[section][name] for name in theirs[section] if name != "class_name"}
                assert ours == {name: value for name, value in theirs[section].items() if name != "class_name"}
            assert cfg.policy.flow_hidden_dims == host.policy.actor_hidden_dims
            assert "ppo_paper" not in spec_kwargs(task)


@pytest.mark.parametrize("task", sorted({column[0] for column in COLUMNS}))
@pytest.mark.parametrize("agent", ["dpcppo", "ppo_paper", *on_policy_peers()])
def test_hydra_takes_the_agents(task: str, agent: str) -> None:
    """Every value has a type that Hydra's store takes, and comes back from it as it was."""
    from hydra.core.config_store import ConfigStore
    from isaaclab_tasks.utils.hydra import register_task_to_hydra
    from omegaconf import OmegaConf

    _, cfg = register_task_to_hydra(task, agent)
    stored = OmegaConf.to_container(ConfigStore.instance().load(f"{task}.yaml").node)["agent"]
    before = cfg.to_dict()
    cfg.from_dict(stored)
    assert cfg.to_dict() == before


def test_tasks_of_genpo_and_of_the_ablations_have_agents() -> None:
    for task in ("Isaac-Humanoid-v0", "Isaac-Repose-Cube-Shadow-Direct-v0", "Isaac-Velocity-Flat-Anymal-B-v0"):
        assert load(task, "dpcppo").algorithm.class_name == "rsl_dpcppo.DPCPPO"


@pytest.mark.parametrize("name", on_policy_peers())
def test_peers_train_with_what_belongs_to_the_task(name: str) -> None:
    """Humanoid normalises, and weighs the value loss by 2."""
    cfg, host = load("Isaac-Humanoid-v0", name), load("Isaac-Humanoid-v0", HOST_KEY)
    same = ("seed", "num_steps_per_env", "max_iterations", "save_interval", "clip_actions")
    assert [getattr(cfg, field) for field in same] == [getattr(host, field) for field in same]
    for field in ("actor_hidden_dims", "critic_hidden_dims", "actor_obs_normalization", "critic_obs_normalization"):
        assert getattr(cfg.policy, field) == getattr(host.policy, field)
    assert cfg.experiment_name == f"humanoid_{name}"
    assert (cfg.algorithm.gamma, cfg.algorithm.value_loss_coef) == (0.99, 2.0)
    paper = ALGORITHMS[name].runner_cfg()
    for field in ("num_learning_epochs", "num_mini_batches", "clip_param", "entropy_coef", "learning_rate", "schedule"):
        theirs = host.algorithm if field in paper.task_fields else paper.algorithm
        assert getattr(cfg.algorithm, field) == getattr(theirs, field)
    cfg.num_steps_per_env = 8
    runner = make_runner(Bandit(), cfg.to_dict())
    runner.learn(1)
    algorithm, model = class_names(name)
    assert f"rsl_dpcppo.{type(runner.alg).__name__}" == algorithm
    assert f"rsl_dpcppo.{type(runner.alg.policy).__name__}" == model


@pytest.mark.parametrize("name", off_policy())
def test_off_policy_agents_are_refused_on_this_generation(name: str) -> None:
    with pytest.raises(ConfigError, match=r"install rsl-rl-lib 5\.x"):
        load("Isaac-Ant-v0", name)


def test_peers_of_a_task_with_symmetry_are_refused() -> None:
    from isaaclab_tasks_cfg.host_cfg import to_peer

    with pytest.raises(ConfigError, match="symmetry_cfg is set"):
        to_peer(load("Isaac-Cartpole-v0", "rsl_rl_with_symmetry_cfg_entry_point"), "genpo")


def test_recurrent_policies_stay_recurrent() -> None:
    from isaaclab_rl.rsl_rl import RslRlPpoActorCriticRecurrentCfg

    recurrent = [
        task for task in task_ids() if isinstance(load(task, HOST_KEY).policy, RslRlPpoActorCriticRecurrentCfg)
    ]
    assert recurrent
    for task in recurrent:
        assert load(task, "dpcppo").policy.class_name == "rsl_dpcppo.FlowActorCriticRecurrent"
        assert load(task, "dpcppo").policy.rnn_type == load(task, HOST_KEY).policy.rnn_type
        with pytest.raises(ConfigError, match="'ActorCriticRecurrent'; genpo knows neither memory"):
            load(task, "genpo")


def test_building_an_agent_leaves_the_hosts_alone() -> None:
    before = load("Isaac-Ant-v0", HOST_KEY).to_dict()
    load("Isaac-Ant-v0", "dpcppo").policy.actor_hidden_dims.append(1)
    assert load("Isaac-Ant-v0", HOST_KEY).to_dict() == before
    assert dataclasses.is_dataclass(load("Isaac-Ant-v0", "dpcppo"))


def test_ids_of_both_generations_name_the_same_task() -> None:
    pairs = {
        "Isaac-Lift-Cube-Franka-v0": "IsaacContrib-Lift-Cube-Franka",
        "Isaac-Velocity-Flat-Anymal-D-v0": "Isaac-Velocity-Flat-AnymalD",
        "Isaac-Velocity-Rough-Unitree-Go2-Play-v0": "Isaac-Velocity-Rough-UnitreeGo2-Play",
        "Isaac-Navigation-Flat-Anymal-C-v0": "IsaacContrib-Navigation-Flat-AnymalC",
        "isaaclab_tasks:Isaac-Ant-v0": "Isaac-Ant",
    }
    for old, new in pairs.items():
        assert find_paper_task(old) is find_paper_task(new) is not None
    assert base_id("Isaac-Velocity-Rough-H1-Play-v0") == "Isaac-Velocity-Rough-H1"
    assert find_paper_task("Isaac-Lift-Cube-Franka-IK-Abs-v0") is None


def spec_kwargs(task: str) -> dict[str, Any]:
    import gymnasium

    return gymnasium.spec(task).kwargs


def test_agents_are_named_in_the_hosts_own_list() -> None:
    """The host's message about an unknown agent lists keys that end in _cfg_entry_point only, each by its name."""
    with pytest.raises(ValueError, match="Could not find configuration") as error:
        load("Isaac-Velocity-Flat-Anymal-D-v0", "dpcpo")
    (listed,) = (line for line in str(error.value).splitlines() if "rsl_rl" in line)
    for name in spec_kwargs("Isaac-Velocity-Flat-Anymal-D-v0").keys() & set(agent_names()):
        assert f", {name.upper().replace('_', '-')}," in f"{listed},"
    assert "PAPER" not in listed.replace("PPO-PAPER", "")
    assert {*agent_names()} - {*spec_kwargs("Isaac-Ant-v0")} == {"dpcppo_symmetry", "dpcppo_recurrent"}


def test_symmetry_is_kept() -> None:
    """Of the configuration with symmetry, which the paper's values lie on top of as they do of the plain one."""
    from isaaclab_tasks.utils import load_cfg_from_registry

    key = "rsl_rl_with_symmetry_cfg_entry_point"
    tasks = [task for task in task_ids() if key in spec_kwargs(task)]
    assert len(tasks) > 10
    for task in tasks:
        cfg, host = load_cfg_from_registry(task, "dpcppo_symmetry"), load_cfg_from_registry(task, key)
        assert cfg.algorithm.symmetry_cfg.to_dict() == host.algorithm.symmetry_cfg.to_dict()
        plain, mirrored = load(task, "dpcppo").to_dict(), cfg.to_dict()
        assert mirrored["experiment_name"] == f"{host.experiment_name}_dpcppo_symmetry"
        assert (mirrored["policy"], mirrored["num_steps_per_env"]) == (plain["policy"], plain["num_steps_per_env"])
        if find_paper_task(task):
            assert {**mirrored["algorithm"], "symmetry_cfg": None} == plain["algorithm"]


def test_tasks_that_come_later_have_agents_when_they_are_looked_up() -> None:
    """Those of a project, which is imported after Isaac Lab's tasks."""
    import gymnasium

    kwargs = {name: spec_kwargs("Isaac-Humanoid-v0")[name] for name in ("env_cfg_entry_point", HOST_KEY)}
    gymnasium.register(id="Template-Late-v0", entry_point="none", kwargs=kwargs)
    assert load("Template-Late-v0", "dpcppo").algorithm.class_name == "rsl_dpcppo.DPCPPO"
    assert "dpcppo" in gymnasium.registry["Template-Late-v0"].kwargs

# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The tasks and agents that mjlab finds, in its real registry."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import importlib.metadata
from dataclasses import dataclass, field
from typing import Any

import pytest

pytest.importorskip("mjlab")

from mjlab.rl import RslRlBaseRunnerCfg, RslRlModelCfg, RslRlOnPolicyRunnerCfg, RslRlPpoAlgorithmCfg
from mjlab.tasks import registry

from rsl_dpcppo.algorithms.registry import ALGORITHMS, off_policy, on_policy_peers
from rsl_dpcppo.bridge.train_cfg import class_names
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.tasks.mjlab import entry_point, tasks
from rsl_dpcppo.tasks.mjlab.agent_cfg import to_dpcppo, to_peer

STOCK = {
    "Mjlab-Cartpole-Balance",
    "Mjlab-Cartpole-Swingup",
    "Mjlab-Lift-Cube-Yam",
    "Mjlab-Lift-Cube-Yam-Depth",
    "Mjlab-Lift-Cube-Yam-Rgb",
    "Mjlab-Multi-Cube-Seg-Yam",
    "Mjlab-Tracking-Flat-Unitree-G1",
    "Mjlab-Tracking-Flat-Unitree-G1-No-State-Estimation",
    "Mjlab-Velocity-Flat-Unitree-G1",
    "Mjlab-Velocity-Flat-Unitree-Go1",
    "Mjlab-Velocity-Rough-Unitree-G1",
    "Mjlab-Velocity-Rough-Unitree-Go1",
}


@dataclass
class SymmetricPPOCfg(RslRlPpoAlgorithmCfg):
    """What a plugin that adds symmetry to PPO has to write."""

    symmetry_cfg: dict[str, Any] = field(default_factory=dict)


@pytest.fixture
def scratch_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test register what it likes."""
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))


def register_as_plugin(task_id: str, rl_cfg: Any) -> None:
    """Register a task as another plugin would, and ask for DP-CPPO after it."""
    env = "Mjlab-Cartpole-Balance"
    registry.register_mjlab_task(task_id, registry.load_env_cfg(env), registry.load_env_cfg(env, play=True), rl_cfg)
    tasks.register()


def test_importing_mjlab_registers_every_task_of_its_own() -> None:
    assert "rsl_dpcppo.tasks.mjlab.entry_point" in {
        entry.value for entry in importlib.metadata.entry_points(group="mjlab.tasks")
    }
    registered = set(registry.list_tasks())
    assert registered >= STOCK | {f"{task_id}-DPCPPO" for task_id in STOCK}
    with_images = {"Mjlab-Lift-Cube-Yam-Depth", "Mjlab-Lift-Cube-Yam-Rgb", "Mjlab-Multi-Cube-Seg-Yam"}
    for suffix in ("-GENPO", "-FPO", "-FPOPP", "-DPPO"):
        assert {task_id for task_id in STOCK if task_id + suffix in registered} == STOCK - with_images


@pytest.mark.parametrize("task_id", ["Mjlab-Velocity-Flat-Unitree-Go1", "Mjlab-Cartpole-Balance"])
def test_a_task_differs_from_the_stock_one_in_its_agent_alone(task_id: str) -> None:
    ours = f"{task_id}-DPCPPO"
    assert registry.load_runner_cls(ours) is registry.load_runner_cls(task_id)
    for play in (False, True):
        assert repr(registry.load_env_cfg(ours, play)) == repr(registry.load_env_cfg(task_id, play))
    assert registry.load_env_cfg(ours, play=True).episode_length_s > registry.load_env_cfg(ours).episode_length_s
    assert registry.load_rl_cfg(task_id).algorithm.class_name == "PPO"


@pytest.mark.parametrize(
    ("task_id", "entropy", "iterations", "experiment"),
    [
        ("Mjlab-Velocity-Flat-Unitree-Go1", 0.005, 10_000, "go1_velocity_dpcppo"),
        ("Mjlab-Velocity-Rough-Unitree-Go1", 0.005, 10_000, "go1_velocity_dpcppo"),
        ("Mjlab-Velocity-Flat-Unitree-G1", 0.001, 30_000, "g1_velocity_dpcppo"),
        ("Mjlab-Velocity-Rough-Unitree-G1", 0.001, 30_000, "g1_velocity_dpcppo"),
    ],
)
def test_velocity_tasks_take_the_papers_values(task_id: str, entropy: float, iterations: int, experiment: str) -> None:
    """Tables 11 (Go1 as Go2) and 13 (G1), DP-CPPO columns, and Table 5. The last lines are mjlab's own."""
    cfg = registry.load_rl_cfg(f"{task_id}-DPCPPO")
    actual = dataclasses.asdict(cfg.algorithm) | {"num_steps_per_env": cfg.num_steps_per_env}
    assert actual == {
        "class_name": "rsl_dpcppo.DPCPPO",
        "num_steps_per_env": 24,
        "num_learning_epochs": 5,
        "num_mini_batches": 4,
        "learning_rate": 1e-3,
        "schedule": "adaptive",
        "desired_kl": 0.01,
        "lam": 0.95,
        "clip_param": 0.2,
        "entropy_coef": entropy,
        "value_loss_coef": 1.0,
        "use_clipped_value_loss": True,
        "max_grad_norm": 1.0,
        "score_coef": 0.1,
        "flow_learning_rate": 1e-3,
        "flow_num_epochs": 15,
        "flow_num_mini_batches": 4,
        "flow_ema_decay": 0.999,
        "flow_target": "fresh",
        "flow_fit_tolerance": 0.0,
        "flow_steps": 0,
        "flow_noise": "fresh",
        "base_action_baseline": False,
        "log_entropy": False,
        "flow_precision": "float32",
        "compile": "auto",
        "gamma": 0.99,
        "normalize_advantage_per_mini_batch": False,
        "optimizer": "adam",
        "share_cnn_encoders": False,
    }
    assert (cfg.actor.class_name, cfg.actor.flow_steps, cfg.actor.flow_solver) == ("rsl_dpcppo.FlowActor", 16, "euler")
    assert cfg.actor.flow_hidden_dims == list(cfg.actor.hidden_dims) == list(cfg.critic.hidden_dims) == [512, 256, 128]
    assert cfg.actor.flow_activation == cfg.actor.activation == cfg.critic.activation == "elu"
    assert (cfg.actor.obs_normalization, cfg.max_iterations, cfg.experiment_name) == (True, iterations, experiment)


@pytest.mark.parametrize("task_id", sorted(task_id for task_id in STOCK if "Velocity" not in task_id))
def test_every_other_task_keeps_its_own_values(task_id: str) -> None:
    stock, cfg = registry.load_rl_cfg(task_id), registry.load_rl_cfg(f"{task_id}-DPCPPO")
    for ours, theirs in ((cfg, stock), (cfg.actor, stock.actor), (cfg.algorithm, stock.algorithm)):
        for name in {each.name for each in dataclasses.fields(theirs)} - {"class_name", "actor", "algorithm"}:
            expected = getattr(theirs, name)
            assert getattr(ours, name) == (f"{expected}_dpcppo" if name == "experiment_name" else expected), name
    assert cfg.actor.flow_hidden_dims == list(stock.actor.hidden_dims)
    assert cfg.algorithm.class_name == "rsl_dpcppo.DPCPPO"


def test_folds_are_rare_in_the_place_of_dpcppos() -> None:
    """Networks and PPO's fields are those of DP-CPPO, the paper's where it has some."""
    task = "Mjlab-Velocity-Flat-Unitree-Go1"
    cfg, dpcppo = (registry.load_rl_cfg(f"{task}-{name}") for name in ("DPCPPO_FOLD", "DPCPPO"))
    assert cfg.algorithm.class_name == "rsl_dpcppo.DPCPPOFold"
    assert cfg.actor.class_name == "rsl_dpcppo.FlowFoldActor"
    assert cfg.actor.flow_activation == ALGORITHMS["dpcppo_fold"].runner_cfg().actor.flow_activation
    own = {"class_name", "flow_activation", "flow_context_dims", "flow_hidden_dims"}
    assert [*cfg.actor.flow_context_dims, *cfg.actor.flow_hidden_dims] == dpcppo.actor.flow_hidden_dims
    assert len(cfg.actor.flow_hidden_dims) == 2
    assert {**vars(cfg.actor), **dict.fromkeys(own)} == {**vars(dpcppo.actor), **dict.fromkeys(own)}
    assert cfg.algorithm.entropy_coef == dpcppo.algorithm.entropy_coef


@pytest.mark.parametrize("name", [name for name in on_policy_peers() if not ALGORITHMS[name].takes_every_encoder])
def test_peers_take_what_belongs_to_the_task(name: str) -> None:
    stock = registry.load_rl_cfg("Mjlab-Velocity-Flat-Unitree-Go1")
    cfg = registry.load_rl_cfg(f"Mjlab-Velocity-Flat-Unitree-Go1-{name.upper()}")
    paper = ALGORITHMS[name].runner_cfg()
    kept = {each.name for each in dataclasses.fields(stock)} - {"actor", "algorithm", "experiment_name"}
    assert {field: getattr(cfg, field) for field in kept} == {field: getattr(stock, field) for field in kept}
    assert cfg.experiment_name == f"go1_velocity_{name}"
    assert (cfg.algorithm.class_name, cfg.actor.class_name) == class_names(name)
    assert (cfg.actor.hidden_dims, cfg.actor.obs_normalization) == (stock.actor.hidden_dims, True)
    assert (cfg.actor.activation, cfg.actor.distribution_cfg) == (paper.actor.activation, None)
    for field_name, value in vars(paper.algorithm).items():
        expected = getattr(stock.algorithm, field_name, value) if field_name in paper.task_fields else value
        assert getattr(cfg.algorithm, field_name) == expected, field_name


@pytest.mark.parametrize("name", off_policy())
def test_off_policy_agents_have_the_settings_for_many_environments(name: str) -> None:
    stock = registry.load_rl_cfg("Mjlab-Velocity-Flat-Unitree-Go1")
    cfg = registry.load_rl_cfg(f"Mjlab-Velocity-Flat-Unitree-Go1-{name.upper()}")
    ours = ALGORITHMS[name].runner_cfg().sized(4096)
    assert (cfg.algorithm.class_name, cfg.actor.class_name) == class_names(name)
    assert (cfg.algorithm.gamma, cfg.critic) == (stock.algorithm.gamma, stock.critic)
    assert (cfg.algorithm.batch_size, cfg.actor.hidden_dims) == (8192, ours.actor.hidden_dims)
    assert (cfg.actor.obs_normalization, cfg.actor.distribution_cfg) == (True, None)


def test_registering_again_changes_nothing(scratch_registry: None) -> None:
    before = registry.list_tasks()
    tasks.register()
    assert registry.list_tasks() == before


def test_what_a_plugin_adds_to_mjlabs_classes_is_kept(scratch_registry: None) -> None:
    algorithm = SymmetricPPOCfg(entropy_coef=0.02, symmetry_cfg={"use_data_augmentation": True})
    ppo = registry.load_rl_cfg("Mjlab-Cartpole-Balance")
    register_as_plugin("Plugin-Task", dataclasses.replace(ppo, algorithm=algorithm))
    derived = registry.load_rl_cfg("Plugin-Task-DPCPPO").algorithm
    assert derived.symmetry_cfg == {"use_data_augmentation": True}
    assert (derived.entropy_coef, derived.score_coef, derived.class_name) == (0.02, 0.1, "rsl_dpcppo.DPCPPO")
    assert isinstance(derived, SymmetricPPOCfg)
    assert "Plugin-Task-GENPO" not in registry.list_tasks()  # it does not know symmetry


@pytest.mark.parametrize(("kind", "ours"), [("RNNModel", "FlowRNNActor"), ("CNNModel", "FlowCNNActor")])
def test_models_with_memory_and_images(kind: str, ours: str) -> None:
    ppo = registry.load_rl_cfg("Mjlab-Cartpole-Balance")
    ppo.actor.class_name = kind
    assert to_dpcppo(ppo).actor.class_name == f"rsl_dpcppo.{ours}"
    with pytest.raises(ConfigError, match=f"'{kind}'; dppo knows neither memory"):
        to_peer(ppo, "dppo")


def changed(path: str, value: Any) -> Any:
    cfg: Any = registry.load_rl_cfg("Mjlab-Cartpole-Balance")
    owner = cfg
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    setattr(owner, name, value)
    return cfg


@pytest.mark.parametrize(
    ("rl_cfg", "message"),
    [
        (RslRlBaseRunnerCfg(), "RslRlBaseRunnerCfg; it must be an RslRlOnPolicyRunnerCfg"),
        (changed("class_name", "DistillationRunner"), "DistillationRunner.*'OnPolicyRunner'"),
        (changed("algorithm.class_name", "other.SAC"), "algorithm.class_name is 'other.SAC'.*'PPO'"),
        (changed("actor.class_name", "other.Transformer"), "actor.class_name is 'other.Transformer'.*'MLPModel'"),
        (changed("actor.distribution_cfg", None), r"distribution_cfg\['class_name'\] is None.*'GaussianDistribution'"),
        (changed("actor.activation", "relux"), "flow_activation is 'relux'"),
    ],
)
def test_what_cannot_be_derived_is_left_out_and_says_why(scratch_registry: None, rl_cfg: Any, message: str) -> None:
    register_as_plugin("Plugin-Odd", rl_cfg)
    register_as_plugin("Plugin-Later", registry.load_rl_cfg("Mjlab-Cartpole-Balance"))
    assert "Plugin-Odd-DPCPPO" not in registry.list_tasks()
    assert "Plugin-Later-DPCPPO" in registry.list_tasks()
    with pytest.raises(ConfigError, match=message):
        to_dpcppo(rl_cfg)


def test_deriving_leaves_the_plugins_own_configuration_alone() -> None:
    ppo = RslRlOnPolicyRunnerCfg(actor=RslRlModelCfg(distribution_cfg={"class_name": "GaussianDistribution"}))
    before = copy.deepcopy(ppo)
    derived = to_dpcppo(ppo)
    derived.actor.distribution_cfg["init_std"] = 0.5
    derived.obs_groups["actor"] = ()
    assert ppo == before


def test_an_unsupported_mjlab_is_named_and_gets_no_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "2.0.1")
    monkeypatch.setattr(tasks, "register", lambda: pytest.fail("registered"))
    with pytest.warns(UserWarning, match=r"mjlab 2\.0\.1 is installed; rsl-dpcppo supports mjlab 1\.6\.x.*pip install"):
        importlib.reload(entry_point)

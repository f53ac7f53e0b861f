# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Isaac Lab 3.0's side of the contract with an RSL-RL agent; it is in no package index.

Stand-ins, in our words, for what a plugin meets: ``isaaclab.utils.configclass`` and the config classes of
``isaaclab_rl.rsl_rl``, with the field names and defaults of 3.0's rl_cfg.py (all of those listed here were checked
against that file), the clean-up of its utils.py (``handle_deprecated_rsl_rl_cfg`` for rsl-rl-lib 5.x), and
``isaaclab_tasks.utils.load_cfg_from_registry``. Gymnasium's registry and RSL-RL are the real ones.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import sys
import types
from dataclasses import MISSING
from typing import Any

import gymnasium


def configclass(cls: type) -> type:
    """Make a dataclass whose fields may have mutable and missing defaults, with ``to_dict``."""
    for name, annotation in inspect.get_annotations(cls).items():
        default = cls.__dict__.get(name, MISSING)
        if isinstance(default, dataclasses.Field) or "ClassVar" in str(annotation):
            continue
        setattr(cls, name, dataclasses.field(default_factory=lambda value=default: copy.deepcopy(value)))
    cls.to_dict = to_dict  # type: ignore[attr-defined]
    return dataclasses.dataclass(cls)


def to_dict(cfg: Any) -> Any:
    """Return nested plain values; a missing value becomes an empty dictionary, as in Isaac Lab."""
    if isinstance(cfg, type(MISSING)):
        return {}
    if dataclasses.is_dataclass(cfg):
        return {name: to_dict(value) for name, value in vars(cfg).items()}
    if isinstance(cfg, dict):
        return {key: to_dict(value) for key, value in cfg.items()}
    return cfg


@configclass
class GaussianDistributionCfg:
    class_name: str = "GaussianDistribution"
    init_std: float = MISSING
    std_type: str = "scalar"


@configclass
class RslRlMLPModelCfg:
    class_name: str = "MLPModel"
    hidden_dims: list = MISSING
    activation: str = MISSING
    obs_normalization: bool = False
    distribution_cfg: Any = None
    stochastic: bool = MISSING
    init_noise_std: float = MISSING
    noise_std_type: str = "scalar"
    state_dependent_std: bool = False


RslRlMLPModelCfg.GaussianDistributionCfg = GaussianDistributionCfg


@configclass
class RslRlRNNModelCfg(RslRlMLPModelCfg):
    class_name: str = "RNNModel"
    rnn_type: str = MISSING
    rnn_hidden_dim: int = MISSING
    rnn_num_layers: int = MISSING


@configclass
class RslRlCNNModelCfg(RslRlMLPModelCfg):
    class_name: str = "CNNModel"
    cnn_cfg: Any = MISSING


@configclass
class RslRlPpoActorCriticCfg:
    class_name: str = "ActorCritic"
    init_noise_std: float = MISSING
    noise_std_type: str = "scalar"
    state_dependent_std: bool = False
    actor_obs_normalization: bool = MISSING
    critic_obs_normalization: bool = MISSING
    actor_hidden_dims: list = MISSING
    critic_hidden_dims: list = MISSING
    activation: str = MISSING


@configclass
class RslRlPpoAlgorithmCfg:
    class_name: str = "PPO"
    num_learning_epochs: int = MISSING
    num_mini_batches: int = MISSING
    learning_rate: float = MISSING
    schedule: str = MISSING
    gamma: float = MISSING
    lam: float = MISSING
    entropy_coef: float = MISSING
    desired_kl: float = MISSING
    max_grad_norm: float = MISSING
    optimizer: str = "adam"
    value_loss_coef: float = MISSING
    use_clipped_value_loss: bool = MISSING
    clip_param: float = MISSING
    normalize_advantage_per_mini_batch: bool = False
    share_cnn_encoders: bool = False
    rnd_cfg: Any = None
    symmetry_cfg: Any = None


@configclass
class RslRlOnPolicyRunnerCfg:
    seed: int = 42
    device: str = "cuda:0"
    num_steps_per_env: int = MISSING
    max_iterations: int = MISSING
    empirical_normalization: bool = MISSING
    obs_groups: dict = MISSING
    clip_actions: Any = None
    save_interval: int = MISSING
    experiment_name: str = MISSING
    run_name: str = ""
    logger: str = "tensorboard"
    resume: bool = False
    load_run: str = ".*"
    load_checkpoint: str = "model_.*.pt"
    class_name: str = "OnPolicyRunner"
    actor: Any = MISSING
    critic: Any = MISSING
    algorithm: Any = MISSING
    policy: Any = MISSING


@configclass
class PresetCfg:
    """Alternatives by name, of which ``presets=<name>`` takes one, else ``default``."""


def choose(cfg: Any, preset: str) -> Any:
    """Do what 3.0 does with an agent's preset; what is set on its class goes before what the instance has."""
    if not isinstance(cfg, PresetCfg):
        return cfg
    name = preset if preset in cfg.__dataclass_fields__ else "default"  # type: ignore[attr-defined]
    return getattr(type(cfg), name, None) or getattr(cfg, name)


def clean_up(cfg: Any) -> Any:
    """Do what 3.0 does to a configuration before it builds the runner with rsl-rl-lib 5.x."""
    if not isinstance(cfg.policy, type(MISSING)):
        # Only the host's own class is understood; what is inferred from it replaces nothing that is there.
        assert type(cfg.policy) is RslRlPpoActorCriticCfg
        cfg.policy = MISSING
    for model in (cfg.actor, cfg.critic):
        if model.distribution_cfg is None and model.stochastic is True:
            model.distribution_cfg = GaussianDistributionCfg(init_std=model.init_noise_std)
        for name in ("stochastic", "init_noise_std", "noise_std_type", "state_dependent_std"):
            if name in vars(model):
                delattr(model, name)
    return cfg


def install() -> None:
    """Put the stand-ins where an import finds them."""
    modules = {
        "isaaclab": {},
        "isaaclab.utils": {"configclass": configclass},
        "isaaclab_rl": {},
        "isaaclab_rl.rsl_rl": {name: value for name, value in globals().items() if name.startswith("RslRl")},
        "isaaclab_tasks": {},
        "isaaclab_tasks.utils": {"load_cfg_from_registry": lambda task, key: gymnasium.spec(task).kwargs[key]()},
    }
    for name, contents in modules.items():
        module = types.ModuleType(name)
        vars(module).update(contents)
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)

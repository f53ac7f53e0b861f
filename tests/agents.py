# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Small agents and environments that several tests train."""

from __future__ import annotations

import dataclasses
import tempfile
from typing import Any

import torch
from rsl_rl.env import VecEnv
from rsl_rl.runners import OnPolicyRunner
from tensordict import TensorDict
from torch import Tensor

from rsl_dpcppo.algorithms.dpcppo.config import DPCPPOAlgorithmCfg, DPCPPORunnerCfg, FlowActorCfg
from rsl_dpcppo.algorithms.registry import ALGORITHMS
from rsl_dpcppo.bridge.train_cfg import to_rsl_rl
from rsl_dpcppo.bridge.version import GENERATION
from rsl_dpcppo.config.ppo import NetworkCfg, RunnerCfg
from rsl_dpcppo.tasks.agents import to_peer

LOGS = tempfile.TemporaryDirectory(prefix="rsl_dpcppo_test_")


def small_agent(**algorithm: Any) -> DPCPPORunnerCfg:
    """Return DP-CPPO with small networks and short fits; fields of the algorithm can be given."""
    fields = {"flow_num_epochs": 2, "flow_ema_decay": 0.9, **algorithm}
    return DPCPPORunnerCfg(
        num_steps_per_env=8,
        actor=FlowActorCfg(hidden_dims=[32, 32], flow_hidden_dims=[32, 32], flow_steps=4),
        critic=NetworkCfg(hidden_dims=[32, 32]),
        algorithm=DPCPPOAlgorithmCfg(**fields),
    )


def small_peer(name: str, **algorithm: Any) -> Any:
    """Return another algorithm's agent with small networks and few epochs; fields of the algorithm can be given."""
    cfg: Any = to_peer(small_agent(), name)
    if not ALGORITHMS[name].is_on_policy:
        return small_off_policy(cfg, **algorithm)
    cfg.actor.flow_steps = 4
    often = {"fold_interval": 2, "fold_tolerance": 100.0, "flow_num_mini_batches": 4} if name == "dpcppo_fold" else {}
    fields = {"num_learning_epochs": 4, "num_mini_batches": 4, "learning_rate": 1e-3, **often, **algorithm}
    cfg.algorithm = dataclasses.replace(cfg.algorithm, **fields)
    return cfg


def small_off_policy(cfg: Any, **algorithm: Any) -> Any:
    """Make an off-policy agent small, with a buffer of 1,024 samples that is saved; fields can be given."""
    fields = {"warmup_samples": 64, "batch_size": 32, "updates_per_step": 2.0, "replay_size": 1024}
    if hasattr(cfg.actor, "num_candidates"):
        cfg.actor.flow_steps, cfg.actor.num_candidates = 4, 3
        fields |= {"num_target_candidates": 4, "temperature": "schedule"}
    cfg.algorithm = dataclasses.replace(cfg.algorithm, **{**fields, "save_buffer": True, **algorithm})
    return cfg


def agent_dict(cfg: RunnerCfg | None = None, **actor: Any) -> dict[str, Any]:
    """Return the dictionary for the installed RSL-RL; fields of its policy or actor section can be given."""
    cfg_dict = to_rsl_rl(cfg or small_agent())
    cfg_dict[actor_section()].update(actor)
    return cfg_dict


def actor_section() -> str:
    """Return what the installed RSL-RL calls the section of the flow model."""
    return "policy" if GENERATION == 3 else "actor"


def make_runner(
    env: VecEnv, cfg: dict[str, Any], kind: type[OnPolicyRunner] = OnPolicyRunner, device: str = "cpu"
) -> Any:
    """Build a runner whose logs nobody reads; RSL-RL 3.x cannot do without."""
    return kind(env, cfg, log_dir=tempfile.mkdtemp(dir=LOGS.name), device=device)


def collect(runner: Any) -> None:
    """Fill the storage of a runner's algorithm with one rollout."""
    collect_steps(runner, runner.alg.storage.num_transitions_per_env)


def collect_steps(runner: Any, num_steps: int) -> None:
    """Give a runner's algorithm some steps of its environment, as the runner does."""
    alg, obs = runner.alg, runner.env.get_observations()
    with torch.inference_mode():
        for _ in range(num_steps):
            obs, rewards, dones, extras = runner.env.step(alg.act(obs))
            alg.process_env_step(obs, rewards, dones, extras)
        alg.compute_returns(obs)


def rollout(env: VecEnv, num_steps: int = 25, seed: int = 0) -> list[Tensor]:
    """Return all that an environment gives under random actions: first observations, then each step's results."""
    generator = torch.Generator().manual_seed(seed)
    results = [env.get_observations()["policy"]]
    for _ in range(num_steps):
        actions = 2.0 * torch.rand(env.num_envs, env.num_actions, generator=generator) - 1.0
        observations, rewards, dones, extras = env.step(actions)
        results += [observations["policy"], rewards, dones, extras["time_outs"]]
    env.close()
    return results


def same(left: list[Tensor], right: list[Tensor]) -> bool:
    """Return whether two lists hold the same tensors, bit for bit."""
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def flat_parameters(module: torch.nn.Module) -> Tensor:
    """Return all parameters and buffers as one vector."""
    return torch.cat([tensor.detach().double().flatten().clone() for tensor in module.state_dict().values()])


class Bandit(VecEnv):
    """One-step episodes with one good action, (0.6, -0.4): reward 1 - |a - good|^2. Offers several observations.

    Groups: "policy" [num_envs, 3] (constant), "privileged" [num_envs, 2], "camera" [num_envs, 1, 8, 8].
    """

    good_action = (0.6, -0.4)

    def __init__(self, num_envs: int = 64, groups: tuple[str, ...] = ("policy",), episode_length: int = 1) -> None:
        self.num_envs, self.num_actions, self.max_episode_length = num_envs, 2, episode_length
        self.device, self.cfg, self.groups = "cpu", {}, groups
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.long)

    def get_observations(self) -> TensorDict:
        sizes = {"policy": (3,), "privileged": (2,), "camera": (1, 8, 8)}
        observations = {name: torch.ones(self.num_envs, *sizes[name]) for name in self.groups}
        return TensorDict(observations, batch_size=[self.num_envs])

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        reward = 1.0 - (actions - torch.tensor(self.good_action)).square().sum(dim=-1)
        self.episode_length_buf = self.episode_length_buf + 1
        done = self.episode_length_buf >= self.max_episode_length
        self.episode_length_buf = self.episode_length_buf * ~done
        return self.get_observations(), reward, done.long(), {"time_outs": torch.zeros_like(done)}

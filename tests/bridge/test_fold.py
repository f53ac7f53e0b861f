# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""DP-CPPO with rare folds through RSL-RL's runner: when the flow moves, to what, and what is resumed in between."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from agents import Bandit, agent_dict, collect, flat_parameters, make_runner, small_agent
from torch import Tensor

from rsl_dpcppo.bridge.runner import Runner
from rsl_dpcppo.bridge.version import GENERATION
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.tasks.agents import to_peer
from rsl_dpcppo.tasks.embedded.multi_goal import MultiGoalEnv

RECURRENT = "rsl_dpcppo.FlowActorCriticRecurrent" if GENERATION == 3 else "rsl_dpcppo.FlowRNNActor"


def fold_agent(**algorithm: Any) -> Any:
    """Return a small agent that folds every third iteration."""
    cfg: Any = to_peer(small_agent(), "dpcppo_fold")
    fields = {"fold_interval": 3, "fold_states": 600, "flow_num_epochs": 2, "flow_ema_decay": 0.5, **algorithm}
    cfg.algorithm = dataclasses.replace(cfg.algorithm, **fields)
    return cfg


def residual_is_zero(runner: Any) -> bool:
    head, context = runner.alg.model.head, torch.randn(8, runner.alg.model.head.in_features)
    base_action = torch.randn(8, head.num_actions)
    return torch.equal(head.kernel_mean(base_action, context), base_action)


def test_the_flow_moves_at_folds_alone() -> None:
    runner = make_runner(MultiGoalEnv(32, seed=1), agent_dict(fold_agent()))
    flow = runner.alg.model.head.flow
    assert residual_is_zero(runner)
    for iteration in range(7):
        before = flat_parameters(flow)
        collect(runner)
        report = runner.alg.update()
        folded = iteration % 3 == 2
        assert torch.equal(before, flat_parameters(flow)) != folded
        assert residual_is_zero(runner) == folded
        assert report["fold_age"] == (iteration + 1) % 3
        assert (report["fold_error"] > 0.0) == (iteration >= 2)


def test_a_fold_takes_the_residual_into_the_flow() -> None:
    """Before and after it, the same noise is carried to the same action, but for the fit's error."""
    torch.manual_seed(0)
    cfg = fold_agent(fold_interval=12, flow_num_epochs=60, flow_ema_decay=0.9, fold_states=3000)
    runner = make_runner(MultiGoalEnv(64, seed=1), agent_dict(cfg))
    learner, head = runner.alg.learner, runner.alg.model.head
    for _ in range(11):
        collect(runner)
        runner.alg.update()
    context = learner.host.context(torch.cat(learner._states))[:512]
    noise = torch.randn(512, 2)

    def act() -> Tensor:
        with torch.no_grad():
            return head.act(noise, context)

    with torch.no_grad():
        base, before = head.flow(noise, context), act()
    learner._fold_error = learner.fold()
    error = (act() - before).square().mean().sqrt()
    assert residual_is_zero(runner)
    assert error < 0.35 * (before - base).square().mean().sqrt()
    assert learner._fold_error.item() == pytest.approx(error.item(), rel=0.3)
    last = [module for module in head.residual.modules() if isinstance(module, torch.nn.Linear)][-1]
    for parameter in (last.weight, last.bias):
        moments = learner.optimizer.state[parameter]
        assert moments["exp_avg"].abs().max() == moments["exp_avg_sq"].abs().max() == 0.0


@pytest.mark.parametrize("iterations", [2, 4])
def test_a_run_resumed_between_two_folds_is_the_uninterrupted_run(iterations: int, tmp_path: Path) -> None:
    def build(seed: int) -> Any:
        torch.manual_seed(seed)
        cfg = fold_agent()
        cfg.actor.obs_normalization = cfg.critic.obs_normalization = True
        return Runner(MultiGoalEnv(32, seed=seed), agent_dict(cfg), log_dir=str(tmp_path / "logs"), device="cpu")

    straight = build(3)
    straight.learn(7, init_at_random_ep_len=True)
    first = build(3)
    first.learn(iterations, init_at_random_ep_len=True)
    first.save(str(tmp_path / "model.pt"))
    resumed = build(99)
    resumed.load(str(tmp_path / "model.pt"))
    resumed.learn(7 - iterations)
    for one, other in zip(straight.alg.learner.host.networks(), resumed.alg.learner.host.networks(), strict=True):
        assert torch.equal(flat_parameters(one), flat_parameters(other))
    assert straight.alg.learner._fold_error == resumed.alg.learner._fold_error


def test_models_with_memory_fold_on_the_last_rollout() -> None:
    cfg = agent_dict(fold_agent(), class_name=RECURRENT, rnn_type="gru", rnn_hidden_dim=8)
    if GENERATION == 5:
        cfg["critic"].update(class_name="RNNModel", rnn_type="gru", rnn_hidden_dim=8)
    runner = make_runner(MultiGoalEnv(16), cfg)
    before = flat_parameters(runner.alg.model.head.flow)
    runner.learn(3, init_at_random_ep_len=True)
    assert not torch.equal(before, flat_parameters(runner.alg.model.head.flow))


def test_wrong_fields_are_refused() -> None:
    for field, value, message in (
        ("fold_interval", 0, "fold_interval is 0"),
        ("fold_states", 0.5, "fold_states is 0.5"),
        ("fold_target_noise", -1.0, r"fold_target_noise is -1\.0"),
        ("flow_noise", "old", "flow_noise is 'old'"),
    ):
        cfg = agent_dict(fold_agent())
        cfg["algorithm"][field] = value
        with pytest.raises(ConfigError, match=message):
            make_runner(Bandit(), cfg)
    cfg = agent_dict(fold_agent())
    cfg["algorithm"].update(flow_target="stored", flow_noise="fresh")
    with pytest.raises(ConfigError, match="it must be 'fresh'"):
        make_runner(Bandit(), cfg)

# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""GenPO, FPO, FPO++ and DPPO through RSL-RL's runner: resuming, exporting, and what they refuse."""

from __future__ import annotations

import copy
import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from agents import Bandit, actor_section, agent_dict, collect, flat_parameters, make_runner, small_agent, small_peer
from packaging.version import Version

from rsl_dpcppo import export as exporting
from rsl_dpcppo.algorithms.registry import ALGORITHMS, on_policy_peers, peers
from rsl_dpcppo.bridge.rebuild import build_model
from rsl_dpcppo.bridge.runner import Runner
from rsl_dpcppo.bridge.version import GENERATION, VERSION
from rsl_dpcppo.errors import CheckpointError, ConfigError
from rsl_dpcppo.learning.batch import MiniBatch
from rsl_dpcppo.learning.sampled_learner import SampledLearner
from rsl_dpcppo.tasks.embedded.multi_goal import MultiGoalEnv

every_peer = pytest.mark.parametrize("name", peers() if GENERATION == 5 else on_policy_peers())
every_on_policy_peer = pytest.mark.parametrize("name", on_policy_peers())


def normalized(cfg: Any) -> Any:
    cfg.actor.obs_normalization = cfg.critic.obs_normalization = True
    return cfg


def with_algorithm(cfg: dict[str, Any], **fields: Any) -> dict[str, Any]:
    cfg["algorithm"].update(fields)
    return cfg


def prepared_batch(alg: Any) -> MiniBatch:
    return alg.learner.prepare(next(iter(alg.learner.host.mini_batches(1, 1))))


@every_peer
def test_resumed_run_is_the_uninterrupted_run(name: str, tmp_path: Path) -> None:
    """6 iterations equal 3 + resume + 3 bit for bit: weights that train and that play, and the optimizer."""

    def build(seed: int) -> Any:
        torch.manual_seed(seed)
        env = MultiGoalEnv(32, seed=seed)
        return Runner(env, agent_dict(normalized(small_peer(name))), log_dir=str(tmp_path / "logs"), device="cpu")

    straight = build(3)
    straight.learn(6, init_at_random_ep_len=True)
    first = build(3)
    first.learn(3, init_at_random_ep_len=True)
    first.save(str(tmp_path / "model_2.pt"))
    resumed = build(99)
    resumed.load(str(tmp_path / "model_2.pt"))
    resumed.learn(3)
    for one, other in zip(straight.alg.learner.host.networks(), resumed.alg.learner.host.networks(), strict=True):
        assert torch.equal(flat_parameters(one), flat_parameters(other))
    one, other = (runner.alg.optimizer.state_dict() for runner in (straight, resumed))
    rates = [[float(group["lr"]) for group in state["param_groups"]] for state in (one, other)]
    assert rates[0] == pytest.approx(rates[1], rel=1e-6)  # the device has single precision
    assert all(
        torch.equal(one["state"][i][key], other["state"][i][key]) for i in one["state"] for key in one["state"][i]
    )


@every_peer
@pytest.mark.parametrize("noise", [pytest.param("zero", marks=pytest.mark.slow), "input"])
def test_exported_files_act_as_the_live_policy(name: str, noise: str, tmp_path: Path) -> None:
    """Also where the policy is rebuilt from its checkpoint alone."""
    torch.manual_seed(0)
    cfg = agent_dict(normalized(small_peer(name)))
    runner = Runner(MultiGoalEnv(32, seed=0), copy.deepcopy(cfg), log_dir=str(tmp_path / "logs"), device="cpu")
    runner.learn(2)
    runner.save(str(tmp_path / "model_1.pt"))
    model = runner.alg.model.eval()
    exported = exporting.exported_policy(model, noise)
    for path in exporting.export(exported, tmp_path / "exported"):
        assert exporting.largest_difference(model, exported, path) < 1e-5
    rebuilt = build_model(cfg, torch.load(tmp_path / "model_1.pt", weights_only=True))
    assert torch.equal(flat_parameters(rebuilt), flat_parameters(model))


@every_on_policy_peer
def test_nothing_has_changed_before_the_first_step(name: str) -> None:
    """Ratios are one: the surrogate is minus the mean advantage, and the estimate of the divergence zero."""
    torch.manual_seed(0)
    cfg = normalized(small_peer(name, normalize_advantage_per_mini_batch=False))
    runner = make_runner(MultiGoalEnv(32, seed=0), agent_dict(cfg))
    runner.learn(1)
    collect(runner)
    batch = prepared_batch(runner.alg)
    batch = dataclasses.replace(batch, advantages=batch.advantages + 0.3)
    losses, kl = runner.alg.learner.losses(batch)
    assert losses["surrogate"].item() == pytest.approx(-0.3, abs=1e-4)
    assert abs(kl.item()) < 1e-5


@pytest.mark.parametrize("name", [name for name in peers() if issubclass(ALGORITHMS[name].learner, SampledLearner)])
def test_what_plays_is_what_was_trained(name: str) -> None:
    torch.manual_seed(0)
    runner = make_runner(Bandit(), agent_dict(small_peer(name)))
    played, live = runner.alg.model.head.flow, runner.alg.model.live
    start = flat_parameters(played)
    runner.learn(1)
    trained = flat_parameters(live)
    assert (trained - start).abs().max() > 1e-4
    torch.testing.assert_close(flat_parameters(played), trained, rtol=1e-5, atol=1e-6)


def test_fpopps_average_begins_late(tmp_path: Path) -> None:
    """It is the trained weights at iteration ``flow_ema_start``, in a resumed run too, and an average from then on."""
    torch.manual_seed(0)
    runner = make_runner(Bandit(), agent_dict(small_peer("fpopp", flow_ema_start=2)))
    runner.learn(1)
    runner.save(str(tmp_path / "model_1.pt"))
    resumed = make_runner(Bandit(), agent_dict(small_peer("fpopp", flow_ema_start=2)))
    resumed.load(str(tmp_path / "model_1.pt"))
    played, live = resumed.alg.model.head.flow, resumed.alg.model.live
    resumed.learn(1)
    copied = flat_parameters(played)
    torch.testing.assert_close(copied, flat_parameters(live))
    resumed.learn(1)
    expected = 0.95 * copied + 0.05 * flat_parameters(live)
    torch.testing.assert_close(flat_parameters(played), expected, rtol=1e-5, atol=1e-6)


def test_density_of_genpos_rollout_is_that_of_the_inverse() -> None:
    torch.manual_seed(0)
    runner = make_runner(MultiGoalEnv(32, seed=0), agent_dict(normalized(small_peer("genpo"))))
    runner.learn(1)
    collect(runner)
    alg = runner.alg
    batch = prepared_batch(alg)
    pair, context = batch.stored, alg.learner.host.context(batch.observations)
    torch.testing.assert_close(pair.unflatten(-1, (2, -1)).mean(dim=1), batch.actions)
    noise = alg.model.live.inverse(pair, context)
    expected = -0.5 * noise.square().sum(dim=-1) - 2.0 * math.log(2.0 * math.pi) - 4 * 4 * math.log(0.9)
    torch.testing.assert_close(batch.old_log_prob, expected, rtol=1e-4, atol=1e-4)


def test_chain_of_dppos_rollout_ends_at_the_action() -> None:
    runner = make_runner(MultiGoalEnv(32, seed=0), agent_dict(small_peer("dppo")))
    collect(runner)
    batch = prepared_batch(runner.alg)
    chain = batch.stored.unflatten(-1, (5, 2))
    assert torch.equal(chain[:, -1], batch.actions)
    assert batch.prepared["old_log_prob"].shape == (len(batch.actions), 4)


def test_pairs_of_fpo_are_fixed_within_an_iteration_and_drawn_from_the_samplers_grid() -> None:
    runner = make_runner(Bandit(), agent_dict(small_peer("fpo", num_mini_batches=1)))
    seen = []
    losses = runner.alg.learner.losses
    runner.alg.learner.losses = lambda batch: (seen.append(batch.prepared), losses(batch))[1]
    runner.learn(2)
    assert len(seen) == 8
    assert all(torch.equal(pairs["noise"], seen[0]["noise"]) for pairs in seen[:4])
    assert not torch.equal(seen[0]["noise"], seen[4]["noise"])
    assert set(seen[0]["time"].flatten().tolist()) == {0.0, 0.25, 0.5, 0.75}
    assert seen[0]["noise"].shape == (512, 8, 2)


def test_optimizers_of_the_papers() -> None:
    fpopp = make_runner(Bandit(), agent_dict(small_peer("fpopp"))).alg.optimizer
    assert isinstance(fpopp, torch.optim.AdamW)
    assert fpopp.param_groups[0]["weight_decay"] == 1e-4
    dppo = make_runner(Bandit(), agent_dict(small_peer("dppo", critic_learning_rate=0.02))).alg
    policy, critic = dppo.optimizer.param_groups
    assert policy["lr"] is dppo.learner.step_size.tensor
    assert critic["lr"] == 0.02
    assert {id(x) for x in policy["params"]} == {id(x) for x in dppo.model.flow_policy.velocity.parameters()}


@every_peer
def test_checkpoint_of_another_algorithm_is_refused(name: str, tmp_path: Path) -> None:
    runner = Runner(Bandit(), agent_dict(small_peer(name)), log_dir=str(tmp_path / "logs"), device="cpu")
    runner.learn(1)
    runner.save(str(tmp_path / "model_0.pt"))
    other = make_runner(Bandit(), agent_dict(small_agent()), Runner)
    with pytest.raises(CheckpointError, match="another"):
        other.load(str(tmp_path / "model_0.pt"))


def test_what_an_algorithm_does_not_have_is_refused() -> None:
    cfg = agent_dict(small_peer("fpo"))
    cfg["algorithm"]["entropy_coef"] = 0.01
    with pytest.raises(ConfigError, match=r"entropy_coef is 0.01; FPO has no entropy term"):
        make_runner(Bandit(), cfg)
    cfg = agent_dict(small_peer("genpo"))
    cfg["algorithm"]["class_name"] = "rsl_dpcppo.DPPO"
    cfg["algorithm"].pop("compression_coef")
    with pytest.raises(ConfigError, match=r"Take rsl_dpcppo\.DPPOActor"):
        make_runner(Bandit(), cfg)
    with pytest.raises(ConfigError, match=r"flow_mix is 1\.0"):
        make_runner(Bandit(), agent_dict(small_peer("genpo"), flow_mix=1.0))
    with pytest.raises(ConfigError, match="flow_time_features is 3; it must be an even number"):
        make_runner(Bandit(), agent_dict(small_peer("dppo"), flow_time_features=3))
    with pytest.raises(ConfigError, match="takes the steps that it was trained with"):
        exporting.exported_policy(make_runner(Bandit(), agent_dict(small_peer("genpo"))).alg.model, flow_steps=9)


@pytest.mark.skipif(Version("5.5") > VERSION, reason="mixed precision is from 5.5")
def test_mixed_precision_is_refused() -> None:
    with pytest.raises(ConfigError, match="use_mixed_precision is True; GenPO needs single precision"):
        make_runner(Bandit(), with_algorithm(agent_dict(small_peer("genpo")), use_mixed_precision=True))


@every_on_policy_peer
def test_random_network_distillation(name: str) -> None:
    rnd = {
        "num_outputs": 1,
        "predictor_hidden_dims": [8],
        "target_hidden_dims": [8],
        "weight": 0.1,
        "learning_rate": 1e-3,
    }
    cfg = with_algorithm(agent_dict(small_peer(name)), rnd_cfg=rnd)
    cfg["obs_groups"]["rnd_state"] = ["policy"]
    runner = make_runner(MultiGoalEnv(32), cfg)
    predictor = flat_parameters(runner.alg.rnd.predictor)
    runner.learn(2)
    assert not torch.equal(flat_parameters(runner.alg.rnd.predictor), predictor)


@pytest.mark.skipif(GENERATION == 3, reason="a host's standard deviation is always passed there")
def test_distributions_are_refused() -> None:
    cfg = agent_dict(small_peer("fpo"))
    cfg[actor_section()]["distribution_cfg"] = {"class_name": "GaussianDistribution"}
    with pytest.raises(ConfigError, match="it must be None"):
        make_runner(Bandit(), cfg)

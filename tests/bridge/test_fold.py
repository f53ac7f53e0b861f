# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""DP-CPPO with rare folds through RSL-RL's runner: what PPO improves, when the flow moves and to what, and resuming."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from agents import Bandit, agent_dict, collect, flat_parameters, make_runner, small_agent
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence

from rsl_dpcppo.algorithms.dpcppo_fold.config import DPCPPOFoldRunnerCfg
from rsl_dpcppo.bridge.rebuild import build_model
from rsl_dpcppo.bridge.runner import Runner
from rsl_dpcppo.bridge.version import GENERATION
from rsl_dpcppo.cli.export import EXPORT_TOLERANCE
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.export import export, exported_policy, largest_difference
from rsl_dpcppo.learning import objective
from rsl_dpcppo.tasks.agents import to_peer
from rsl_dpcppo.tasks.embedded.multi_goal import MultiGoalEnv
from rsl_dpcppo.tasks.registry import find_task

RECURRENT = "rsl_dpcppo.FlowFoldActorCriticRecurrent" if GENERATION == 3 else "rsl_dpcppo.FlowFoldRNNActor"


def fold_agent(**algorithm: Any) -> Any:
    """Return a small agent that folds every third iteration."""
    cfg: Any = to_peer(small_agent(), "dpcppo_fold")
    fields = {"fold_interval": 3, "fold_states": 600, "flow_num_epochs": 2, "fold_tolerance": 100.0, **algorithm}
    cfg.algorithm = dataclasses.replace(cfg.algorithm, **fields)
    return cfg


def flow_is_all(runner: Any) -> bool:
    """Return whether noise is standard and there is no residual."""
    head, context = runner.alg.model.head, torch.randn(8, runner.alg.model.head.in_features)
    noise = torch.randn(8, head.num_actions)
    return all(
        torch.equal(made, noise) for made in (head.kernel_mean(noise, context), head.initial_noise(noise, context))
    )


def test_the_flow_moves_at_folds_alone() -> None:
    runner = make_runner(MultiGoalEnv(32, seed=1), agent_dict(fold_agent()))
    flow = runner.alg.model.head.flow
    assert flow_is_all(runner)
    for iteration in range(7):
        before = flat_parameters(flow)
        collect(runner)
        report = runner.alg.update()
        folded = iteration % 3 == 2
        assert torch.equal(before, flat_parameters(flow)) != folded
        assert flow_is_all(runner) == folded
        assert report["fold_age"] == (iteration + 1) % 3
        assert (report["fold_error"] > 0.0) == (iteration >= 2)


def test_until_the_first_fold_noise_is_the_base_action() -> None:
    runner = make_runner(MultiGoalEnv(32, seed=1), agent_dict(fold_agent()))
    policy = runner.alg.learner.policy
    noise, context = torch.randn(16, 2), 10.0 * torch.randn(16, policy.head.in_features)
    assert torch.equal(policy.head.flow(noise, context), noise)
    for _ in range(3):
        collect(runner)
        base_action, drawn, _ = policy.split(policy.stored)
        torch.testing.assert_close(base_action, drawn)
        runner.alg.update()
    assert not torch.allclose(policy.head.flow(noise, context), noise, atol=1e-3)


def test_a_fold_takes_noise_and_residual_into_the_flow() -> None:
    """Before and after it, the same standard noise is carried to the same action, but for the fit's error."""
    torch.manual_seed(0)
    cfg = fold_agent(fold_interval=12, flow_num_epochs=60, fold_states=3000)
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
    second_moments = [learner.optimizer.state[x]["exp_avg_sq"].clone() for x in head.last_parameters()]
    learner.fold()
    missed = act() - before
    assert flow_is_all(runner)
    assert missed.square().mean().sqrt() < 0.35 * (before - base).square().mean().sqrt()
    error = (missed / learner.host.kernel_std()).square().mean().sqrt().item()
    assert learner._report["fold_error"].item() == pytest.approx(error, rel=0.3)
    assert learner.flow_rate.item() == pytest.approx(learner.cfg.flow_learning_rate)
    # The next steps start from rest, at the size that they had.
    for parameter, second_moment in zip(head.last_parameters(), second_moments, strict=True):
        moments = learner.optimizer.state[parameter]
        assert moments["exp_avg"].abs().max() == 0.0
        assert torch.equal(moments["exp_avg_sq"], second_moment)


@pytest.mark.parametrize("fold_tolerance", [100.0, 1e-6])
def test_the_residual_speaks_in_deviations_of_the_kernel_at_the_last_fold(fold_tolerance: float) -> None:
    cfg = fold_agent(fold_tolerance=fold_tolerance)
    cfg.actor.init_std = 0.5
    runner = make_runner(MultiGoalEnv(32, seed=1), agent_dict(cfg))
    learner, head = runner.alg.learner, runner.alg.model.head
    for iteration in range(4):
        assert head.residual_unit.tolist() == pytest.approx([0.5, 0.5]) or iteration == 3
        collect(runner)
        runner.alg.update()
        if iteration == 2:
            deviation = learner.host.kernel_std().detach().clone()
    folded = fold_tolerance > 1.0
    torch.testing.assert_close(head.residual_unit, deviation if folded else torch.full((2,), 0.5))
    base_action, context = torch.randn(8, 2), torch.randn(8, head.in_features)
    with torch.no_grad():
        for parameter in head.last_parameters():
            parameter.normal_(std=0.3)
        shift = head.residual(torch.cat((context, base_action), dim=-1)) * head.residual_unit
        torch.testing.assert_close(head.kernel_mean(base_action, context), base_action + shift)


@pytest.mark.parametrize("std_type", ["scalar", "log"])
@pytest.mark.parametrize(
    ("shrunk_to", "fold_tolerance", "grows"), [(0.01, 100.0, True), (1.0, 100.0, False), (0.01, 1e-6, False)]
)
def test_the_kernel_is_no_narrower_than_what_a_fold_misses(
    std_type: str, shrunk_to: float, fold_tolerance: float, grows: bool
) -> None:
    cfg = fold_agent(fold_tolerance=fold_tolerance)
    cfg.actor.std_type = std_type
    runner = make_runner(MultiGoalEnv(32, seed=1), agent_dict(cfg))
    learner, head = runner.alg.learner, runner.alg.model.head
    for _ in range(2):
        collect(runner)
        runner.alg.update()
    context, target, noise = learner._fit_samples()
    wide = learner.host.kernel_std().detach().clone()
    learner.host.widen_kernel(torch.tensor(shrunk_to))
    before = learner.host.kernel_std().detach().clone()
    torch.testing.assert_close(before, shrunk_to * wide)
    learner.fold()
    with torch.no_grad():
        missed = (head.flow(noise, context) - target) / before
    factor = missed.square().mean().sqrt() if grows else torch.ones(())
    assert factor > 1.5 or not grows
    torch.testing.assert_close(learner.host.kernel_std().detach(), factor * before, rtol=1e-4, atol=0.0)


def test_a_kernel_that_is_not_trained_stays_as_it_is() -> None:
    runner = make_runner(MultiGoalEnv(32, seed=1), agent_dict(fold_agent()))
    learner, model = runner.alg.learner, runner.alg.model
    for _ in range(2):
        collect(runner)
        runner.alg.update()
    learner.host.widen_kernel(torch.tensor(0.01))
    (std,) = (x for name, x in model.named_parameters() if name in ("std", "distribution.std_param"))
    std.requires_grad_(False)
    before = std.clone()
    learner.fold()
    assert learner._report["fold_made"] == 1.0
    assert learner._report["fold_error"] > 1.0
    assert torch.equal(std, before)


def test_weights_from_before_the_residual_had_a_unit_act_as_they_did() -> None:
    head = make_runner(MultiGoalEnv(32, seed=1), agent_dict(fold_agent())).alg.model.head
    weights = {name: value for name, value in head.state_dict().items() if name != "residual_unit"}
    head.residual_unit.fill_(0.3)
    head.load_state_dict(weights)
    assert head.residual_unit.tolist() == [1.0, 1.0]


@pytest.mark.skipif(GENERATION == 3, reason="RSL-RL 3.x has Adam alone.")
@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adamw"])
def test_folds_know_every_optimizer_of_rsl_rl(name: str) -> None:
    cfg = agent_dict(fold_agent())
    cfg["algorithm"]["optimizer"] = name
    runner = make_runner(MultiGoalEnv(32, seed=1), cfg)
    for _ in range(3):
        collect(runner)
        report = runner.alg.update()
    assert report["fold_made"] == 1.0
    assert flow_is_all(runner)


def test_a_fold_that_misses_is_not_made() -> None:
    """Whoever acts, and what PPO has learned, stay as they are; what the flow learned is gone on from."""
    runner = make_runner(MultiGoalEnv(32, seed=1), agent_dict(fold_agent(fold_tolerance=1e-6)))
    head, learner = runner.alg.model.head, runner.alg.learner
    acting, live = flat_parameters(head.flow), flat_parameters(learner.policy.velocity)
    for _ in range(3):
        collect(runner)
        report = runner.alg.update()
    assert report["fold_made"] == 0.0
    assert report["fold_error"] > 0.0
    assert torch.equal(acting, flat_parameters(head.flow))
    assert not torch.equal(live, flat_parameters(learner.policy.velocity))
    assert not flow_is_all(runner)
    assert all(learner.optimizer.state[parameter]["exp_avg"].any() for parameter in head.last_parameters())


def test_the_ratio_is_that_of_noise_and_action() -> None:
    """Against torch's distributions: log p(n | s) p(a | a0, s), now and while the rollout was collected."""
    runner = make_runner(MultiGoalEnv(32, seed=1), agent_dict(fold_agent(noise_kl_coef=0.3)))
    learner, head = runner.alg.learner, runner.alg.model.head
    with torch.no_grad():
        for parameter in head.last_parameters():
            parameter.normal_(std=0.1)
    collect(runner)
    (batch,) = [learner.prepare(batch) for batch in learner.host.mini_batches(1, 1)]
    losses, kl = learner.losses(batch)
    standard = objective.standardized(batch.advantages)
    assert losses["surrogate"].item() == pytest.approx(-batch.advantages.mean().item(), abs=1e-5)  # the ratio is one
    assert kl.item() == pytest.approx(0.0, abs=1e-6)
    before = copy.deepcopy(head)
    with torch.no_grad():
        for parameter in head.last_parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    losses, kl = learner.losses(dataclasses.replace(batch, advantages=standard))
    context = learner.host.context(batch.observations)
    base_action, noise, _ = batch.stored.split(2, dim=-1)
    log_prob, divergences = {}, []
    for name, at in (("old", before), ("new", head)):
        drawn = Independent(Normal(at.noise.mean(context), at.noise.std), 1)
        acted = Independent(Normal(at.kernel_mean(base_action, context), learner.host.kernel_std()), 1)
        log_prob[name] = drawn.log_prob(noise) + acted.log_prob(batch.actions)
        divergences.append((drawn, acted))
    ratio = (log_prob["new"] - log_prob["old"]).exp()
    clipped = ratio.clamp(1 - runner.alg.clip_param, 1 + runner.alg.clip_param)
    surrogate = -torch.min(ratio * standard, clipped * standard).mean().item()
    assert losses["surrogate"].item() == pytest.approx(surrogate, rel=1e-3)
    old, new = divergences
    largest = max(kl_divergence(x, y).mean().item() for x, y in zip(old, new, strict=True))
    assert kl.item() == pytest.approx(largest, rel=1e-3)
    assert losses["entropy"].item() == pytest.approx(sum(x.entropy().mean().item() for x in new), rel=1e-5)
    standard_noise = Independent(Normal(torch.zeros_like(noise), 1.0), 1)
    assert losses["noise_kl"].item() == pytest.approx(kl_divergence(new[0], standard_noise).mean().item(), rel=1e-4)
    assert learner.weights()["noise_kl"] == 0.3


@pytest.mark.parametrize(
    ("last_epoch_kl", "clip_param", "desired_kl"),
    [(0.0, 0.2, 0.01), (0.0, 0.05, 0.00125), (3.0, 0.2, 0.03), (3.0, 0.1, 0.01), (0.5, 0.2, 0.005)],
)
def test_a_small_clip_asks_for_a_small_divergence(last_epoch_kl: float, clip_param: float, desired_kl: float) -> None:
    """The step size falls above twice the divergence that is aimed at."""
    cfg = fold_agent(clip_param=clip_param, desired_kl=0.01, last_epoch_kl=last_epoch_kl)
    learner = make_runner(Bandit(), agent_dict(cfg)).alg.learner
    for kl, falls in ((2.1 * desired_kl, True), (1.9 * desired_kl, False)):
        learner.step_size.set(1e-3)
        learner._adapt_step_size(torch.tensor(kl))
        assert (learner.step_size.tensor.item() < 0.9e-3) == falls


@pytest.mark.parametrize(("schedule", "last_epoch_kl"), [("adaptive", 4.0), ("adaptive", 0.0), ("fixed", 4.0)])
def test_the_step_size_follows_the_last_epoch_of_an_iteration(schedule: str, last_epoch_kl: float) -> None:
    torch.manual_seed(0)
    cfg = fold_agent(schedule=schedule, last_epoch_kl=last_epoch_kl, learning_rate=1e-3, num_learning_epochs=3)
    runner = make_runner(MultiGoalEnv(32, seed=1), agent_dict(cfg))
    learner, rates, divergences = runner.alg.learner, [], []
    losses = learner.losses

    def record(batch: Any) -> Any:
        terms, kl = losses(batch)
        rates.append(learner.step_size.tensor.item())
        divergences.append(kl.item())
        return terms, kl

    learner.losses = record
    collect(runner)
    runner.alg.update()
    after = learner.step_size.value
    constant = len(set(rates)) == 1
    assert constant == (schedule == "fixed" or last_epoch_kl > 0.0)
    last = sum(divergences[-runner.alg.num_mini_batches :]) / runner.alg.num_mini_batches
    if schedule == "fixed":
        assert after == pytest.approx(1e-3)
    elif constant:
        assert not 0.5 * 0.04 < last < 2.0 * 0.04, "it has nothing to follow"
        assert after == pytest.approx(1e-3 * (1.5 if last < 0.04 else 1 / 1.5))


@pytest.mark.parametrize(("last_epoch_kl", "bound"), [(4.0, 3e-3), (0.0, 1e-2)])
def test_the_step_size_that_stays_within_an_iteration_has_a_smaller_bound(last_epoch_kl: float, bound: float) -> None:
    learner = make_runner(Bandit(), agent_dict(fold_agent(last_epoch_kl=last_epoch_kl))).alg.learner
    for _ in range(10):
        learner._adapt_step_size(torch.tensor(1e-6))
    assert learner.step_size.tensor.item() == pytest.approx(bound)


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
    assert straight.alg.learner._report == resumed.alg.learner._report


def test_models_with_memory_fold_on_the_last_rollout() -> None:
    cfg = agent_dict(fold_agent(), class_name=RECURRENT, rnn_type="gru", rnn_hidden_dim=8)
    if GENERATION == 5:
        cfg["critic"].update(class_name="RNNModel", rnn_type="gru", rnn_hidden_dim=8)
    runner = make_runner(MultiGoalEnv(16), cfg)
    before = flat_parameters(runner.alg.model.head.flow)
    runner.learn(3, init_at_random_ep_len=True)
    assert not torch.equal(before, flat_parameters(runner.alg.model.head.flow))


@pytest.mark.skipif(GENERATION == 3, reason="RSL-RL has models of images from 3.3.")
def test_models_with_images_fold_on_the_last_rollout() -> None:
    """Checkpoints hold no images."""
    cnn = {"output_channels": [4], "kernel_size": 3, "flatten": True}
    cfg = agent_dict(fold_agent(), class_name="rsl_dpcppo.FlowFoldCNNActor", cnn_cfg=cnn)
    cfg["obs_groups"] = {"actor": ["policy", "camera"], "critic": ["policy"]}
    runner = make_runner(Bandit(groups=("policy", "camera")), cfg)
    before = flat_parameters(runner.alg.model.head.flow)
    runner.learn(2)
    assert all(len(states) == 0 for states in runner.alg.learner._states)
    runner.learn(1)
    assert not torch.equal(before, flat_parameters(runner.alg.model.head.flow))


def test_what_plays_is_what_acted_in_training() -> None:
    """From the same standard noise: nu, tau, the flow and the residual."""
    torch.manual_seed(0)
    policy = make_runner(MultiGoalEnv(32), agent_dict(fold_agent())).alg.learner.policy
    with torch.no_grad():
        for parameter in policy.head.last_parameters():
            parameter.normal_(std=0.3)
        context, acted = torch.randn(16, policy.head.in_features), []
        for act in (policy.act, policy.head):
            torch.manual_seed(1)
            acted.append(act(context))
    torch.testing.assert_close(acted[1], acted[0])
    base_action, noise, noise_mean = policy.stored.split(2, dim=-1)
    torch.manual_seed(1)
    torch.testing.assert_close(noise, noise_mean + policy.head.noise.log_std.exp() * torch.randn(16, 2))
    torch.testing.assert_close(base_action, policy.head.flow(noise, context))


def test_the_exported_policy_is_the_live_one(tmp_path: Path) -> None:
    """Between two folds, when noise, flow and residual all act."""
    runner = make_runner(MultiGoalEnv(32), agent_dict(fold_agent()))
    runner.learn(5)
    model = runner.alg.model
    exported = exported_policy(model, "7")
    paths = export(exported, tmp_path)
    assert {path.suffix for path in paths} == {".pt", ".onnx"}
    for path in paths:
        assert largest_difference(model, exported, path) <= EXPORT_TOLERANCE
    with torch.no_grad():
        model.head.noise.log_std.add_(1.0)
    assert all(largest_difference(model, exported, path) > 0.1 for path in paths)


def folds(cfg: Any) -> tuple[int, int, int]:
    """Return how many iterations apart an agent's folds are, their passes, and their states."""
    return cfg.algorithm.fold_interval, cfg.algorithm.flow_num_epochs, cfg.algorithm.fold_states


def test_few_environments_have_settings_of_their_own() -> None:
    """They keep the step size within an iteration, begin with a small kernel, and fold often and briefly."""
    for num_envs, few in ((32, True), (255, True), (256, False), (4096, False)):
        cfg: Any = to_peer(dataclasses.replace(small_agent(), num_envs=num_envs), "dpcppo_fold")
        assert cfg.algorithm.last_epoch_kl == (4.0 if few else 0.0)
        assert cfg.algorithm.fold_tolerance == (2.0 if few else 0.5)
        assert cfg.actor.init_std == (0.3 if few else 1.0)
        assert folds(cfg) == ((10, 2, 20_480) if few else (50, 10, 10_240))


@pytest.mark.parametrize("task", ["TwoModes-v0", "MultiGoal-v0"])
@pytest.mark.parametrize("agent", ["dpcppo_fold", "dpcppo_fold_modes"])
def test_short_runs_of_the_embedded_tasks_have_several_folds(task: str, agent: str) -> None:
    assert folds(find_task(task).make_agent(agent)) == (10, 2, 20_480)


@pytest.mark.parametrize(("num_envs", "clip_param", "interval"), [(32, 0.4, 10), (32, 0.05, 40), (4096, 0.05, 50)])
def test_few_environments_fold_more_rarely_where_the_clip_is_small(
    num_envs: int, clip_param: float, interval: int
) -> None:
    task = dataclasses.replace(small_agent(), num_envs=num_envs)
    task.algorithm.clip_param = clip_param
    assert to_peer(task, "dpcppo_fold").algorithm.fold_interval == interval  # type: ignore[attr-defined]


@pytest.mark.skipif(GENERATION == 3, reason="what the page says of 3.x is a comment")
@pytest.mark.parametrize("clip_param", [0.2, 0.05])
def test_the_documentation_tells_projects_of_few_environments_the_same(clip_param: float) -> None:
    page = (Path(__file__).parents[2] / "docs" / "rsl_rl.md").read_text(encoding="utf-8")
    code = page.partition("## Few environments")[2].partition("```python")[2].partition("```")[0]
    cfg = DPCPPOFoldRunnerCfg()
    cfg.algorithm.clip_param = clip_param
    agent = agent_dict(cfg)

    exec(code, {"cfg": agent})

    assert agent == agent_dict(cfg.sized(32)) != agent_dict(cfg)


@pytest.mark.parametrize("over_observation", [[], [32], [40, 32]])
def test_the_flow_has_the_tasks_widths_and_its_own_activation(over_observation: list[int]) -> None:
    """All layers but the last two see the observation alone."""
    task = small_agent()
    task.actor = dataclasses.replace(task.actor, flow_activation="mish", flow_hidden_dims=[*over_observation, 24, 16])
    cfg: Any = to_peer(task, "dpcppo_fold")
    assert (cfg.actor.flow_activation, cfg.actor.flow_hidden_dims) == ("swish", [24, 16])
    assert cfg.actor.flow_context_dims == over_observation
    trunk = make_runner(Bandit(), agent_dict(cfg)).alg.model.head.flow.velocity.trunk
    assert [type(layer).__name__ for layer in trunk] == ["SiLU", "Linear", "SiLU", "Linear"]


def test_layers_over_the_observation_alone_are_exported_and_rebuilt(tmp_path: Path) -> None:
    """The width of the observation is read off them then."""
    cfg = fold_agent()
    cfg.actor = dataclasses.replace(cfg.actor, flow_context_dims=[24, 16], flow_hidden_dims=[16])
    agent = agent_dict(cfg)
    runner = Runner(MultiGoalEnv(32, seed=1), copy.deepcopy(agent), log_dir=str(tmp_path / "logs"), device="cpu")
    runner.learn(4)
    runner.save(str(tmp_path / "model_3.pt"))
    model = runner.alg.model.eval()

    rebuilt = build_model(agent, torch.load(tmp_path / "model_3.pt", weights_only=True))

    assert torch.equal(flat_parameters(rebuilt), flat_parameters(model))
    policy = exported_policy(model, "input")
    for path in export(policy, tmp_path / "exported"):
        assert largest_difference(model, policy, path) < EXPORT_TOLERANCE


def test_wrong_fields_are_refused() -> None:
    for field, value, message in (
        ("fold_interval", 0, "fold_interval is 0"),
        ("fold_states", 0.5, "fold_states is 0.5"),
        ("fold_tolerance", 0.0, r"fold_tolerance is 0\.0"),
        ("last_epoch_kl", -1.0, r"last_epoch_kl is -1\.0"),
        ("flow_noise", "kept", "flow_noise"),
    ):
        cfg = agent_dict(fold_agent())
        cfg["algorithm"][field] = value
        with pytest.raises(ConfigError, match=message):
            make_runner(Bandit(), cfg)
    cfg = agent_dict(fold_agent())
    section = "policy" if GENERATION == 3 else "actor"
    cfg[section]["class_name"] = cfg[section]["class_name"].replace("FlowFold", "Flow")
    with pytest.raises(ConfigError, match=r"Take rsl_dpcppo\.FlowFold"):
        make_runner(Bandit(), cfg)

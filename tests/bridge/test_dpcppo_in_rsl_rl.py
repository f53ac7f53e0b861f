# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""DP-CPPO through the installed, unmodified RSL-RL. Run against every supported version."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from agents import Bandit, actor_section, agent_dict, collect, flat_parameters, make_runner, small_agent
from rsl_rl.runners import OnPolicyRunner
from tensordict import TensorDict
from torch import Tensor

import rsl_dpcppo
from rsl_dpcppo.bridge.runner import Runner
from rsl_dpcppo.bridge.version import GENERATION, VERSION
from rsl_dpcppo.errors import CheckpointError, ConfigError, NonFiniteError
from rsl_dpcppo.tasks.agents import to_peer, to_ppo
from rsl_dpcppo.tasks.embedded.multi_goal import MultiGoalEnv
from rsl_dpcppo.tasks.embedded.multi_goal_report import evaluate

FLOW_RECURRENT = "rsl_dpcppo.FlowActorCriticRecurrent" if GENERATION == 3 else "rsl_dpcppo.FlowRNNActor"
FLOW_CNN = "rsl_dpcppo.FlowActorCriticCNN" if GENERATION == 3 else "rsl_dpcppo.FlowCNNActor"
HAS_CNN = hasattr(rsl_dpcppo, FLOW_CNN.partition(".")[2])


def record_updates(runner: Any) -> list[dict[str, float]]:
    """Collect what every update reports, but for the times."""
    reports: list[dict[str, float]] = []
    update = runner.alg.update

    def recording() -> dict[str, float]:
        report = update()
        reports.append({name: value for name, value in report.items() if not name.startswith("seconds_")})
        return report

    runner.alg.update = recording
    return reports


def inference(runner: Any, observations: TensorDict) -> Tensor:
    with torch.inference_mode():
        return runner.get_inference_policy("cpu")(observations)


def test_unmodified_runner_learns_multi_goal() -> None:
    """Stock OnPolicyRunner, only class names and new fields changed, beats an untrained policy by far."""
    torch.manual_seed(1)
    cfg = small_agent(flow_num_epochs=8, flow_ema_decay=0.95)
    cfg.num_steps_per_env = 20
    runner = make_runner(MultiGoalEnv(256, seed=1), agent_dict(cfg))
    untrained = evaluate(runner.get_inference_policy("cpu"), 64).mean_return
    runner.learn(70, init_at_random_ep_len=True)
    trained = evaluate(runner.get_inference_policy("cpu"), 256).mean_return
    assert untrained < -20.0
    assert trained > -6.0


def test_bandit_is_solved() -> None:
    """Flow, and flow with residual, end at the one good action."""
    torch.manual_seed(0)
    cfg = small_agent(flow_num_epochs=8, score_coef=0.0)
    runner = make_runner(Bandit(256), agent_dict(cfg))
    runner.learn(60)
    observations = runner.env.get_observations()
    for policy in ("flow_residual", "flow"):
        runner.alg.model.head.set_inference(policy, "random")
        actions = inference(runner, observations)
        assert (actions.mean(dim=0) - torch.tensor(Bandit.good_action)).abs().max() < 0.1
        assert actions.std(dim=0).max() < 0.3


def test_stock_logger_gets_every_metric(tmp_path: Path) -> None:
    """Losses, fit, gap and times reach the event file through RSL-RL's own logger."""
    runner = OnPolicyRunner(Bandit(), agent_dict(), log_dir=str(tmp_path), device="cpu")
    runner.learn(2)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path))
    events.Reload()
    value = runner.alg.learner.host.value_loss_name
    names = f"surrogate {value} entropy score kl flow_matching_first flow_matching_last flow_fit_epochs".split()
    names += ["flow_ema_horizon", "flow_gap", "seconds_act", "seconds_update", "seconds_fit"]
    missing = {f"Loss/{name}" for name in names} - set(events.Tags()["scalars"])
    assert not missing
    horizon = events.Scalars("Loss/flow_ema_horizon")[0].value
    assert horizon == pytest.approx(1.0 / ((1.0 - 0.9) * 2 * 4))


def test_entropies_are_logged_on_request_and_change_nothing() -> None:
    """The policy's entropy is above the kernel's, its bound (14), and the run is the one that is not logged."""
    runners, reports = [], []
    for log_entropy in (False, True):
        torch.manual_seed(0)
        runners.append(make_runner(MultiGoalEnv(32), agent_dict(small_agent(log_entropy=log_entropy))))
        reports.append(record_updates(runners[-1]))
        runners[-1].learn(2)
    torch.testing.assert_close(*(flat_parameters(runner.alg.model) for runner in runners), rtol=0.0, atol=0.0)
    names = {"entropy_flow", "entropy_policy", "entropy_policy_upper"}
    assert not names & reports[0][-1].keys()
    logged = reports[1][-1]
    kernel = torch.distributions.Normal(0.0, runners[1].alg.learner.host.kernel_std()).entropy().sum().item()
    assert kernel < logged["entropy_policy"] <= logged["entropy_policy_upper"] + 0.05
    # Two fits with a slow average leave the flow near where it began: N(0, I), moved by a small network.
    assert logged["entropy_flow"] == pytest.approx(2.84, abs=0.7)


@pytest.mark.skipif(GENERATION == 3, reason="RSL-RL 3.x has policy and value function in one module.")
@pytest.mark.parametrize("clipped", [True, False])
def test_around_base_actions_of_zero_the_update_is_stock_ppos(clipped: bool) -> None:
    """From the same weights, rollout and shuffling, ten epochs end at the weights of RSL-RL's own PPO."""
    torch.manual_seed(0)
    fields = {"schedule": "fixed", "entropy_coef": 0.01, "num_learning_epochs": 10}
    cfg = small_agent(score_coef=0.0, use_clipped_value_loss=clipped, **fields)
    stock, ours = (make_runner(MultiGoalEnv(64, seed=1), agent_dict(agent)) for agent in (to_ppo(cfg), cfg))
    residual, mlp = ours.alg.model.head.residual, stock.alg.actor.mlp
    pairs = [(x[..., : y.shape[-1]], y) for x, y in zip(residual.parameters(), mlp.parameters(), strict=True)]
    with torch.no_grad():
        for weight, of_stock in pairs:
            weight.copy_(of_stock)
    ours.alg.critic.load_state_dict(stock.alg.critic.state_dict())
    collect(stock)
    storage = ours.alg.storage = copy.deepcopy(stock.alg.storage)
    storage.observations["base_action"] = torch.zeros_like(storage.actions)
    losses = []
    for update in (stock.alg.update, ours.alg.learner.improve):
        torch.manual_seed(5)
        losses.append(update())
    for name in ("value", "surrogate", "entropy"):
        assert float(losses[1][name]) == pytest.approx(losses[0][name], rel=1e-5)
    for weight, of_stock in [*pairs, *zip(ours.alg.critic.parameters(), stock.alg.critic.parameters(), strict=True)]:
        torch.testing.assert_close(weight, of_stock, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.alg.learner.host.kernel_std(), stock.alg.actor.distribution.std_param)


def test_base_action_of_the_rollout_is_what_the_update_sees() -> None:
    """Log-probabilities of the stored (s, a0, a) under unchanged weights equal those of the rollout."""
    runner = make_runner(MultiGoalEnv(16), agent_dict())
    alg = runner.alg
    collect(runner)
    assert alg.storage.observations["base_action"].abs().sum() > 0
    for batch in alg.learner.host.mini_batches(4, 1):
        mean, std = alg.learner.host.kernel(batch)
        log_prob = torch.distributions.Normal(mean, std).log_prob(batch.actions).sum(dim=-1)
        torch.testing.assert_close(log_prob, batch.old_log_prob, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(mean, batch.old_mean)


def test_optimizers_do_not_share_parameters() -> None:
    """PPO's optimizer holds neither live nor averaged flow, and its adaptive rate leaves the flow's alone."""
    runner = make_runner(MultiGoalEnv(32), agent_dict())
    alg, model = runner.alg, runner.alg.model
    flow = {id(p) for module in (model.velocity, model.head.flow) for p in module.parameters()}
    kernel = {id(p) for group in alg.optimizer.param_groups for p in group["params"]}
    assert not flow & kernel
    everything = {id(p) for p in model.parameters()}
    assert everything - flow <= kernel
    before = alg.learning_rate
    runner.learn(3)
    assert alg.learning_rate != before
    assert alg.learner.flow_optimizer.param_groups[0]["lr"] == 1e-3


def test_only_the_fit_changes_the_flow() -> None:
    """The conditional update leaves the flow as it is; the fit moves live and averaged weights, and nothing else."""
    runner = make_runner(MultiGoalEnv(32), agent_dict())
    alg, model = runner.alg, runner.alg.model
    improve, fit = alg.learner.improve, alg.learner.fit
    seen: dict[str, Any] = {}

    def checked_improve() -> Any:
        before = flat_parameters(model.velocity), flat_parameters(model.head.flow), flat_parameters(model.head.residual)
        result = improve()
        seen["flow_still"] = torch.equal(before[0], flat_parameters(model.velocity))
        seen["ema_still"] = torch.equal(before[1], flat_parameters(model.head.flow))
        seen["residual_moved"] = not torch.equal(before[2], flat_parameters(model.head.residual))
        return result

    def checked_fit() -> Any:
        before = flat_parameters(model.velocity), flat_parameters(model.head.flow), flat_parameters(model.head.residual)
        result = fit()
        seen["flow_moved"] = not torch.equal(before[0], flat_parameters(model.velocity))
        seen["ema_moved"] = not torch.equal(before[1], flat_parameters(model.head.flow))
        seen["residual_still"] = torch.equal(before[2], flat_parameters(model.head.residual))
        return result

    alg.learner.improve, alg.learner.fit = checked_improve, checked_fit
    runner.learn(1)
    assert len(seen) == 6
    assert all(seen.values()), seen


def test_resumed_run_is_the_uninterrupted_run(tmp_path: Path) -> None:
    """10 iterations equal 5 + resume + 5 bit for bit: weights, optimizers, learning rates and reported metrics."""

    def build(seed: int) -> tuple[Any, list[dict[str, float]]]:
        torch.manual_seed(seed)
        cfg = small_agent()
        cfg.actor.obs_normalization = cfg.critic.obs_normalization = True
        runner = Runner(MultiGoalEnv(64, seed=seed), agent_dict(cfg), log_dir=str(tmp_path / "logs"), device="cpu")
        return runner, record_updates(runner)

    straight, expected = build(seed=3)
    straight.learn(10, init_at_random_ep_len=True)
    first, before = build(seed=3)
    first.learn(5, init_at_random_ep_len=True)
    first.save(str(tmp_path / "model_4.pt"))
    resumed, after = build(seed=99)
    resumed.load(str(tmp_path / "model_4.pt"))
    resumed.learn(5)

    assert before + after == expected
    models = ("policy",) if GENERATION == 3 else ("actor", "critic")
    for name in models:
        assert torch.equal(flat_parameters(getattr(straight.alg, name)), flat_parameters(getattr(resumed.alg, name)))
    assert straight.alg.learning_rate == resumed.alg.learning_rate
    for optimizer in ("optimizer", "flow_optimizer"):
        one, other = (getattr(runner.alg.learner, optimizer).state_dict()["state"] for runner in (straight, resumed))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[i][key], other[i][key]) for i in one for key in one[i])


def test_stock_runner_resumes_the_learner_exactly(tmp_path: Path) -> None:
    """Through RSL-RL's own save and load, with an environment that has no state to lose."""

    def build(seed: int) -> tuple[Any, list[dict[str, float]]]:
        torch.manual_seed(seed)
        runner = OnPolicyRunner(Bandit(), agent_dict(), log_dir=str(tmp_path / "logs"), device="cpu")
        return runner, record_updates(runner)

    straight, expected = build(seed=3)
    straight.learn(6)
    first, before = build(seed=3)
    first.learn(3)
    first.save(str(tmp_path / "model_2.pt"))
    resumed, after = build(seed=4)
    resumed.load(str(tmp_path / "model_2.pt"))
    torch.rand(7)  # what a host draws between loading and learning does not matter
    resumed.learn(3)
    assert before + after == expected


def test_stock_and_own_runner_read_each_other(tmp_path: Path) -> None:
    stock = OnPolicyRunner(Bandit(), agent_dict(), log_dir=str(tmp_path), device="cpu")
    stock.learn(1)
    own = make_runner(Bandit(), agent_dict(), Runner)
    own.learn(1)
    own.load(str(tmp_path / "model_0.pt"))
    assert torch.equal(flat_parameters(stock.alg.model), flat_parameters(own.alg.model))
    own.save(str(tmp_path / "own.pt"))
    again = make_runner(Bandit(), agent_dict())
    again.load(str(tmp_path / "own.pt"))
    assert torch.equal(flat_parameters(stock.alg.model), flat_parameters(again.alg.model))


def test_playing_keeps_its_own_random_numbers(tmp_path: Path) -> None:
    """Loading a checkpoint does not touch the seed that an evaluation set."""
    runner = Runner(Bandit(), agent_dict(), log_dir=str(tmp_path), device="cpu")
    runner.learn(1)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    runner.load(str(tmp_path / "model_0.pt"))
    assert torch.equal(before, torch.get_rng_state())


def test_checkpoint_of_another_algorithm_is_refused(tmp_path: Path) -> None:
    runner = Runner(Bandit(), agent_dict(), log_dir=str(tmp_path), device="cpu")
    runner.learn(1)
    checkpoint = torch.load(tmp_path / "model_0.pt", weights_only=True)
    del checkpoint["optimizer_state_dict"]["learner"]
    torch.save(checkpoint, tmp_path / "stock.pt")
    with pytest.raises(CheckpointError, match="not DPCPPO"):
        runner.load(str(tmp_path / "stock.pt"))


def test_non_finite_loss_stops_and_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    cfg = agent_dict()
    cfg["save_interval"] = 1
    runner = OnPolicyRunner(Bandit(), cfg, log_dir=str(tmp_path), device="cpu")
    runner.learn(2)
    step = runner.env.step
    runner.env.step = lambda actions: (lambda o, r, d, e: (o, r + float("inf"), d, e))(*step(actions))
    with pytest.raises(NonFiniteError, match="surrogate"):
        runner.learn(2)
    newest = torch.load(tmp_path / "model_1.pt", weights_only=True)
    key = "model_state_dict" if GENERATION == 3 else "actor_state_dict"
    assert all(tensor.isfinite().all() for tensor in newest[key].values())
    assert not (tmp_path / "model_2.pt").exists()


def test_normalizer_stays_still_within_an_iteration() -> None:
    """Acting and updating see the same normalisation; it moves between iterations, for flow and residual alike."""
    cfg = small_agent()
    cfg.actor.obs_normalization = True
    runner = make_runner(MultiGoalEnv(64), agent_dict(cfg))
    alg, seen = runner.alg, []
    act, update = alg.act, alg.update
    alg.act = lambda obs: (seen.append(flat_parameters(alg.model.normalizer)), act(obs))[1]
    alg.update = lambda: (seen.append(flat_parameters(alg.model.normalizer)), update())[1]
    runner.learn(1)
    assert all(torch.equal(seen[0], state) for state in seen)
    observed = alg.storage.observations["policy"].flatten(0, 1)
    torch.testing.assert_close(alg.model.normalizer.mean, observed.mean(dim=0), atol=1e-4, rtol=1e-4)


def test_asymmetric_observations() -> None:
    env = Bandit(groups=("policy", "privileged"))
    cfg = agent_dict()
    actor = "policy" if GENERATION == 3 else "actor"
    cfg["obs_groups"] = {actor: ["policy"], "critic": ["policy", "privileged"]}
    runner = make_runner(env, cfg)
    runner.learn(2)
    assert runner.alg.model.head.in_features == 3
    critic = runner.alg.policy.critic if GENERATION == 3 else runner.alg.critic.mlp
    assert critic[0].in_features == 5


@pytest.mark.parametrize("rnn_type", ["lstm", "gru"])
def test_recurrent_model(rnn_type: str) -> None:
    """Stored base actions are matched to padded trajectories: unchanged weights give the means."""
    torch.manual_seed(0)
    cfg = agent_dict(class_name=FLOW_RECURRENT, rnn_type=rnn_type, rnn_hidden_dim=16)
    if GENERATION == 5:
        cfg["critic"].update(class_name="RNNModel", rnn_type=rnn_type, rnn_hidden_dim=16)
    runner = make_runner(MultiGoalEnv(16), cfg)
    runner.learn(2, init_at_random_ep_len=True)
    improve, checked = runner.alg.learner.improve, []

    def check() -> Any:
        for batch in runner.alg.learner.host.mini_batches(4, 1):
            mean, _ = runner.alg.learner.host.kernel(batch)
            torch.testing.assert_close(mean, batch.old_mean, atol=1e-5, rtol=1e-4)
            checked.append(batch)
        return improve()

    runner.alg.learner.improve = check
    runner.learn(2)
    assert len(checked) == 8
    assert inference(runner, runner.env.get_observations()).shape == (16, 2)


@pytest.mark.skipif(GENERATION != 5, reason="RSL-RL 3.x has one encoder kind for both")
def test_policy_without_memory_beside_a_critic_with_memory() -> None:
    """It gets padded trajectories too, and evaluates them as it acted."""
    cfg = agent_dict()
    cfg["critic"].update(class_name="RNNModel", rnn_type="gru", rnn_hidden_dim=8)
    runner = make_runner(MultiGoalEnv(16), cfg)
    collect(runner)
    for batch in runner.alg.learner.host.mini_batches(4, 1):
        assert batch.masks is not None
        mean, _ = runner.alg.learner.host.kernel(batch)
        torch.testing.assert_close(mean, batch.old_mean, atol=1e-5, rtol=1e-4)
    before = flat_parameters(runner.alg.model.velocity)
    runner.alg.update()
    assert not torch.equal(before, flat_parameters(runner.alg.model.velocity))


@pytest.mark.skipif(not HAS_CNN, reason="this RSL-RL has no CNN model")
def test_cnn_model() -> None:
    cnn = {"output_channels": [4], "kernel_size": 3, "flatten": True}
    env = Bandit(groups=("policy", "camera"))
    if GENERATION == 3:
        cfg = agent_dict(class_name=FLOW_CNN, actor_cnn_cfg=cnn)
        cfg["obs_groups"] = {"policy": ["policy", "camera"], "critic": ["policy"]}
    else:
        cfg = agent_dict(class_name=FLOW_CNN, cnn_cfg=cnn)
        cfg["obs_groups"] = {"actor": ["policy", "camera"], "critic": ["policy"]}
    runner = make_runner(env, cfg)
    before = flat_parameters(runner.alg.model)
    runner.learn(2)
    assert not torch.equal(before, flat_parameters(runner.alg.model))
    assert inference(runner, env.get_observations()).shape == (64, 2)


def mirror(env: Any, obs: TensorDict | None, actions: Tensor | None) -> tuple[TensorDict | None, Tensor | None]:
    """Append the copy mirrored at the y axis. Fails on observation groups that it does not know."""
    flip = torch.tensor([-1.0, 1.0])
    if obs is not None:
        assert set(obs.keys()) == {"policy"}
        obs = torch.cat([obs, TensorDict({"policy": obs["policy"] * flip}, batch_size=obs.batch_size)])
    return obs, None if actions is None else torch.cat([actions, actions * flip])


def symmetric_agent(augment: bool, loss: bool, name: str = "dpcppo") -> dict[str, Any]:
    agent: Any = small_agent()
    if name == "dpcppo_fold":
        agent = to_peer(agent, name)
        agent.algorithm.fold_interval = 1
    cfg = agent_dict(agent)
    cfg["algorithm"]["symmetry_cfg"] = {
        "data_augmentation_func": mirror,
        "use_data_augmentation": augment,
        "use_mirror_loss": loss,
        "mirror_loss_coeff": 10.0,
    }
    return cfg


@pytest.mark.parametrize("name", ["dpcppo", "dpcppo_fold"])
@pytest.mark.parametrize(("augment", "loss"), [(True, False), (False, True), (True, True), (False, False)])
def test_symmetry(augment: bool, loss: bool, name: str) -> None:
    """What was stored is mirrored as the action is, so mirrored transitions have the mirrored kernel's mean."""
    torch.manual_seed(0)
    runner = make_runner(MultiGoalEnv(64), symmetric_agent(augment, loss, name))
    reports = record_updates(runner)
    samples = runner.alg.learner._fit_samples
    sizes = []
    runner.alg.learner._fit_samples = lambda: (lambda pair: (sizes.append(len(pair[0])), pair)[1])(samples())
    runner.learn(3)
    assert all(report["symmetry"] >= 0.0 for report in reports)
    assert sizes == [64 * 8 * (2 if augment else 1)] * 3
    batch = next(runner.alg.learner.host.mini_batches(4, 1))
    mirrored = runner.alg.learner.symmetry.mirror_batch(batch)
    flip = torch.tensor([-1.0, 1.0])
    torch.testing.assert_close(mirrored.stored[batch.size :], batch.stored * flip.repeat(batch.stored.shape[-1] // 2))
    torch.testing.assert_close(mirrored.actions[batch.size :], batch.actions * flip)
    torch.testing.assert_close(mirrored.advantages, batch.advantages.repeat(2))


def test_mirror_loss_makes_the_policy_symmetric() -> None:
    """With the mirror loss the residual's asymmetry falls well below that without it."""

    def asymmetry(use_mirror_loss: bool) -> float:
        torch.manual_seed(0)
        runner = make_runner(MultiGoalEnv(64), symmetric_agent(False, use_mirror_loss))
        reports = record_updates(runner)
        runner.learn(8)
        return reports[-1]["symmetry"]

    assert asymmetry(True) < 0.5 * asymmetry(False)


def test_random_network_distillation() -> None:
    cfg = agent_dict()
    cfg["algorithm"]["rnd_cfg"] = {
        "num_outputs": 4,
        "predictor_hidden_dims": [16],
        "target_hidden_dims": [16],
        "weight": 0.1,
    }
    cfg["obs_groups"]["rnd_state"] = ["policy"]
    runner = make_runner(MultiGoalEnv(64), cfg)
    reports = record_updates(runner)
    runner.learn(8)
    assert reports[-1]["rnd"] < 0.5 * reports[0]["rnd"]


@pytest.mark.parametrize("std_type", ["scalar", "log"])
@pytest.mark.parametrize("schedule", ["adaptive", "fixed"])
def test_std_types_and_schedules(std_type: str, schedule: str) -> None:
    cfg = small_agent(schedule=schedule)
    cfg.actor.std_type, cfg.actor.init_std = std_type, 0.5
    runner = make_runner(MultiGoalEnv(32), agent_dict(cfg))
    assert runner.alg.model.kernel_std().tolist() == pytest.approx([0.5, 0.5])
    runner.learn(3)
    assert (runner.alg.learning_rate == cfg.algorithm.learning_rate) == (schedule == "fixed")


def test_advantages_per_mini_batch_and_stored_targets() -> None:
    cfg = small_agent(normalize_advantage_per_mini_batch=True, flow_target="stored", use_clipped_value_loss=False)
    runner = make_runner(MultiGoalEnv(32), agent_dict(cfg))
    sampled = []
    draw = runner.alg.model.flow_policy.draw
    runner.alg.model.flow_policy.draw = lambda noise, context: (sampled.append(len(context)), draw(noise, context))[1]
    runner.learn(1)
    # One pass a step of the rollout, and the two of the gap's batch: none for the fit's targets.
    assert len(sampled) == 8 + 2


def test_fit_stops_early() -> None:
    cfg = small_agent(flow_num_epochs=30, flow_fit_tolerance=0.5)
    runner = make_runner(MultiGoalEnv(32), agent_dict(cfg))
    reports = record_updates(runner)
    runner.learn(1)
    assert reports[0]["flow_fit_epochs"] == 2


def test_flow_steps_of_the_algorithm_override_the_model() -> None:
    runner = make_runner(Bandit(), agent_dict(small_agent(flow_steps=7)))
    assert runner.alg.model.head.flow.num_steps == 7


@pytest.mark.skipif(GENERATION != 5 or VERSION.release < (5, 5), reason="from RSL-RL 5.5")
def test_mixed_precision() -> None:
    cfg = agent_dict()
    cfg["algorithm"]["use_mixed_precision"] = True
    runner = make_runner(MultiGoalEnv(32), cfg)
    reports = record_updates(runner)
    runner.learn(3)
    assert abs(reports[0]["kl"]) < 1.0
    assert all(p.dtype == torch.float32 for p in runner.alg.model.parameters())


@pytest.mark.slow
@pytest.mark.skipif(GENERATION != 5 or VERSION.release < (5, 1), reason="from RSL-RL 5.1")
def test_torch_compile() -> None:
    """Compiled and plain models give the same update."""
    import torch._inductor.config

    def run(mode: str | None) -> tuple[list[dict[str, float]], Tensor]:
        torch.manual_seed(0)
        cfg = agent_dict()
        cfg["torch_compile_mode"] = mode
        runner = make_runner(MultiGoalEnv(32), cfg)
        reports = record_updates(runner)
        runner.learn(2)
        return reports, flat_parameters(runner.alg.model)

    with torch._inductor.config.patch(fallback_random=True):  # the same noise in both
        plain, compiled = run(None), run("default")
    torch.testing.assert_close(plain[1], compiled[1], atol=2e-3, rtol=1e-2)
    assert compiled[0][0] == pytest.approx(plain[0][0], rel=1e-2, abs=1e-3)


def test_wrong_fields_are_refused() -> None:
    section = actor_section()
    wrong = [
        (section, "flow_step", 4, "Did you mean 'flow_steps'"),
        (section, "flow_steps", 0, "flow_steps is 0"),
        (section, "flow_solver", "rk4", "'euler', 'midpoint'"),
        ("algorithm", "score_coeff", 0.1, "Did you mean 'score_coef'"),
        ("algorithm", "flow_ema_decay", 1.0, "flow_ema_decay is 1.0"),
        ("algorithm", "flow_num_epochs", "15", "flow_num_epochs is '15'"),
    ]
    for name, field, value, message in wrong:
        cfg = agent_dict()
        cfg[name][field] = value
        with pytest.raises(ConfigError, match=message):
            make_runner(Bandit(), cfg)


def test_wrong_models_and_environments_are_refused() -> None:
    cfg = agent_dict()
    cfg[actor_section()] = {"class_name": "ActorCritic" if GENERATION == 3 else "MLPModel"}
    if GENERATION == 5:
        cfg["actor"]["distribution_cfg"] = {"class_name": "GaussianDistribution"}
    with pytest.raises(ConfigError, match="needs a flow policy"):
        make_runner(Bandit(), cfg)

    cfg = agent_dict()
    cfg["obs_groups"][actor_section()] = ["policy", "camera"]
    with pytest.raises(ConfigError, match="'camera' has shape"):
        make_runner(Bandit(groups=("policy", "camera")), cfg)

    env = Bandit()
    env.action_space = type("Discrete", (), {"__repr__": lambda self: "Discrete(4)"})()
    with pytest.raises(ConfigError, match="continuous"):
        make_runner(env, agent_dict(), Runner)

    env = Bandit()
    env.num_actions = 0
    with pytest.raises(ConfigError, match="num_actions is 0"):
        make_runner(env, agent_dict())


def test_base_action_baseline_is_refused_for_a_model_with_memory() -> None:
    cfg = agent_dict(small_agent(base_action_baseline=True), class_name=FLOW_RECURRENT, rnn_type="lstm")
    with pytest.raises(ConfigError, match="base_action_baseline is True"):
        make_runner(Bandit(), cfg)


def test_kernels_other_than_the_gaussian_are_refused() -> None:
    if GENERATION == 3:
        cfg = agent_dict(state_dependent_std=True)
        message = "state_dependent_std"
    else:
        cfg = agent_dict(distribution_cfg={"class_name": "HeteroscedasticGaussianDistribution"})
        message = "GaussianDistribution"
    with pytest.raises(ConfigError, match=message):
        make_runner(Bandit(), cfg)


def test_a_field_that_hosts_always_pass_is_accepted() -> None:
    """Isaac Lab passes state_dependent_std=False also to releases that do not know it."""
    if GENERATION == 3:
        make_runner(Bandit(), agent_dict(state_dependent_std=False))

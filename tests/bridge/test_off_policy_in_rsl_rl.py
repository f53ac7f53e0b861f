# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""SAC, DPMD and SDAC through RSL-RL's unmodified runner: learning, time-outs, buffers, and what they refuse."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from agents import Bandit, agent_dict, collect_steps, flat_parameters, make_runner, small_peer
from rsl_rl.env import VecEnv
from tensordict import TensorDict
from torch import Tensor

import rsl_dpcppo
from rsl_dpcppo import export as exporting
from rsl_dpcppo.algorithms.registry import off_policy
from rsl_dpcppo.bridge.rebuild import build_model
from rsl_dpcppo.bridge.runner import Runner
from rsl_dpcppo.bridge.version import GENERATION
from rsl_dpcppo.errors import CheckpointError, ConfigError, EnvError
from rsl_dpcppo.tasks.embedded.multi_goal import MultiGoalEnv

if GENERATION != 5:
    pytest.skip("needs rsl-rl-lib 5.x", allow_module_level=True)

every_one = pytest.mark.parametrize("name", off_policy())


class Point(VecEnv):
    """A point on a line that is to be brought to 0 within twelve steps, and never ends otherwise.

    Reward -x^2, x' = x + 0.3 a. Without control a start from U(-1, 1) costs 4; the best costs about 0.5.
    """

    def __init__(self, num_envs: int = 64, gives_final: bool = True) -> None:
        self.num_envs, self.num_actions, self.max_episode_length = num_envs, 1, 12
        self.device, self.cfg, self.gives_final = "cpu", {}, gives_final
        self.generator = torch.Generator().manual_seed(0)
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.long)
        self.x = self.start()

    def start(self) -> Tensor:
        return 2.0 * torch.rand(self.num_envs, 1, generator=self.generator) - 1.0

    def get_observations(self) -> TensorDict:
        return TensorDict({"policy": self.x.clone()}, batch_size=[self.num_envs])

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        x = self.x + 0.3 * actions.clamp(-1.0, 1.0)
        self.episode_length_buf = self.episode_length_buf + 1
        done = self.episode_length_buf >= self.max_episode_length
        self.episode_length_buf = self.episode_length_buf * ~done
        self.x = torch.where(done[:, None], self.start(), x)
        final = {"final_obs": {"policy": x}} if self.gives_final else {}
        return self.get_observations(), -x[:, 0].square(), done.long(), {"time_outs": done, **final}


def learner_of(name: str, env: VecEnv, **algorithm: Any) -> Any:
    torch.manual_seed(0)
    rates = {"actor_learning_rate": 2e-3, "critic_learning_rate": 2e-3, "batch_size": 128, "target_decay": 0.98}
    own: dict[str, Any] = {"init_temperature": 0.1}
    if name != "sac":
        own = {"temperature": "dual", "kl_target": 1.0, "reward_scale": 1.0, "policy_delay": 1, "batch_size": 64}
    fields = {"gamma": 0.9, "warmup_samples": 512, "replay_size": 16_384, "save_buffer": False, **rates, **own}
    cfg = small_peer(name, **{**fields, **algorithm})
    if name != "sac":
        cfg.actor.flow_steps = 6
    return make_runner(env, agent_dict(cfg))


@torch.inference_mode()
def cost(runner: Any) -> float:
    """Return what an episode of the point costs, from a start to the end, in the mean."""
    env, policy = Point(512), runner.get_inference_policy("cpu")
    observations, total = env.get_observations(), 0.0
    for _ in range(12):
        observations, rewards, _, _ = env.step(policy(observations))
        total -= rewards.mean().item()
    return total


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [
        ("sac", {}),
        ("sac", {"return_steps": 3}),
        ("dpmd", {}),
        ("sdac", {"anchor": "replay", "num_reverse": 16}),
        ("sdac", {"reverse": "clip", "num_reverse": 16}),
    ],
)
def test_it_learns_to_move_a_point(name: str, algorithm: dict[str, Any]) -> None:
    """From about 4 of no control to within 0.3 of the best, through the unmodified runner."""
    runner = learner_of(name, Point(), **algorithm)
    runner.learn(25)
    assert cost(runner) < 0.8


@pytest.mark.parametrize("q_norm", ["batch", "published"])
def test_dpmds_other_weights_run(q_norm: str) -> None:
    runner = learner_of("dpmd", Point(), q_norm=q_norm, temperature="schedule")
    runner.learn(3)
    assert runner.alg.learner.q_std != 1.0
    assert runner.alg.learner.num_updates > 0


def test_time_outs_without_final_observations_are_left_out_of_the_buffer() -> None:
    for gives_final, expected in ((True, 64 * 24), (False, 64 * 22)):
        runner = learner_of("sac", Point(gives_final=gives_final))
        collect_steps(runner, 24)
        buffer = runner.alg.learner.buffer
        assert buffer.counts.sum().item() == expected
        batch = buffer.sample(2000, 0.9)
        moved = batch.next_observations["policy"] - batch.observations["policy"]
        torch.testing.assert_close(moved, 0.3 * batch.actions, rtol=0, atol=1e-5)
        assert (batch.discounts == torch.tensor(0.9)).all()


def test_nothing_to_learn_from_is_said() -> None:
    env = Point(gives_final=False)
    env.max_episode_length = 1
    with pytest.raises(EnvError, match="Every step of the environment was a time-out without a last observation"):
        learner_of("sac", env).learn(3)


def test_terminal_states_are_worth_nothing() -> None:
    runner = learner_of("sac", Bandit(64))
    collect_steps(runner, 4)
    assert (runner.alg.learner.buffer.sample(100, 0.9).discounts == 0.0).all()


def test_wrong_final_observations_are_named() -> None:
    env = Point()
    runner = learner_of("sac", env)
    step = env.step
    env.step = lambda actions: (*step(actions)[:3], {"final_obs": {"policy": torch.zeros(64, 2)}})
    with pytest.raises(EnvError, match=r"extras\['final_obs'\].*'policy': \[64, 2\].*'policy': \[64, 1\]"):
        collect_steps(runner, 1)


@every_one
def test_a_run_without_its_buffer_collects_one_before_it_learns_on(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = {"save_buffer": False, "warmup_samples": 300}
    runner = make_runner(Bandit(), agent_dict(small_peer(name, **fields)), Runner)
    runner.learn(2)
    runner.save(str(tmp_path / "model_1.pt"))
    resumed = make_runner(Bandit(), agent_dict(small_peer(name, **fields)), Runner)
    resumed.load(str(tmp_path / "model_1.pt"))
    assert (
        "no replay buffer (save_buffer): 300 samples are collected before learning goes on" in capsys.readouterr().out
    )
    learner = resumed.alg.learner
    before, weights = learner.num_updates, flat_parameters(resumed.alg.critic)
    assert before == runner.alg.learner.num_updates > 0
    drawn = []
    learner.explore, explore = (lambda *a: (drawn.append(1), explore(*a))[1]), learner.explore
    collect_steps(resumed, 4)
    learner.update()
    assert len(drawn) == 4  # with the policy, not at random
    assert torch.equal(flat_parameters(resumed.alg.critic), weights)
    resumed.learn(1)
    assert learner.num_updates > before


def test_exports_choose_among_candidates(tmp_path: Path) -> None:
    """Five of them, where the agent has three; and one, without critics."""
    torch.manual_seed(0)
    cfg = small_peer("sdac")
    cfg.actor.obs_normalization, cfg.actor.action_scale = True, 1.5
    cfg = agent_dict(cfg)
    runner = Runner(MultiGoalEnv(32), copy.deepcopy(cfg), log_dir=str(tmp_path / "logs"), device="cpu")
    runner.learn(3)
    runner.save(str(tmp_path / "model_2.pt"))
    model = build_model(cfg, torch.load(tmp_path / "model_2.pt", weights_only=True))
    assert torch.equal(flat_parameters(model), flat_parameters(runner.alg.actor))
    single = copy.deepcopy(cfg)
    single["actor"]["num_candidates"] = 1
    assert build_model(single, torch.load(tmp_path / "model_2.pt", weights_only=True)).head.noise_width == 10
    exported = exporting.exported_policy(model, "input", candidates=5)
    for path in exporting.export(exported, tmp_path / "exported"):
        assert exporting.largest_difference(model, exported, path) < 1e-5
    noise, context = torch.randn(8, 5 * 10), model.normalizer(torch.randn(8, 2))
    one = exporting.exported_policy(model, "input", candidates=1).head
    assert one.critics is None
    each = torch.stack([one.act(x, context) for x in noise.chunk(5, dim=-1)])
    torch.testing.assert_close(each[0], 1.5 * one.flow(noise[:, :10], context).clamp(-1.0, 1.0))
    best = torch.stack([runner.alg.critic.critics.minimum(context, x / 1.5) for x in each]).argmax(dim=0)
    torch.testing.assert_close(exported.head.act(noise, context), each[best, torch.arange(8)], rtol=1e-4, atol=1e-5)


def test_rsl_rls_own_exporters_take_them(tmp_path: Path) -> None:
    runner = make_runner(MultiGoalEnv(16), agent_dict(small_peer("dpmd"), inference_noise="3"))
    runner.learn(1)
    runner.export_policy_to_jit(str(tmp_path))
    runner.export_policy_to_onnx(str(tmp_path))
    obs = runner.env.get_observations()
    with torch.inference_mode():
        expected = runner.get_inference_policy("cpu")(obs)
        scripted = torch.jit.load(tmp_path / "policy.pt")(obs["policy"])
    torch.testing.assert_close(scripted, expected, atol=1e-5, rtol=0)


def test_critics_that_see_more_choose_while_training_alone() -> None:
    env = Bandit(groups=("policy", "privileged"))
    cfg = agent_dict(small_peer("dpmd"))
    cfg["obs_groups"] = {"actor": ["policy"], "critic": ["policy", "privileged"]}
    cfg["critic"]["obs_normalization"] = True
    runner = make_runner(env, cfg)
    runner.learn(2)
    assert runner.alg.critic.critics.first[0].in_features == 5 + 2
    assert runner.alg.critic.normalizer.count > 0
    assert runner.alg.actor.head.num_candidates == 1
    with pytest.raises(ConfigError, match="no critics that could choose"):
        exporting.exported_policy(runner.alg.actor, candidates=2)


def test_an_update_waits_for_the_device_once() -> None:
    from rsl_dpcppo.cli.benchmark.measure import OperatorCounter

    for name in off_policy():
        runner = make_runner(Bandit(), agent_dict(small_peer(name, warmup_samples=1)))
        collect_steps(runner, 2)
        runner.alg.update()
        collect_steps(runner, 3)
        with OperatorCounter() as counter:
            runner.alg.update()
        assert runner.alg.learner.num_updates == 10
        assert counter.synchronisations <= 1


def changed(name: str = "sac", **algorithm: Any) -> dict[str, Any]:
    cfg = agent_dict(small_peer(name))
    cfg["algorithm"].update(algorithm)
    return cfg


def test_what_it_does_not_have_is_refused() -> None:
    for cfg, message in (
        (changed(batchsize=3), "Did you mean 'batch_size'"),
        (changed(rnd_cfg={"weight": 1.0}), "rnd_cfg is .*it must be None"),
        (changed(replay_size=0), "replay_size is 0; it must be a whole number, 1 or more"),
        (changed("dpmd", q_norm="states"), "q_norm is 'states'"),
        (changed("dpmd", num_target_candidates=1), "num_target_candidates is 1"),
        (changed("dpmd", temperature="dual", kl_target=2.0), r"kl_target is 2.0.*below 1\.39"),
        (changed("dpmd", q_norm="batch", temperature="dual", kl_target=0.5), "temperature is 'dual'"),
        (changed("sdac", actor_rate_decay=[5, 5]), "actor_rate_decay"),
    ):
        with pytest.raises(ConfigError, match=message):
            make_runner(Bandit(), cfg)
    cfg = changed("sac", class_name="rsl_dpcppo.DPMD")
    for field in ("init_temperature", "temperature_learning_rate", "target_entropy"):
        cfg["algorithm"].pop(field)
    with pytest.raises(ConfigError, match=r"Take rsl_dpcppo\.DiffusionActor"):
        make_runner(Bandit(), cfg)
    cfg = changed("sac")
    cfg["critic"]["class_name"] = "RNNModel"
    with pytest.raises(ConfigError, match=r"critic\.class_name is 'RNNModel'"):
        make_runner(Bandit(), cfg)


def test_fields_of_ppo_may_stand_beside() -> None:
    """As hosts' classes have them, and as they are where somebody changes two class names."""
    make_runner(Bandit(), changed(clip_param=0.2, learning_rate=1e-3, desired_kl=0.01, symmetry_cfg=None)).learn(1)


def test_checkpoints_of_each_other_are_refused(tmp_path: Path) -> None:
    runner = make_runner(Bandit(), agent_dict(small_peer("dpmd")), Runner)
    runner.learn(1)
    runner.save(str(tmp_path / "model_0.pt"))
    with pytest.raises(CheckpointError, match="not SDAC's: it was written by another algorithm"):
        make_runner(Bandit(), agent_dict(small_peer("sdac")), Runner).load(str(tmp_path / "model_0.pt"))
    larger = make_runner(Bandit(), agent_dict(small_peer("dpmd", replay_size=2048)), Runner)
    with pytest.raises(CheckpointError, match="no ring of 32 rows of 64 environments"):
        larger.load(str(tmp_path / "model_0.pt"))


def test_the_generation_before_refuses_by_name() -> None:
    cfg = rsl_dpcppo.SACRunnerCfg()
    with pytest.raises(ConfigError, match=r"SAC learns from a replay buffer.*rsl-rl-lib 3\.x.*install rsl-rl-lib 5\.x"):
        rsl_dpcppo.to_rsl_rl(cfg, generation=3)


def test_agents_have_the_settings_of_their_number_of_environments() -> None:
    few = rsl_dpcppo.DPMDRunnerCfg().sized(32)
    many = rsl_dpcppo.DPMDRunnerCfg().sized(4096)
    assert rsl_dpcppo.DPMDRunnerCfg().sized(32_768).algorithm.replay_size == 1024 * 32_768
    assert (few.algorithm.batch_size, many.algorithm.batch_size) == (256, 8192)
    assert many.algorithm.replay_size == 4096 * 1024
    assert many.algorithm.critic_layer_norm
    assert [(x.actor.flow_steps, x.actor.num_candidates, x.critic.activation) for x in (few, many)] == [
        (10, 8, "relu"),
        (20, 4, "mish"),
    ]
    assert many.actor.obs_normalization
    assert dataclasses.asdict(rsl_dpcppo.DPMDRunnerCfg())["algorithm"]["q_norm"] == "state"

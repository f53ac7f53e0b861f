# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What must not reach a checkpoint does not, and what a checkpoint must not hold is refused, whoever's runner it is."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from agents import Bandit, agent_dict, make_runner, small_agent, small_peer
from rsl_rl.runners import OnPolicyRunner
from tensordict import TensorDict
from torch import Tensor

from rsl_dpcppo.bridge.installed import generation
from rsl_dpcppo.bridge.runner import Runner
from rsl_dpcppo.bridge.version import GENERATION
from rsl_dpcppo.errors import CheckpointError, ConfigError, EnvError, NonFiniteError
from rsl_dpcppo.learning.environment import blame_rollout
from rsl_dpcppo.tasks.agents import to_ppo
from rsl_dpcppo.tasks.embedded.multi_goal import MultiGoalEnv

AGENTS = ["dpcppo", "dpcppo_fold", "fpo", "ppo"]


def make(name: str, kind: type[OnPolicyRunner] = Runner, env: Any = None) -> Any:
    cfg = small_agent() if name == "dpcppo" else to_ppo(small_agent()) if name == "ppo" else small_peer(name)
    return make_runner(env or Bandit(), agent_dict(cfg), kind)


def saved(tmp_path: Path, name: str) -> tuple[Path, dict[str, Any]]:
    """Train for an iteration, and return a checkpoint and its contents."""
    torch.manual_seed(0)
    runner = make(name)
    runner.learn(1)
    runner.save(str(tmp_path / "model_0.pt"))
    return tmp_path / "model_0.pt", torch.load(tmp_path / "model_0.pt", weights_only=True)


@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.parametrize("kind", [Runner, OnPolicyRunner])
def test_weights_that_are_not_finite_are_not_saved(name: str, kind: type[OnPolicyRunner], tmp_path: Path) -> None:
    """A gradient that is none in the last step of an iteration shows in no loss."""
    if name == "ppo" and kind is OnPolicyRunner:
        pytest.skip("RSL-RL's own")
    runner = make(name, kind)
    runner.learn(1)
    with torch.no_grad():
        runner.alg.optimizer.param_groups[0]["params"][0].view(-1)[0] = float("nan")
    with pytest.raises(NonFiniteError, match="Weights are not finite"):
        runner.save(str(tmp_path / "model.pt"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["dpcppo", "ppo"])
def test_weights_that_spoil_the_first_action_are_said_to(name: str) -> None:
    """The environment has not made a step yet that could be to blame."""
    runner = make_runner(Bandit(), agent_dict(to_ppo(small_agent()) if name == "ppo" else small_agent()), Runner)
    runner.learn(1)
    with torch.no_grad():
        for group in runner.alg.optimizer.param_groups:
            for parameter in group["params"]:
                parameter.fill_(torch.nan)
    with pytest.raises(NonFiniteError, match="Training stops; the last checkpoint is from before it"):
        runner.learn(1)


@pytest.mark.parametrize("name", ["dpcppo", "ppo"])
def test_statistics_that_are_not_finite_are_not_saved(name: str, tmp_path: Path) -> None:
    """They are in no optimizer."""
    cfg = to_ppo(small_agent()) if name == "ppo" else small_agent()
    cfg.actor.obs_normalization = cfg.critic.obs_normalization = True
    runner = make_runner(Bandit(), agent_dict(cfg), Runner)
    runner.learn(1)
    sections = [x for x in generation.collect_state(runner).values() if isinstance(x, dict)]
    (variance, *_) = [x[key] for x in sections for key in x if str(key).endswith("_var")]
    variance[0, 1] = torch.inf
    with pytest.raises(NonFiniteError, match=r"Not finite: \w+, '[\w.]*_var'\. No checkpoint is written"):
        runner.save(str(tmp_path / "model.pt"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["dpcppo", "ppo"])
def test_a_standard_deviation_that_is_spent_is_neither_saved_nor_loaded(name: str, tmp_path: Path) -> None:
    path, checkpoint = saved(tmp_path, name)
    runner = make(name)
    if generation.unclamped_std(runner) is None:
        pytest.skip("RSL-RL keeps it above 0")
    section = "model_state_dict" if GENERATION == 3 else "actor_state_dict"
    checkpoint[section]["std" if GENERATION == 3 else "distribution.std_param"][1] = -0.5
    torch.save(checkpoint, path)
    with pytest.raises(CheckpointError, match="A standard deviation is not above 0"):
        runner.load(str(path))
    with pytest.raises(NonFiniteError, match="A standard deviation is not above 0"):
        runner.save(str(path))


def first_moment(checkpoint: dict[str, Any]) -> dict[str, Any]:
    return next(iter(checkpoint["optimizer_state_dict"]["state"].values()))


def shrink(checkpoint: dict[str, Any]) -> None:
    entry = first_moment(checkpoint)
    entry["exp_avg"] = entry["exp_avg"].flatten()[:1].clone()


def halve(checkpoint: dict[str, Any]) -> None:
    entry = first_moment(checkpoint)
    entry["exp_avg_sq"] = entry["exp_avg_sq"].half()


def set_rate(value: Any) -> Any:
    def change(checkpoint: dict[str, Any]) -> None:
        checkpoint["optimizer_state_dict"]["param_groups"][0]["lr"] = value

    return change


def remove_rates(checkpoint: dict[str, Any]) -> None:
    checkpoint["optimizer_state_dict"]["param_groups"] = [None]


@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shrink, "exp_avg of weight 0 of shape"),
        (halve, r"torch.float16; it must be \[.*\] and torch.float32"),
        (set_rate(None), "step size None"),
        (set_rate(0.0), "step size 0.0"),
        (set_rate(-1.0), "step size -1.0"),
        (remove_rates, "is none of PyTorch's"),
    ],
)
def test_optimizer_state_that_does_not_fit_is_refused(name: str, change: Any, message: str, tmp_path: Path) -> None:
    path, checkpoint = saved(tmp_path, name)
    change(checkpoint)
    torch.save(checkpoint, path)
    runner = make(name)
    with pytest.raises(CheckpointError, match=message):
        runner.load(str(path))


def test_the_flows_optimizer_and_random_state_are_looked_at_too(tmp_path: Path) -> None:
    path, checkpoint = saved(tmp_path, "dpcppo")
    learner = checkpoint["optimizer_state_dict"]["learner"]
    entry = next(iter(learner["flow_optimizer"]["state"].values()))
    whole, entry["exp_avg"] = entry["exp_avg"], entry["exp_avg"].flatten()[:1].clone()
    torch.save(checkpoint, path)
    with pytest.raises(CheckpointError, match="exp_avg of weight 0"):
        make("dpcppo").load(str(path))
    entry["exp_avg"] = whole
    learner["random_state"]["cpu"] = learner["random_state"]["cpu"][:10].clone()
    torch.save(checkpoint, path)
    with pytest.raises(CheckpointError, match="random state 'cpu'"):
        make("dpcppo").load(str(path))


def test_weights_of_another_type_are_refused(tmp_path: Path) -> None:
    path, checkpoint = saved(tmp_path, "dpcppo")
    section = checkpoint["model_state_dict" if GENERATION == 3 else "actor_state_dict"]
    name = next(name for name in section if name.endswith("input_layer.weight"))
    section[name] = section[name].long()
    torch.save(checkpoint, path)
    with pytest.raises(CheckpointError, match=r"is of type torch\.int64"):
        make("dpcppo").load(str(path))


class Poisoned(Bandit):
    """Gives a wrong reward in one step of one environment."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value, self.num_steps = value, 0

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        observations, rewards, dones, extras = super().step(actions)
        self.num_steps += 1
        if self.num_steps == 3:
            rewards[17] = self.value
        return observations, rewards, dones, extras


@pytest.mark.parametrize("value", [float("inf"), 1e30])
def test_the_environment_is_blamed_for_what_it_gave(value: float) -> None:
    with pytest.raises(NonFiniteError) as error:
        make("dpcppo", env=Poisoned(value)).learn(1)
    assert f"gave {value:g} as reward, in environment 17 at step 2 of the rollout" in str(error.value)
    assert "learning_rate" not in str(error.value)


@pytest.mark.parametrize("name", ["dpcppo", "ppo"])
def test_what_is_no_number_is_said_to_be_the_environments(name: str) -> None:
    """RSL-RL 5.x looks for it itself; before, a loss shows it."""
    with pytest.raises(NonFiniteError, match="Training stops; the last checkpoint"):
        make(name, env=Poisoned(float("nan"))).learn(2)


@pytest.mark.parametrize("name", ["dpcppo", "ppo"])
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_our_runner_blames_the_environment_whatever_the_algorithm(name: str, value: float) -> None:
    """RSL-RL before 5.x has no look at it: there the update's error names the first step that it finds."""
    with pytest.raises(NonFiniteError) as error:
        make(name, env=Poisoned(value)).learn(2)
    assert f"gave {value:g} as reward, in environment 17 at step 2 of the rollout" in str(error.value)


class Malformed(Bandit):
    """What it gives is changed by a function."""

    def __init__(self, change: Callable[..., Any]) -> None:
        super().__init__()
        self.change = change

    def step(self, actions: Tensor) -> Any:
        return self.change(*super().step(actions))


MALFORMED: dict[str, Callable[..., Any]] = {
    "gave NoneType as observation group 'policy'": lambda o, r, d, e: (o.select(), r, d, e),
    r"gave 3 results; it must be \(observations, rewards, dones, extras\)": lambda o, r, d, e: (o, r, d),
    r"gave list; it must be \(observations": lambda o, r, d, e: [o, r, d, e],
    "gave a torch.float32 tensor of shape .* as observations; it must be a TensorDict": lambda o, r, d, e: (
        o["policy"],
        r,
        d,
        e,
    ),
    "gave dict as observations": lambda o, r, d, e: (dict(o.items()), r, d, e),
    "gave NoneType as extras": lambda o, r, d, e: (o, r, d, None),
    "gave numpy.ndarray as rewards": lambda o, r, d, e: (o, r.numpy(), d, e),
    r"gave a torch.float32 tensor of shape \[\] as rewards; it must be .* of shape \[64\]": lambda o, r, d, e: (
        o,
        r.mean(),
        d,
        e,
    ),
    r"float32 tensor of shape \[64, 1\] as rewards": lambda o, r, d, e: (o, r[:, None], d, e),
    r"float32 tensor of shape \[63\] as rewards": lambda o, r, d, e: (o, r[1:], d, e),
    "int64 tensor .* as rewards; it must be a tensor of floating-point": lambda o, r, d, e: (o, r.long(), d, e),
    "complex64 tensor .* as rewards": lambda o, r, d, e: (o, r.to(torch.complex64), d, e),
    r"tensor of shape \[1\] as dones": lambda o, r, d, e: (o, r, d[:1], e),
    r"tensor of shape \[64, 1\] as extras\['time_outs'\]": lambda o, r, d, e: (o, r, d, {"time_outs": d[:, None]}),
    r"shape \[64, 2\] as observation group 'policy'; it must be .* of shape \[64, 3\]": lambda o, r, d, e: (
        TensorDict({"policy": o["policy"][:, :2]}, batch_size=64),
        r,
        d,
        e,
    ),
}


@pytest.mark.parametrize("name", ["dpcppo", "ppo"])
@pytest.mark.parametrize("message", MALFORMED)
def test_what_rsl_rl_cannot_take_is_named(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(EnvError, match=message):
        make(name, env=Malformed(MALFORMED[message])).learn(1)


class Unfit(Bandit):
    """Its first observations are changed by a function, and attributes replaced."""

    def __init__(self, change: Callable[[TensorDict], Any], **attributes: Any) -> None:
        super().__init__()
        self.change = change
        vars(self).update(attributes)

    def get_observations(self) -> Any:
        return self.change(super().get_observations())

    def step(self, actions: Tensor) -> Any:
        _, rewards, dones, extras = super().step(actions)
        return Bandit.get_observations(self), rewards, dones, extras


def of(group: Callable[[Tensor], Tensor]) -> Callable[[TensorDict], Any]:
    def change(observations: TensorDict) -> TensorDict:
        x = group(observations["policy"])
        return TensorDict({"policy": x}, batch_size=x.shape[:1])

    return change


UNFIT: dict[str, Unfit] = {
    "gave NoneType as observations; it must be a TensorDict": Unfit(lambda o: None),
    "gave dict as observations": Unfit(lambda o: dict(o.items())),
    "gave tuple as observations": Unfit(lambda o: (o, {})),
    r"shape \[3, 3\] as observation group 'policy'; .* of shape \[64, 3\]": Unfit(of(lambda x: x[:3])),
    "int64 tensor .* as observation group 'policy'; it must be a tensor of floating": Unfit(of(Tensor.long)),
    "complex64 tensor .* as observation group 'policy'": Unfit(of(lambda x: x.to(torch.complex64))),
    "environment's num_envs is 2.5; it must be a whole number, 1 or more": Unfit(lambda o: o, num_envs=2.5),
    "environment's num_envs is 0": Unfit(lambda o: o, num_envs=0),
    "environment's num_actions is None": Unfit(lambda o: o, num_actions=None),
    "environment's max_episode_length is 0; it must be a number of steps, 1 or": Unfit(
        lambda o: o, max_episode_length=0
    ),
    "environment's max_episode_length is a torch.int64 tensor of shape": Unfit(
        lambda o: o, max_episode_length=torch.ones(3, dtype=torch.long)
    ),
    r"environment's episode_length_buf is None; it must be a tensor of numbers of shape \[num_envs\]": Unfit(
        lambda o: o, episode_length_buf=None
    ),
    r"environment's episode_length_buf is a torch.bool tensor of shape \[64\]": Unfit(
        lambda o: o, episode_length_buf=torch.ones(64, dtype=torch.bool)
    ),
    "environment's device is 'gpu'; it must be a device of PyTorch that is here": Unfit(lambda o: o, device="gpu"),
    "environment's device is 'cuda:77'": Unfit(lambda o: o, device="cuda:77"),
}


@pytest.mark.parametrize("name", ["dpcppo", "ppo"])
@pytest.mark.parametrize("message", UNFIT)
def test_an_environment_that_does_not_fit_is_named_before_anything_is_built(name: str, message: str) -> None:
    with pytest.raises(EnvError, match=message):
        make(name, env=UNFIT[message])


@pytest.mark.parametrize("name", ["dpcppo", "ppo"])
def test_first_observations_that_are_no_numbers_are_blamed(name: str) -> None:
    """The rewards that follow are none either."""
    with pytest.raises(NonFiniteError, match="gave nan as observation group 'policy', in environment 0 at step 0"):
        make(name, env=Unfit(of(lambda x: x * torch.nan))).learn(1)


def test_a_wrong_shape_is_named_under_rsl_rls_runner_too() -> None:
    runner = make("dpcppo", OnPolicyRunner, Malformed(lambda o, r, d, e: (o, r.mean(), d, e)))
    with pytest.raises(EnvError, match="as rewards"):
        runner.learn(1)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("dpcppo", Runner),
        ("dpcppo", OnPolicyRunner),
        ("ppo", Runner),
        pytest.param("sac", OnPolicyRunner, marks=pytest.mark.skipif(GENERATION == 3, reason="Off policy is 5.x's.")),
    ],
)
@pytest.mark.parametrize("value", [2, 256, 0.5])
def test_a_wrong_done_ends_the_training_before_it_is_saved(name: str, kind: type[OnPolicyRunner], value: float) -> None:
    """RSL-RL keeps dones as bytes, in which 256 and a half are 0."""

    def change(o: Any, r: Any, d: Any, e: Any) -> Any:
        d = d.float()
        d[9] = value
        return o, r, d, e

    runner = make(name, kind, Malformed(change))
    with pytest.raises(
        EnvError, match=f"gave {value} as done, in environment 9 at step 0 of the rollout; it is 0 or 1"
    ):
        runner.learn(1)
    assert not list(Path(generation.log_dir(runner)).glob("model_*.pt"))


def test_the_environment_is_left_as_it_was() -> None:
    runner = make("dpcppo")
    runner.learn(1)
    assert not {"step"} & set(vars(runner.env))
    assert not {"act", "update"} & set(vars(runner.alg))


def test_an_observation_is_blamed_by_group_step_and_environment() -> None:
    runner = make("dpcppo")
    runner.learn(1)
    storage = runner.alg.storage
    last = runner.env.get_observations()
    assert blame_rollout(storage, last, "base_action") == ""
    storage.observations["base_action"][0, 0, 0] = float("nan")  # the policy's own
    assert blame_rollout(storage, last, "base_action") == ""
    last["policy"][3, 1] = torch.inf
    expected = "The environment gave inf as observation group 'policy', in environment 3 at step 8 of the rollout."
    assert blame_rollout(storage, last, "base_action") == expected
    storage.observations["policy"][5, 11, 2] = -2e20
    expected = "The environment gave -2e+20 as observation group 'policy', in environment 11 at step 5 of the rollout."
    assert blame_rollout(storage, last, "base_action") == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schedule", "abc"),
        ("clip_param", -1),
        ("desired_kl", float("nan")),
        ("gamma", 1.5),
        ("lam", 2.0),
        ("use_clipped_value_loss", 3),
        ("learning_rate", 0.0),
    ],
)
def test_rsl_rls_own_fields_are_checked(field: str, value: Any) -> None:
    cfg = agent_dict()
    cfg["algorithm"][field] = value
    with pytest.raises(ConfigError, match=f"{field} is {value!r}"):
        make_runner(Bandit(), cfg).learn(1)


class Counting(Bandit):
    """Counts its steps, and lets anything be few."""

    num_steps = 0

    def step(self, actions: Tensor) -> Any:
        self.num_steps += 1
        return super().step(actions)


RECURRENT = "rsl_dpcppo.FlowFoldActorCriticRecurrent" if GENERATION == 3 else "rsl_dpcppo.FlowFoldRNNActor"
CRITIC = {"critic": {"class_name": "RNNModel", "hidden_dims": [32]}}


@pytest.mark.parametrize("kind", [Runner, OnPolicyRunner])
@pytest.mark.parametrize(
    ("name", "fields", "actor", "reason"),
    [
        ("ppo", {"num_mini_batches": 33}, {}, "a rollout has 32 steps, and each takes 1: it must be at most 32"),
        ("fpo", {"num_mini_batches": 17}, {}, "a rollout has 32 steps, and each takes 2: it must be at most 16"),
        ("dpcppo", {"flow_num_mini_batches": 33}, {}, "fitted to 32 samples only: it must be at most 32"),
        ("dpcppo_fold", {"flow_num_mini_batches": 65}, {}, "fitted to 64 samples only: it must be at most 64"),
        ("dpcppo_fold", {"flow_num_mini_batches": 15, "fold_states": 14}, {}, "fitted to 14 samples only"),
        ("dpcppo_fold", {"flow_num_mini_batches": 33}, {"class_name": RECURRENT}, "fitted to 32 samples only"),
        (
            "dpcppo_fold",
            {"num_mini_batches": 5},
            {"class_name": RECURRENT},
            "a rollout has 4 environments, and each takes 1: it must be at most 4",
        ),
    ],
)
def test_more_mini_batches_than_samples_are_refused_before_the_first_step(
    name: str, kind: type[OnPolicyRunner], fields: dict[str, int], actor: dict[str, str], reason: str
) -> None:
    """The largest that is right trains; and whoever plays may have few environments, so that building is no mistake."""
    if name == "ppo" and kind is OnPolicyRunner:
        pytest.skip("RSL-RL's own")
    (field, value) = next(iter(fields.items()))
    for number in (value, value - 1):
        env = Counting(4)
        cfg = agent_dict(
            small_agent() if name == "dpcppo" else to_ppo(small_agent()) if name == "ppo" else small_peer(name), **actor
        )
        cfg["algorithm"] |= {**fields, field: number}
        if actor and GENERATION == 5:
            cfg |= copy.deepcopy(CRITIC)
        runner = make_runner(env, cfg, kind)
        if number == value:
            with pytest.raises(ConfigError, match=f"{field} is {value}; .*{reason}"):
                runner.learn(2)
            assert env.num_steps == 0
        else:
            runner.learn(2)


@pytest.mark.parametrize("name", ["dpcppo", "ppo"])
def test_rnds_optimizer_is_looked_at_too(name: str, tmp_path: Path) -> None:
    cfg = agent_dict(to_ppo(small_agent()) if name == "ppo" else small_agent())
    networks = {"num_outputs": 4, "predictor_hidden_dims": [16], "target_hidden_dims": [16]}
    cfg["algorithm"]["rnd_cfg"] = {"weight": 1.0, "learning_rate": 1e-3, **networks}
    cfg["obs_groups"]["rnd_state"] = ["policy"]
    runner = make_runner(MultiGoalEnv(16), copy.deepcopy(cfg), Runner)
    runner.learn(1)
    path = tmp_path / "model_0.pt"
    runner.save(str(path))
    checkpoint = torch.load(path, weights_only=True)
    entry = next(iter(checkpoint["rnd_optimizer_state_dict"]["state"].values()))
    entry["exp_avg"] = entry["exp_avg"].flatten()[:1].clone()
    torch.save(checkpoint, path)
    with pytest.raises(CheckpointError, match="exp_avg of weight 0 of shape"):
        make_runner(MultiGoalEnv(16), copy.deepcopy(cfg), Runner).load(str(path))
    with torch.no_grad():
        next(runner.alg.rnd.predictor.parameters()).view(-1)[0] = torch.nan
    with pytest.raises(NonFiniteError, match="Weights are not finite"):
        runner.save(str(tmp_path / "model_1.pt"))


def test_no_adaptive_step_size_is_rsl_rls_none() -> None:
    cfg = agent_dict()
    cfg["algorithm"] |= {"desired_kl": None, "schedule": "fixed"}
    make_runner(Bandit(), cfg).learn(1)

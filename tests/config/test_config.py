# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Tests of the configuration: checks, the paper's defaults, RSL-RL's dictionary, overrides and agents."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import rsl_rl.algorithms
from omegaconf import OmegaConf
from rsl_rl.runners import OnPolicyRunner

from rsl_dpcppo.algorithms.dpcppo.config import (
    DPCPPOAlgorithmCfg,
    DPCPPOFields,
    DPCPPORunnerCfg,
    FlowActorCfg,
    FlowFields,
)
from rsl_dpcppo.bridge.train_cfg import to_rsl_rl
from rsl_dpcppo.bridge.version import GENERATION
from rsl_dpcppo.cli.arguments import make_parser, parse, parse_train
from rsl_dpcppo.cli.run_cfg import load_agent, load_env, load_rsl_rl_agent, override, save_agent
from rsl_dpcppo.config.checks import check_noise
from rsl_dpcppo.config.ppo import GaussianActorCfg, NetworkCfg, PPOAlgorithmCfg, PPORunnerCfg, RunnerCfg
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.tasks.embedded.multi_goal import MultiGoalEnv
from rsl_dpcppo.tasks.embedded.tasks import TASKS
from rsl_dpcppo.tasks.registry import find_task

NAN, INFINITY = float("nan"), float("inf")

# Checks of the fields.

WRONG_FLOW_FIELDS: dict[str, list[Any]] = {
    "flow_context_dims": [64, "64", None, [0], [-1], [10**21], [64.0], [True], [64, None]],
    "flow_hidden_dims": [[], 64, "64", None, [0], [-1], [10**21], [64.0], [True], ["64"], [64, None]],
    "flow_activation": ["", "eluu", 3, None],
    "flow_steps": [0, -1, 1.5, 16.0, "16", True, None],
    "residual_frequencies": [-1, 1.5, "3", True, None],
    "flow_solver": ["", "rk4", "Euler", 1, None],
    "inference_policy": ["", "residual", True, None],
    "inference_noise": ["", "gauss", "-1", -1, 1.5, "1.5", " 7", "\u00b2", "\u0663", True, None, 2**64],
}

WRONG_DPCPPO_FIELDS: dict[str, list[Any]] = {
    "score_coef": [-0.1, "0.1", True, None, NAN, INFINITY],
    "flow_learning_rate": [0, 0.0, -1e-3, "1e-3", True, None, NAN, INFINITY],
    "flow_num_epochs": [0, -1, 10**21, 1.5, 15.0, "15", True, None],
    "flow_num_mini_batches": [0, -1, 1.5, 4.0, "4", True, None],
    "flow_ema_decay": [-0.1, 1, 1.0, 1.5, "0.99", True, None, NAN],
    "flow_target": ["", "new", True, None],
    "flow_fit_tolerance": [-0.1, 1, 1.0, "0", True, None, NAN],
    "flow_steps": [-1, 1.5, 8.0, "8", True, None],
    "flow_noise": ["", "old", True, None],
    "base_action_baseline": ["yes", 1, 0, None],
    "log_entropy": ["yes", 1, 0, None],
    "flow_precision": ["", "float16", "bf16", True, None],
    "compile": ["", "cuda", True, None],
}

WRONG = [
    pytest.param(kind, name, value, id=f"{kind.__name__}.{name}={value!r}")
    for kind, table in ((FlowFields, WRONG_FLOW_FIELDS), (DPCPPOFields, WRONG_DPCPPO_FIELDS))
    for name, values in table.items()
    for value in values
]


@pytest.mark.parametrize(("kind", "name", "value"), WRONG)
def test_wrong_value_is_refused_with_the_field_and_the_value(kind: type, name: str, value: Any) -> None:
    with pytest.raises(ConfigError) as error:
        kind(**{name: value})
    assert str(error.value).startswith(f"{name} is {value!r}; it must be ")


def test_every_field_of_ours_is_checked() -> None:
    assert set(WRONG_FLOW_FIELDS) == set(FlowFields.__dataclass_fields__)
    assert set(WRONG_DPCPPO_FIELDS) == set(DPCPPOFields.__dataclass_fields__)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (FlowActorCfg, "flow_steps", 0),
        (FlowActorCfg, "inference_noise", "gauss"),
        (DPCPPOAlgorithmCfg, "score_coef", -1.0),
        (DPCPPOAlgorithmCfg, "flow_target", "new"),
    ],
)
def test_sections_of_the_agent_check_them_too(kind: type, name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=name):
        kind(**{name: value})


def test_values_at_the_limits_are_allowed() -> None:
    FlowFields(flow_steps=1, flow_hidden_dims=[1], flow_solver="midpoint", inference_policy="flow")
    DPCPPOFields(score_coef=0, flow_num_epochs=1, flow_num_mini_batches=1, flow_ema_decay=0, flow_fit_tolerance=0)
    DPCPPOFields(score_coef=10, flow_learning_rate=1, flow_steps=0, flow_target="stored")


def test_tuples_become_lists() -> None:
    """As OmegaConf and yaml want them."""
    assert FlowFields(flow_hidden_dims=(32, 16)).flow_hidden_dims == [32, 16]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "text"), [("random", "random"), ("zero", "zero"), ("0", "0"), ("42", "42"), (0, "0"), (42, "42")]
)
def test_noise_is_random_zero_or_a_seed(value: Any, text: str) -> None:
    """A seed may come as a number, as command lines and yaml give it."""
    assert check_noise("noise", value) == text
    assert FlowFields(inference_noise=value).inference_noise == text


# The paper's values.


def test_defaults_of_the_flow_are_those_of_table_5() -> None:
    algorithm, actor = DPCPPORunnerCfg().algorithm, DPCPPORunnerCfg().actor
    assert actor.flow_steps == 16
    assert algorithm.flow_learning_rate == 0.001
    assert algorithm.flow_ema_decay == 0.999
    assert algorithm.flow_num_mini_batches == 4
    assert algorithm.flow_num_epochs == 15


def test_defaults_are_those_of_table_6() -> None:
    cfg = DPCPPORunnerCfg()
    assert cfg.num_steps_per_env == 32
    assert cfg.num_envs == 4096
    assert cfg.actor.hidden_dims == cfg.critic.hidden_dims == cfg.actor.flow_hidden_dims == [400, 200, 100]
    assert cfg.actor.activation == cfg.critic.activation == cfg.actor.flow_activation == "elu"
    assert {name: getattr(cfg.algorithm, name) for name in PPOAlgorithmCfg.__dataclass_fields__} == {
        "lam": 0.95,
        "desired_kl": 0.01,
        "clip_param": 0.2,
        "max_grad_norm": 1.0,
        "value_loss_coef": 1.0,
        "use_clipped_value_loss": True,
        "num_learning_epochs": 5,
        "num_mini_batches": 4,
        "schedule": "adaptive",
        "learning_rate": 0.0005,
        "entropy_coef": 0.005,
        # Not in the table: RSL-RL's own.
        "gamma": 0.99,
        "normalize_advantage_per_mini_batch": False,
    }
    assert cfg.algorithm.score_coef == 0.1


def test_values_that_the_paper_has_not_are_neutral() -> None:
    """The fit does all epochs, the flow's steps are the model's, and what acts is flow and residual."""
    cfg = DPCPPORunnerCfg()
    assert cfg.algorithm.flow_fit_tolerance == 0.0
    assert cfg.algorithm.flow_steps == 0
    assert cfg.algorithm.flow_target == "fresh"
    assert cfg.actor.flow_solver == "euler"
    assert cfg.actor.inference_policy == "flow_residual"
    assert cfg.actor.inference_noise == "random"


def test_the_paper_agent_differs_from_the_tables_in_its_networks_only() -> None:
    cfg, paper = make_agent("MultiGoal-v0", "dpcppo_paper"), DPCPPORunnerCfg()
    assert isinstance(cfg, DPCPPORunnerCfg)
    assert cfg.algorithm == paper.algorithm
    assert (cfg.num_envs, cfg.num_steps_per_env) == (paper.num_envs, paper.num_steps_per_env)
    networks = {"hidden_dims": [64, 64], "flow_hidden_dims": [64, 64]}
    assert cfg.actor == dataclasses.replace(paper.actor, **networks)  # type: ignore[arg-type]


def test_stock_ppo_has_the_entropy_of_table_6() -> None:
    assert make_agent("MultiGoal-v0", "ppo").algorithm.entropy_coef == 0.01


def sections(cfg: Any) -> Iterator[Any]:
    """Yield a configuration and the sections in it."""
    yield cfg
    for field in dataclasses.fields(cfg):
        if dataclasses.is_dataclass(getattr(cfg, field.name)):
            yield from sections(getattr(cfg, field.name))


@pytest.mark.parametrize("kind", [PPORunnerCfg, DPCPPORunnerCfg])
def test_every_default_is_typed_and_not_none(kind: type) -> None:
    """Hydra cannot override a field whose default is None."""
    for section in sections(kind()):
        hints = get_type_hints(type(section))
        for field in dataclasses.fields(section):
            value, hint = getattr(section, field.name), hints[field.name]
            if hint == list[int]:
                assert all(type(item) is int for item in value)
                hint = list
            assert type(value) is hint, f"{type(section).__name__}.{field.name}"


@pytest.mark.parametrize("kind", [PPORunnerCfg, DPCPPORunnerCfg])
def test_defaults_are_not_shared(kind: type) -> None:
    changed = kind()
    changed.actor.hidden_dims.append(1)
    changed.algorithm.gamma = 0.5
    assert kind().actor.hidden_dims == [400, 200, 100]
    assert kind().algorithm.gamma == 0.99


# RSL-RL's dictionary.

PPO_KEYS = {
    *("class_name", "num_learning_epochs", "num_mini_batches", "clip_param", "gamma", "lam", "value_loss_coef"),
    *("entropy_coef", "learning_rate", "max_grad_norm", "use_clipped_value_loss", "schedule", "desired_kl"),
    *("normalize_advantage_per_mini_batch", "rnd_cfg"),
}
POLICY_KEYS_3 = {
    *("class_name", "init_noise_std", "noise_std_type", "actor_hidden_dims", "critic_hidden_dims", "activation"),
    *("actor_obs_normalization", "critic_obs_normalization"),
}
MODEL_KEYS_5 = {"class_name", "hidden_dims", "activation", "obs_normalization"}
FLOW_KEYS = {
    *("flow_hidden_dims", "flow_activation", "flow_steps", "flow_solver", "inference_policy", "inference_noise"),
    *("residual_frequencies", "flow_context_dims"),
}
DPCPPO_KEYS = {
    *("score_coef", "flow_learning_rate", "flow_num_epochs", "flow_num_mini_batches", "flow_ema_decay", "flow_target"),
    *("flow_fit_tolerance", "flow_steps", "flow_precision", "compile", "flow_noise", "base_action_baseline"),
    "log_entropy",
}


def distinct(kind: type) -> Any:
    """Return an agent in which no two networks are alike."""
    cfg = kind()
    cfg.actor.hidden_dims, cfg.critic.hidden_dims = [31, 32], [33]
    cfg.actor.activation, cfg.critic.activation = "tanh", "relu"
    cfg.actor.obs_normalization = True
    cfg.actor.init_std, cfg.actor.std_type = 0.7, "log"
    if kind is DPCPPORunnerCfg:
        cfg.actor.flow_hidden_dims, cfg.actor.flow_activation, cfg.actor.flow_steps = [34, 35, 36], "mish", 9
        cfg.algorithm.flow_steps, cfg.algorithm.score_coef = 5, 0.25
    cfg.algorithm.gamma, cfg.seed, cfg.num_steps_per_env, cfg.save_interval = 0.9, 11, 12, 13
    return cfg


@pytest.mark.parametrize("is_flow", [False, True])
def test_dictionary_of_generation_3(is_flow: bool) -> None:
    cfg = to_rsl_rl(distinct(DPCPPORunnerCfg if is_flow else PPORunnerCfg), generation=3)
    assert cfg["obs_groups"] == {"policy": ["policy"], "critic": ["policy"]}
    assert not {"actor", "critic"} & set(cfg)
    policy, algorithm = cfg["policy"], cfg["algorithm"]
    assert set(policy) == POLICY_KEYS_3 | (FLOW_KEYS if is_flow else set())
    assert set(algorithm) == PPO_KEYS | (DPCPPO_KEYS if is_flow else set())
    assert policy["class_name"] == ("rsl_dpcppo.FlowActorCritic" if is_flow else "ActorCritic")
    assert algorithm["class_name"] == ("rsl_dpcppo.DPCPPO" if is_flow else "PPO")
    assert (policy["init_noise_std"], policy["noise_std_type"]) == (0.7, "log")
    assert (policy["actor_hidden_dims"], policy["critic_hidden_dims"]) == ([31, 32], [33])
    assert (policy["actor_obs_normalization"], policy["critic_obs_normalization"]) == (True, False)
    assert policy["activation"] == "tanh"
    check_common(cfg, policy, is_flow)


@pytest.mark.parametrize("is_flow", [False, True])
def test_dictionary_of_generation_5(is_flow: bool) -> None:
    cfg = to_rsl_rl(distinct(DPCPPORunnerCfg if is_flow else PPORunnerCfg), generation=5)
    assert cfg["obs_groups"] == {"actor": ["policy"], "critic": ["policy"]}
    assert "policy" not in cfg
    actor, critic, algorithm = cfg["actor"], cfg["critic"], cfg["algorithm"]
    assert set(actor) == MODEL_KEYS_5 | {"distribution_cfg"} | (FLOW_KEYS if is_flow else set())
    assert set(critic) == MODEL_KEYS_5
    assert set(algorithm) == PPO_KEYS | (DPCPPO_KEYS if is_flow else set())
    assert actor["class_name"] == ("rsl_dpcppo.FlowActor" if is_flow else "MLPModel")
    assert critic["class_name"] == "MLPModel"
    assert algorithm["class_name"] == ("rsl_dpcppo.DPCPPO" if is_flow else "PPO")
    assert actor["distribution_cfg"] == {"class_name": "GaussianDistribution", "init_std": 0.7, "std_type": "log"}
    assert (actor["hidden_dims"], critic["hidden_dims"]) == ([31, 32], [33])
    assert (actor["obs_normalization"], critic["obs_normalization"]) == (True, False)
    assert (actor["activation"], critic["activation"]) == ("tanh", "relu")
    check_common(cfg, actor, is_flow)


def check_common(cfg: dict[str, Any], model: dict[str, Any], is_flow: bool) -> None:
    assert (cfg["seed"], cfg["num_steps_per_env"], cfg["save_interval"]) == (11, 12, 13)
    assert cfg["algorithm"]["gamma"] == 0.9
    assert cfg["algorithm"]["rnd_cfg"] is None
    if is_flow:
        assert (model["flow_hidden_dims"], model["flow_activation"], model["flow_steps"]) == ([34, 35, 36], "mish", 9)
        assert (cfg["algorithm"]["flow_steps"], cfg["algorithm"]["score_coef"]) == (5, 0.25)


def test_the_installed_generation_is_the_default() -> None:
    assert to_rsl_rl(DPCPPORunnerCfg()) == to_rsl_rl(DPCPPORunnerCfg(), generation=GENERATION)


def test_installed_ppo_takes_every_field() -> None:
    accepted = inspect.signature(rsl_rl.algorithms.PPO).parameters
    assert PPO_KEYS - {"class_name"} <= set(accepted)
    defaults = {name: accepted[name].default for name in ("gamma", "normalize_advantage_per_mini_batch")}
    assert defaults == {name: getattr(PPOAlgorithmCfg(), name) for name in defaults}


@pytest.mark.parametrize("agent", ["dpcppo", "ppo"])
def test_unmodified_runner_of_rsl_rl_trains_with_it(
    agent: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = make_agent("MultiGoal-v0", agent)
    cfg.num_steps_per_env = 4
    runner = OnPolicyRunner(MultiGoalEnv(num_envs=8), to_rsl_rl(cfg), log_dir=str(tmp_path), device="cpu")
    runner.learn(1)
    assert "unexpected arguments" not in capsys.readouterr().out


@pytest.mark.parametrize("generation", [3, 5])
def test_dictionary_is_a_copy(generation: int) -> None:
    """RSL-RL takes entries out of the dictionary that it is given."""
    cfg = DPCPPORunnerCfg()
    first = to_rsl_rl(cfg, generation)
    untouched = copy.deepcopy(first)
    first["algorithm"].pop("class_name")
    first["policy" if generation == 3 else "actor"]["flow_hidden_dims"].clear()
    assert to_rsl_rl(cfg, generation) == untouched
    assert cfg == DPCPPORunnerCfg()


# Overrides.


def make_agent(task: str, agent: str) -> RunnerCfg:
    return find_task(task).make_agent(agent)


def flow_agent() -> DPCPPORunnerCfg:
    cfg = make_agent("MultiGoal-v0", "dpcppo")
    assert isinstance(cfg, DPCPPORunnerCfg)
    return cfg


def test_overrides_apply_to_a_copy() -> None:
    cfg = flow_agent()
    changed = override(
        cfg,
        [
            "agent.algorithm.score_coef=0.5",
            "agent.algorithm.learning_rate=1e-4",
            "agent.algorithm.use_clipped_value_loss=false",
            "agent.actor.flow_hidden_dims=[32,16,8]",
            "agent.actor.inference_noise=7",
            "agent.critic.activation=mish",
            "agent.run_name=trial_2",
            "agent.seed=3",
        ],
    )
    assert isinstance(changed, DPCPPORunnerCfg)
    assert cfg == flow_agent()
    cfg.algorithm.score_coef, cfg.algorithm.learning_rate, cfg.algorithm.use_clipped_value_loss = 0.5, 1e-4, False
    cfg.actor.flow_hidden_dims, cfg.actor.inference_noise = [32, 16, 8], "7"
    cfg.critic.activation, cfg.run_name, cfg.seed = "mish", "trial_2", 3
    assert changed == cfg


def test_no_overrides_change_nothing() -> None:
    assert override(flow_agent(), []) == flow_agent()


def test_the_last_override_wins() -> None:
    assert override(flow_agent(), ["agent.seed=3", "agent.seed=4"]).seed == 4


def test_stock_ppo_can_be_overridden() -> None:
    changed = override(make_agent("MultiGoal-v0", "ppo"), ["agent.algorithm.entropy_coef=0"])
    assert type(changed) is PPORunnerCfg
    assert changed.algorithm.entropy_coef == 0.0


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("agent.algorithm.scor_coef=1", "no field 'scor_coef' in agent.algorithm. Did you mean 'score_coef'?"),
        ("agent.actor.flow_step=1", "no field 'flow_step' in agent.actor. Did you mean 'flow_steps'?"),
        ("agent.algoritm.score_coef=1", "no field 'algoritm' in agent. Did you mean 'algorithm'?"),
        ("agent.max_iteration=1", "no field 'max_iteration' in agent. Did you mean 'max_iterations'?"),
        ("agent.seed.x=1", "no field 'x' in agent.seed."),
        ("agent.=1", "no field '' in agent."),
    ],
)
def test_unknown_field_is_refused_with_a_hint(text: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(hint)) as error:
        override(flow_agent(), [text])
    assert text in str(error.value)


def test_flow_field_is_unknown_to_stock_ppo() -> None:
    with pytest.raises(ConfigError, match=r"no field 'score_coef' in agent\.algorithm"):
        override(make_agent("MultiGoal-v0", "ppo"), ["agent.algorithm.score_coef=1"])


@pytest.mark.parametrize(
    "text",
    [
        "agent.algorithm.score_coef=high",
        "agent.algorithm.score_coef=true",
        "agent.algorithm.score_coef=",
        "agent.algorithm.score_coef=null",
        "agent.algorithm.flow_num_epochs=2.5",
        "agent.algorithm.use_clipped_value_loss=perhaps",
        "agent.algorithm=3",
        "agent.actor=null",
        "agent.actor.hidden_dims=64",
        "agent.actor.hidden_dims=[64,wide]",
        "agent.actor.hidden_dims[0]=64",
        "agent.actor.hidden_dims.0=64",
        "agent.run_name={a: b}",
        "agent.run_name=${no_such_field}",
    ],
)
def test_value_of_another_type_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(text)):
        override(flow_agent(), [text])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("agent.algorithm.score_coef=-1", "score_coef is -1.0"),
        ("agent.algorithm.flow_target=new", "flow_target is 'new'"),
        ("agent.actor.flow_solver=rk4", "flow_solver is 'rk4'"),
        ("agent.actor.flow_hidden_dims=[]", r"flow_hidden_dims is \[\]"),
    ],
)
def test_value_out_of_range_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        override(flow_agent(), [text])


@pytest.mark.parametrize("text", ["", "agent", "seed=3", "agent.seed", "agent.seed:3", "--agent.seed=3", "agent=3"])
def test_what_is_no_override_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"'{text}'")):
        parse(make_parser(""), [text])


def test_overrides_are_told_from_arguments() -> None:
    args, overrides = parse_train(["agent.seed=3", "--seed", "4", "env.impl=jax", "agent.run_name=a"])
    assert args.seed == 4
    assert overrides == {"agent": ["agent.seed=3", "agent.run_name=a"], "env": ["env.impl=jax"]}


@dataclasses.dataclass
class EnvCfg:
    limit: int = 0
    kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)


def test_fields_of_the_environment_are_overridden_and_read_back(tmp_path: Path) -> None:
    cfg = override(EnvCfg(), ["env.limit=5", "env.kwargs.wind=0.5"], "env")
    assert cfg == EnvCfg(5, {"wind": 0.5})
    with pytest.raises(ConfigError, match=r"no field 'limt' in env. Did you mean 'limit'\?"):
        override(EnvCfg(), ["env.limt=5"], "env")
    assert load_env(tmp_path, cfg) == cfg
    (tmp_path / "params").mkdir()
    OmegaConf.save({"task": "X", "limit": 7}, tmp_path / "params" / "env.yaml")
    assert load_env(tmp_path, cfg) == EnvCfg(7, {"wind": 0.5})
    (tmp_path / "params" / "env.yaml").write_text("limit: many")
    with pytest.raises(ConfigError, match=r"env\.yaml"):
        load_env(tmp_path, cfg)


@pytest.mark.parametrize(
    "text", ["agent.actor.hidden_dims=[64", "agent.run_name='a", "agent.run_name=%", "agent.run_name={a"]
)
def test_value_that_is_no_yaml_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(text)):
        override(flow_agent(), [text])


# The configuration in a run's folder.


@pytest.mark.parametrize(("task", "agent"), [(task, agent) for task in TASKS for agent in TASKS[task]().agents])
def test_saved_agent_is_read_back(tmp_path: Path, task: str, agent: str) -> None:
    cfg = make_agent(task, agent)
    cfg.seed, cfg.run_name, cfg.actor.hidden_dims = 123, "name: with # yaml", [9, 8]
    save_agent(cfg, tmp_path)
    assert load_agent(tmp_path) == cfg
    assert type(load_agent(tmp_path)) is type(cfg)


def test_run_of_an_older_release_is_read_as_what_it_was(tmp_path: Path) -> None:
    save_agent(flow_agent(), tmp_path)
    path = tmp_path / "params" / "agent.yaml"
    newer = (
        "flow_context_dims",
        "residual_frequencies",
        "flow_noise",
        "base_action_baseline",
        "compile",
        "flow_precision",
    )
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.strip().startswith(newer)))
    assert load_agent(tmp_path) == flow_agent()


def test_saved_agent_is_what_its_name_says(tmp_path: Path) -> None:
    """Not what its fields look like: those of a newer release may resemble another algorithm's."""
    save_agent(make_agent("MultiGoal-v0", "fpo"), tmp_path)
    path = tmp_path / "params" / "agent.yaml"
    saved = OmegaConf.load(path)
    assert saved.algorithm.class_name == "rsl_dpcppo.FPO"
    saved.algorithm.update(make_agent("MultiGoal-v0", "fpopp").algorithm.__dict__ | {"class_name": "rsl_dpcppo.FPO"})
    OmegaConf.save(saved, path)
    with pytest.raises(ConfigError, match="flow_loss_clamp"):
        load_agent(tmp_path)
    saved.algorithm.class_name = "rsl_dpcppo.Other"
    OmegaConf.save(saved, path)
    with pytest.raises(
        ConfigError, match=r"names the algorithm rsl_dpcppo\.Other; this package has PPO, rsl_dpcppo\.DPC"
    ):
        load_agent(tmp_path)


def test_the_number_of_solver_steps_is_the_actors(tmp_path: Path) -> None:
    """The algorithm's field of that name is another way to say it."""
    cfg = override(flow_agent(), ["agent.algorithm.flow_steps=5"])
    assert (cfg.actor.flow_steps, cfg.algorithm.flow_steps) == (5, 0)
    assert override(cfg, ["agent.actor.flow_steps=7"]).actor.flow_steps == 7
    save_agent(cfg, tmp_path)
    assert load_agent(tmp_path) == cfg


def test_seed_of_the_noise_stays_text(tmp_path: Path) -> None:
    cfg = flow_agent()
    cfg.actor.inference_noise = "7"
    save_agent(cfg, tmp_path)
    loaded = load_agent(tmp_path)
    assert isinstance(loaded, DPCPPORunnerCfg)
    assert loaded.actor.inference_noise == "7"


def test_saved_file_is_plain_yaml_of_all_fields(tmp_path: Path) -> None:
    save_agent(flow_agent(), tmp_path)
    saved = OmegaConf.to_container(OmegaConf.load(tmp_path / "params" / "agent.yaml"))
    assert saved["algorithm"].pop("class_name") == "rsl_dpcppo.DPCPPO"
    assert saved == dataclasses.asdict(flow_agent())


def test_no_saved_agent_is_none(tmp_path: Path) -> None:
    assert load_agent(tmp_path) is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: text.replace("flow_steps: 16", "flow_steps: many"), id="type"),
        pytest.param(lambda text: text.replace("flow_steps: 16", "flow_steps: -1"), id="range"),
        pytest.param(lambda text: text.replace("flow_solver", "flow_slover"), id="unknown field"),
        pytest.param(lambda text: text + "clip_actions: 1.0\n", id="unknown field at the end"),
        pytest.param(lambda text: text[: text.index("actor")], id="truncated before the actor"),
        pytest.param(lambda text: text[: text.index("flow_steps")], id="truncated before flow_steps"),
        pytest.param(lambda text: "", id="empty"),
        pytest.param(lambda text: "actor: [", id="no yaml"),
        pytest.param(lambda text: "[1, 2]", id="list"),
        pytest.param(lambda text: "actor:\n", id="no actor"),
        pytest.param(lambda text: "actor: {}\ncritic: {}\nalgorithm:\n", id="empty algorithm"),
        pytest.param(lambda text: "\x00\x01", id="binary"),
    ],
)
def test_damaged_agent_is_refused(tmp_path: Path, change: Any) -> None:
    save_agent(flow_agent(), tmp_path)
    path = tmp_path / "params" / "agent.yaml"
    path.write_text(change(path.read_text()))
    with pytest.raises(ConfigError):
        load_agent(tmp_path)


# Tasks and agents.


def test_unknown_task_is_refused_with_a_hint() -> None:
    with pytest.raises(
        ConfigError, match=r"no task 'MultiGol-v0'. Did you mean 'MultiGoal-v0'\? Tasks: .*MultiGoal-v0"
    ):
        find_task("MultiGol-v0")
    with pytest.raises(ConfigError, match=r"no task 'Ant'.* task of an Isaac Lab project with --isaaclab-path PROJECT"):
        make_agent("Ant", "dpcppo")
    with pytest.raises(ConfigError, match="'Isaac-Ant-v0' is a task of a host that trains and plays its tasks itself"):
        find_task("Isaac-Ant-v0")


def test_unknown_agent_is_refused_with_a_hint() -> None:
    with pytest.raises(ConfigError, match=r"'MultiGoal-v0' has no agent 'dpcpo'. Did you mean 'dpcppo'\?.*ppo"):
        make_agent("MultiGoal-v0", "dpcpo")


def test_each_agent_is_made_anew() -> None:
    first = make_agent("MultiGoal-v0", "dpcppo")
    first.algorithm.gamma, first.actor.hidden_dims[0] = 0.0, 1
    assert make_agent("MultiGoal-v0", "dpcppo") == flow_agent()
    assert flow_agent().algorithm.gamma == 0.99


@pytest.mark.parametrize("name", TASKS)
def test_every_agent_has_another_one_as_rival(name: str) -> None:
    task = find_task(name)
    assert set(task.rivals) == set(task.agents)
    assert all(rival in task.agents and rival != agent for agent, rival in task.rivals.items())


def test_stock_sections_know_no_flow() -> None:
    """What is given to RSL-RL's own classes has none of our fields."""
    for section in (NetworkCfg, GaussianActorCfg, PPOAlgorithmCfg):
        assert not set(section.__dataclass_fields__) & (FLOW_KEYS | DPCPPO_KEYS)


# RSL-RL's own fields, which it would take as they are or fail on with a traceback.


@pytest.mark.parametrize(
    "text",
    [
        "agent.num_envs=0",
        "agent.num_steps_per_env=0",
        "agent.max_iterations=-1",
        "agent.save_interval=0",
        "agent.logger=foo",
        "agent.actor.hidden_dims=[]",
        "agent.actor.activation=foo",
        "agent.actor.std_type=foo",
        "agent.actor.init_std=-1",
        "agent.critic.activation=foo",
        "agent.critic.hidden_dims=[0]",
        "agent.algorithm.schedule=foo",
        "agent.algorithm.learning_rate=-1",
        "agent.algorithm.num_learning_epochs=0",
        "agent.algorithm.clip_param=0",
    ],
)
def test_wrong_values_of_rsl_rls_fields_are_refused(text: str) -> None:
    field = text.partition("=")[0].rpartition(".")[2]
    for agent in ("dpcppo", "ppo"):
        with pytest.raises(ConfigError, match=f"{field} is "):
            override(make_agent("MultiGoal-v0", agent), [text])


@pytest.mark.parametrize("contents", [b"\xff\xfe\x00", b"seed: 1\nactor:\n  hidden_dims: [64]\n"])
def test_files_that_end_early_are_no_agents(tmp_path: Path, contents: bytes) -> None:
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "agent.yaml").write_bytes(contents)
    with pytest.raises(ConfigError):
        load_agent(tmp_path)


def test_tuples_that_mjlab_writes_are_read_and_nothing_more(tmp_path: Path) -> None:
    (tmp_path / "params").mkdir()
    path = tmp_path / "params" / "agent.yaml"
    path.write_text("actor:\n  class_name: X\n  hidden_dims: !!python/tuple [3, 2]\n")
    assert load_rsl_rl_agent(tmp_path) == {"actor": {"class_name": "X", "hidden_dims": [3, 2]}}
    path.write_text("actor: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(ConfigError, match="no YAML of plain values"):
        load_rsl_rl_agent(tmp_path)

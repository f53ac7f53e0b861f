# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The agents in Isaac Lab 3.0's config classes (stand-ins, see contract3.py), trained by the real RSL-RL 5.x."""

from __future__ import annotations

import copy
import importlib
import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from agents import make_runner

from rsl_dpcppo.algorithms.registry import ALGORITHMS, off_policy, on_policy_peers
from rsl_dpcppo.bridge.train_cfg import class_names
from rsl_dpcppo.bridge.version import GENERATION
from rsl_dpcppo.cli.export import export
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.tasks.embedded.multi_goal import MultiGoalEnv

if GENERATION != 5:
    pytest.skip("Isaac Lab 3.0 runs with RSL-RL 5.x", allow_module_level=True)
gymnasium = pytest.importorskip("gymnasium")
sys.path.insert(0, str(Path(__file__).parent))
import contract3  # noqa: E402

ALGORITHM = {
    "num_learning_epochs": 5,
    "num_mini_batches": 4,
    "learning_rate": 1e-3,
    "schedule": "adaptive",
    "gamma": 0.97,
    "lam": 0.95,
    "entropy_coef": 0.008,
    "desired_kl": 0.02,
    "max_grad_norm": 1.0,
    "value_loss_coef": 2.0,
    "use_clipped_value_loss": True,
    "clip_param": 0.2,
}


def host_cfg(style: str) -> Any:
    """Return a task's own PPO configuration, with explicit models or in the deprecated style of 2.3."""
    cfg = contract3.RslRlOnPolicyRunnerCfg(
        num_steps_per_env=8,
        max_iterations=300,
        save_interval=50,
        experiment_name="task",
        algorithm=contract3.RslRlPpoAlgorithmCfg(**ALGORITHM),
        obs_groups={"actor": ["policy"], "critic": ["policy"]},
    )
    if style == "old":
        cfg.policy = contract3.RslRlPpoActorCriticCfg(
            init_noise_std=0.7,
            actor_obs_normalization=True,
            critic_obs_normalization=False,
            actor_hidden_dims=[32, 16],
            critic_hidden_dims=[24],
            activation="elu",
        )
        return cfg
    model = {"hidden_dims": [32, 16], "activation": "elu", "obs_normalization": True}
    if style == "explicit":
        distribution = contract3.GaussianDistributionCfg(init_std=0.7)
        cfg.actor = contract3.RslRlMLPModelCfg(**model, distribution_cfg=distribution)
    elif style == "stochastic":
        cfg.actor = contract3.RslRlMLPModelCfg(**model, stochastic=True, init_noise_std=0.7)
    else:
        memory = {"rnn_type": "gru", "rnn_hidden_dim": 8, "rnn_num_layers": 1}
        cfg.actor = contract3.RslRlRNNModelCfg(**model, **memory, stochastic=True, init_noise_std=0.7)
    cfg.critic = contract3.RslRlMLPModelCfg(hidden_dims=[24], activation="elu")
    return cfg


def camera_cfg() -> Any:
    """Return a task's own PPO configuration for images, as those of the camera presets are."""
    cfg = host_cfg("explicit")
    plain = {name: getattr(cfg.actor, name) for name in ("hidden_dims", "activation", "distribution_cfg")}
    cfg.actor = contract3.RslRlCNNModelCfg(**plain, class_name="CNNModel", cnn_cfg={"output_channels": [4]})
    cfg.experiment_name = "task_camera"
    return cfg


@contract3.configclass
class Presets(contract3.PresetCfg):
    default: Any = host_cfg("explicit")
    single_camera: Any = camera_cfg()


@contract3.configclass
class CameraPresets(contract3.PresetCfg):
    default: Any = camera_cfg()


@pytest.fixture(autouse=True)
def isaaclab_tasks_cfg(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Import the package against the stand-ins, and take both away again."""
    before = dict(sys.modules)
    monkeypatch.setattr(gymnasium, "spec", gymnasium.spec)  # which register() replaces
    contract3.install()
    registry = dict(gymnasium.registry)
    for task in ("Isaac-Ant", "Isaac-Velocity-Rough-H1", "IsaacContrib-Lift-Cube-Franka-Play", "My-Task"):
        for style in ("explicit", "old", "stochastic", "recurrent"):
            name = task if style == "explicit" else f"{task}-{style}"
            kwargs = {"rsl_rl_cfg_entry_point": lambda style=style: host_cfg(style)}
            gymnasium.register(id=name, entry_point="none", kwargs=kwargs)
    for name, cfg in (("My-Choice", Presets), ("My-Camera", CameraPresets)):
        gymnasium.register(id=name, entry_point="none", kwargs={"rsl_rl_cfg_entry_point": cfg})
    package = importlib.import_module("isaaclab_tasks_cfg")
    package.register()
    yield package
    gymnasium.registry.clear()
    gymnasium.registry.update(registry)
    for name in set(sys.modules) - set(before):
        if name.startswith("isaaclab"):
            del sys.modules[name]


def use_old_style(task: str) -> None:
    """Give a task its PPO configuration in the deprecated style, and register again."""
    kwargs = gymnasium.spec(task).kwargs
    kwargs.clear()
    kwargs["rsl_rl_cfg_entry_point"] = lambda: host_cfg("old")
    importlib.import_module("isaaclab_tasks_cfg").register()


def load(task: str, key: str = "dpcppo", preset: str = "") -> Any:
    return contract3.clean_up(contract3.choose(gymnasium.spec(task).kwargs[key](), preset))


@pytest.mark.parametrize("style", ["explicit", "old", "recurrent"])
def test_derived_agents_train_and_export(style: str, tmp_path: Path) -> None:
    """The task's own values reach RSL-RL, whichever style it uses; as_jit and as_onnx equal the live policy."""
    cfg = load("My-Task" if style == "explicit" else f"My-Task-{style}")
    assert {name: getattr(cfg.algorithm, name) for name in ALGORITHM} == ALGORITHM
    assert cfg.critic.hidden_dims == [24]
    assert cfg.actor.flow_hidden_dims == cfg.actor.hidden_dims == [32, 16]
    assert cfg.experiment_name == "task_dpcppo"
    cfg.actor.inference_noise = "zero"
    runner = make_runner(MultiGoalEnv(16), cfg.to_dict())
    model = runner.alg.get_policy()
    assert type(model).__name__ == ("FlowRNNActor" if style == "recurrent" else "FlowActor")
    assert model.kernel_std().tolist() == pytest.approx([0.7, 0.7])
    assert model.obs_normalization
    runner.learn(2)
    if style == "recurrent":
        return
    runner.export_policy_to_jit(str(tmp_path))
    runner.export_policy_to_onnx(str(tmp_path))
    obs = runner.env.get_observations()
    with torch.inference_mode():
        expected = runner.get_inference_policy("cpu")(obs)
        scripted = torch.jit.load(tmp_path / "policy.pt")(obs["policy"])
    torch.testing.assert_close(scripted, expected, atol=1e-5, rtol=0)
    session = onnxruntime.InferenceSession(str(tmp_path / "policy.onnx"), providers=["CPUExecutionProvider"])
    actions = session.run(None, {"obs": obs["policy"][:1].numpy()})[0]
    np.testing.assert_allclose(actions, expected[:1].numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "style"), [*((name, "") for name in on_policy_peers()), ("fpo", "-old"), ("fpo", "-stochastic")]
)
def test_peers_train_without_a_distribution(name: str, style: str) -> None:
    cfg = load(f"My-Task{style}", name)
    assert (cfg.actor.hidden_dims, cfg.actor.obs_normalization, cfg.critic.hidden_dims) == ([32, 16], True, [24])
    assert cfg.actor.activation == ALGORITHMS[name].runner_cfg().actor.activation
    assert (cfg.experiment_name, cfg.algorithm.gamma) == (f"task_{name}", 0.97)
    runner = make_runner(MultiGoalEnv(16), cfg.to_dict())
    runner.learn(1)
    algorithm, model = class_names(name)
    assert f"rsl_dpcppo.{type(runner.alg).__name__}" == algorithm
    assert f"rsl_dpcppo.{type(runner.alg.get_policy()).__name__}" == model


@pytest.mark.parametrize("name", off_policy())
@pytest.mark.parametrize("style", ["", "-old"])
def test_off_policy_agents_train_with_the_settings_for_many_environments(name: str, style: str) -> None:
    cfg = load(f"My-Task{style}", f"rsl_rl_{name}_cfg_entry_point")
    assert (cfg.algorithm.batch_size, cfg.actor.obs_normalization, cfg.algorithm.gamma) == (8192, True, 0.97)
    cfg.algorithm.batch_size, cfg.algorithm.warmup_samples, cfg.algorithm.replay_size = 16, 16, 1024
    runner = make_runner(MultiGoalEnv(16), cfg.to_dict())
    runner.learn(1)
    assert f"rsl_dpcppo.{type(runner.alg).__name__}" == class_names(name)[0]
    assert runner.alg.learner.num_updates > 0


def test_peers_of_a_task_with_memory_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"actor\.class_name is 'RNNModel'; fpo knows neither memory.*dpcppo"):
        load("My-Task-recurrent", "fpo")


def test_presets_stay_presets() -> None:
    """Each of a task's configurations becomes an agent, and the host's names choose among them."""
    assert type(gymnasium.spec("My-Choice").kwargs["dpcppo"]()) is Presets
    cfg, camera = load("My-Choice"), load("My-Choice", preset="single_camera")
    assert (cfg.actor.class_name, cfg.experiment_name) == ("rsl_dpcppo.FlowActor", "task_dpcppo")
    assert (camera.actor.class_name, camera.experiment_name) == ("rsl_dpcppo.FlowCNNActor", "task_camera_dpcppo")
    assert camera.actor.cnn_cfg == {"output_channels": [4]}
    assert Presets().default.experiment_name == "task"


def test_peers_refuse_only_the_presets_with_images() -> None:
    """And there before anything is built: by the first field that the host reads."""
    assert load("My-Choice", "genpo").experiment_name == "task_genpo"
    camera = copy.deepcopy(contract3.choose(gymnasium.spec("My-Choice").kwargs["genpo"](), "single_camera"))
    with pytest.raises(ConfigError, match=r"Preset 'single_camera': actor\.class_name is 'CNNModel'; genpo knows"):
        hasattr(camera, "to_dict")
    with pytest.raises(ConfigError, match=r"actor\.class_name is 'CNNModel'"):
        gymnasium.spec("My-Camera").kwargs["genpo"]()
    assert load("My-Camera").actor.class_name == "rsl_dpcppo.FlowCNNActor"


def test_a_model_that_is_not_known_is_named(isaaclab_tasks_cfg: Any) -> None:
    cfg = host_cfg("explicit")
    cfg.actor = contract3.PresetCfg()
    cfg.actor.distribution_cfg = contract3.GaussianDistributionCfg(init_std=1.0)
    with pytest.raises(ConfigError, match="actor is a PresetCfg; an agent is made of one of RslRlRNNModelCfg"):
        importlib.import_module("isaaclab_tasks_cfg.host_cfg").to_dpcppo(cfg)


def test_the_list_says_why_agents_are_missing(isaaclab_tasks_cfg: Any) -> None:
    remarks = importlib.import_module("isaaclab_tasks_cfg.listing")._remarks
    assert remarks("My-Task", gymnasium.spec("My-Task").kwargs).endswith(", fpopp, dppo, sac, dpmd, sdac")
    reason = (
        "no genpo, genpopp, policyflow, fpo, fpopp, dppo, sac, dpmd, sdac: actor.class_name is 'CNNModel'; genpo knows"
    )
    assert reason in remarks("My-Camera", gymnasium.spec("My-Camera").kwargs)
    broken = {**gymnasium.spec("My-Task").kwargs, "dpcppo": lambda: {}["networks"]}
    assert remarks("My-Task", broken).endswith("; no dpcppo: KeyError('networks')")
    assert remarks("None", {}) == "no agent: it has no rsl_rl_cfg_entry_point that one could be derived from"


@pytest.mark.parametrize("variant", ["recurrent", "symmetry"])
def test_other_configurations_of_a_task_have_agents_of_their_own(variant: str, isaaclab_tasks_cfg: Any) -> None:
    def variant_cfg() -> Any:
        cfg = host_cfg("recurrent" if variant == "recurrent" else "old")
        cfg.algorithm.symmetry_cfg = {"use_data_augmentation": True} if variant == "symmetry" else None
        return cfg

    gymnasium.spec("My-Task").kwargs[isaaclab_tasks_cfg.VARIANTS[variant]] = variant_cfg
    cfg = load("My-Task", f"dpcppo_{variant}")
    assert cfg.experiment_name == f"task_dpcppo_{variant}"
    assert cfg.actor.class_name == ("rsl_dpcppo.FlowRNNActor" if variant == "recurrent" else "rsl_dpcppo.FlowActor")
    assert cfg.algorithm.symmetry_cfg == variant_cfg().algorithm.symmetry_cfg
    assert f"dpcppo_{variant}" not in gymnasium.spec("My-Task-old").kwargs


def test_tasks_that_come_later_have_agents_when_they_are_looked_up(isaaclab_tasks_cfg: Any) -> None:
    kwargs = {"rsl_rl_cfg_entry_point": lambda: host_cfg("explicit")}
    gymnasium.register(id="Template-Late", entry_point="none", kwargs=kwargs)
    assert load("Template-Late").algorithm.class_name == "rsl_dpcppo.DPCPPO"


def test_checkpoints_are_exported_with_no_host_at_hand(capsys: pytest.CaptureFixture[str]) -> None:
    """From what 3.0 leaves in a run's folder: the checkpoint and params/agent.yaml."""
    cfg = load("My-Task")
    runner = make_runner(MultiGoalEnv(16), cfg.to_dict())
    runner.learn(2)
    run = Path(runner.logger.log_dir)
    (run / "params").mkdir()
    (run / "params" / "agent.yaml").write_text(yaml.safe_dump(cfg.to_dict()))
    export(["--task=Isaac-Ant", f"--checkpoint={run / 'model_1.pt'}", "--noise=input"])
    assert capsys.readouterr().out.count("differs from the live policy by at most") == 2
    obs, noise = runner.env.get_observations(), torch.randn(16, 2)
    model = runner.get_inference_policy("cpu")
    with torch.inference_mode():
        expected = model.head.act(noise, model.normalizer(obs["policy"]))
        scripted = torch.jit.load(run / "exported" / "policy.pt")(obs["policy"], noise)
    torch.testing.assert_close(scripted, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("style", ["", "-old"])
def test_paper_values_reach_the_models(style: str) -> None:
    """Table 10, under the id of 3.0: widths of actor, critic and flow, and the two columns' rates."""
    if style:
        use_old_style("Isaac-Velocity-Rough-H1")
    cfg = load("Isaac-Velocity-Rough-H1")
    assert cfg.actor.hidden_dims == cfg.critic.hidden_dims == cfg.actor.flow_hidden_dims == [512, 256, 128]
    assert (cfg.algorithm.learning_rate, cfg.algorithm.entropy_coef, cfg.algorithm.score_coef) == (5e-4, 0.005, 0.1)
    assert (cfg.num_steps_per_env, cfg.algorithm.gamma, cfg.max_iterations) == (24, 0.97, 300)


def test_play_tasks_have_the_papers_agents_too() -> None:
    cfg = load("IsaacContrib-Lift-Cube-Franka-Play")
    assert (cfg.algorithm.desired_kl, cfg.actor.hidden_dims) == (0.008, [256, 128, 64])


def test_ppo_paper_is_the_hosts_ppo() -> None:
    cfg = load("Isaac-Ant", "rsl_rl_ppo-paper_cfg_entry_point")
    assert (cfg.algorithm.class_name, cfg.actor.class_name) == ("PPO", "MLPModel")
    assert (cfg.algorithm.entropy_coef, cfg.actor.hidden_dims) == (0.01, [400, 200, 100])


def test_ppo_paper_of_a_task_in_the_deprecated_style(isaaclab_tasks_cfg: Any) -> None:
    """It stays in that style, which the host then converts."""
    use_old_style("Isaac-Ant")
    cfg = gymnasium.spec("Isaac-Ant").kwargs["ppo_paper"]()
    assert isinstance(cfg.policy, contract3.RslRlPpoActorCriticCfg)
    assert cfg.policy.actor_hidden_dims == cfg.policy.critic_hidden_dims == [400, 200, 100]


def test_callback_leaves_the_command_line_alone(isaaclab_tasks_cfg: Any) -> None:
    """3.0 passes on to Hydra only what a callback of --external_callback returns, unless that is None."""
    assert isaaclab_tasks_cfg.register() is None


def test_entry_point_registers_when_it_is_imported(isaaclab_tasks_cfg: Any) -> None:
    """The CLI of 3.0 loads, and so imports, every entry point of the group."""
    for name in ("dpcppo", "rsl_rl_dpcppo_cfg_entry_point"):
        del gymnasium.spec("Isaac-Ant").kwargs[name]
    sys.modules.pop("isaaclab_tasks_cfg.entry_point", None)
    importlib.import_module("isaaclab_tasks_cfg.entry_point")
    assert "dpcppo" in gymnasium.spec("Isaac-Ant").kwargs
    entry_points = importlib.metadata.entry_points(group="isaaclab.tasks")
    assert "isaaclab_tasks_cfg.entry_point" in {entry.value for entry in entry_points}

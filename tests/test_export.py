# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Tests of the export to TorchScript and ONNX, through a small agent that was trained for two iterations."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from tensordict import TensorDict
from torch import Tensor, nn

from rsl_dpcppo.algorithms.dpcppo.config import DPCPPORunnerCfg
from rsl_dpcppo.bridge.runner import Runner
from rsl_dpcppo.bridge.train_cfg import to_rsl_rl
from rsl_dpcppo.bridge.version import GENERATION
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.export import export, exported_policy, largest_difference
from rsl_dpcppo.tasks.embedded.multi_goal import MultiGoalEnv
from rsl_dpcppo.tasks.registry import find_task

pytestmark = pytest.mark.filterwarnings("ignore")  # both exporters announce deprecations of their own internals

TOLERANCE = 1e-5
BATCH_SIZES = (1, 2, 5, 64)
OWN_STEPS = 3


def make_runner(log_dir: Path, **actor: Any) -> Runner:
    """Return a runner that has learned a little, so that the observations' statistics are not those of the start."""
    torch.manual_seed(0)
    cfg = find_task("MultiGoal-v0").make_agent("dpcppo")
    assert isinstance(cfg, DPCPPORunnerCfg)
    cfg.num_steps_per_env = 8
    cfg.actor.hidden_dims, cfg.actor.flow_hidden_dims, cfg.critic.hidden_dims = [16, 8], [16, 8], [8]
    cfg.actor.obs_normalization, cfg.actor.flow_steps = True, OWN_STEPS
    for name, value in actor.items():
        setattr(cfg.actor, name, value)
    runner = Runner(MultiGoalEnv(num_envs=16), to_rsl_rl(cfg), log_dir=str(log_dir))  # RSL-RL 3.x learns with one only
    runner.learn(2)
    return runner


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return make_runner(tmp_path_factory.mktemp("run"))


@pytest.fixture
def model(trained: Runner) -> Iterator[Any]:
    """Yield the trained model, and put its weights, statistics and inference settings back."""
    model = trained.alg.model
    weights = copy.deepcopy(model.state_dict())
    yield model
    model.load_state_dict(weights)
    model.head.set_inference("flow_residual", "random")
    model.head.flow.num_steps = OWN_STEPS


def act(runner: Runner, obs: Tensor) -> np.ndarray:
    """Act with the live policy as RSL-RL's play scripts do."""
    policy = runner.get_inference_policy("cpu")
    with torch.inference_mode():
        return policy(TensorDict({"policy": obs}, batch_size=[len(obs)])).numpy()


def run_file(path: Path, *inputs: Tensor) -> np.ndarray:
    """Run an exported file as a robot's program would."""
    if path.suffix == ".pt":
        with torch.inference_mode():
            return torch.jit.load(str(path))(*inputs).numpy()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    return session.run(None, {name: x.numpy() for name, x in zip(names, inputs, strict=True)})[0]


def observations(batch_size: int) -> Tensor:
    """Return positions from the whole square of the task, whose mean and spread are not those of the normaliser."""
    generator = torch.Generator().manual_seed(batch_size)
    return 6.0 * (2.0 * torch.rand(batch_size, 2, generator=generator) - 1.0)


def test_statistics_of_the_observations_are_not_those_of_the_start(model: Any) -> None:
    """Otherwise the tests below would not notice a normaliser that is left out."""
    obs = observations(64)
    assert (model.normalizer(obs) - obs).abs().mean() > 1.0


# This package's export.


OFTEN = [("zero", "flow_residual", 0), ("7", "flow", 2), ("input", "flow_residual", 2), ("input", "flow", 0)]
"""Settings that have each value of each."""


@pytest.mark.parametrize(
    ("noise", "policy", "flow_steps"),
    [
        pytest.param(*settings, marks=[] if settings in OFTEN else [pytest.mark.slow])
        for settings in product(("zero", "7", "input"), ("flow_residual", "flow"), (0, 2))
    ],
)
def test_files_act_as_the_live_policy(
    trained: Runner, model: Any, tmp_path: Path, noise: str, policy: str, flow_steps: int
) -> None:
    module = exported_policy(model, noise, policy, flow_steps)
    paths = export(module, tmp_path / "exported")
    assert [path.name for path in paths] == ["policy.pt", "policy.onnx"]

    # The same settings on the live model.
    model.head.set_inference(policy, "zero" if noise == "input" else noise)
    model.head.flow.num_steps = flow_steps or OWN_STEPS
    for batch_size in BATCH_SIZES:
        obs = observations(batch_size)
        inputs, live = (obs,), act(trained, obs)
        if noise == "input":
            start = torch.randn(batch_size, 2, generator=torch.Generator().manual_seed(3))
            inputs = (obs, start)
            zero_start = run_file(paths[0], obs, torch.zeros(batch_size, 2))
            np.testing.assert_allclose(zero_start, live, rtol=0.0, atol=TOLERANCE)
            with torch.inference_mode():
                live = model.head.act(start, model.normalizer(obs)).numpy()
        for path in paths:
            np.testing.assert_allclose(run_file(path, *inputs), live, rtol=0.0, atol=TOLERANCE)
    for path in paths:
        assert largest_difference(model, module, path) <= TOLERANCE


def test_settings_make_different_policies(model: Any) -> None:
    """Otherwise the test above could compare a policy with itself under another name."""
    obs = observations(64)
    settings = product(("zero", "7"), ("flow_residual", "flow"), (0, 2))
    actions = [exported_policy(model, *setting)(obs) for setting in settings]
    for i, first in enumerate(actions):
        for second in actions[i + 1 :]:
            assert (first - second).abs().max() > 100.0 * TOLERANCE


def test_other_networks_export(tmp_path: Path) -> None:
    """Midpoint solver, other activations, no normaliser."""
    runner = make_runner(
        tmp_path / "run",
        flow_solver="midpoint",
        flow_activation="mish",
        activation="tanh",
        obs_normalization=False,
        inference_noise="zero",
    )
    for path in export(exported_policy(runner.alg.model), tmp_path):
        for batch_size in BATCH_SIZES:
            obs = observations(batch_size)
            np.testing.assert_allclose(run_file(path, obs), act(runner, obs), rtol=0.0, atol=TOLERANCE)


def test_onnx_file_names_its_inputs_and_outputs(model: Any, tmp_path: Path) -> None:
    """Programs on robots find inputs by name; the file is whole without others beside it."""
    _, path = export(exported_policy(model, "input"), tmp_path, "robot")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [(node.name, node.shape[1]) for node in session.get_inputs()] == [("obs", 2), ("noise", 2)]
    assert [node.name for node in session.get_outputs()] == ["actions"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["robot.onnx", "robot.pt"]


def test_onnx_file_does_not_tell_where_it_was_made(model: Any, tmp_path: Path) -> None:
    """Torch's exporter notes the stack of each operation, with the paths of this machine."""
    _, path = export(exported_policy(model), tmp_path)
    assert b".py" not in path.read_bytes()


def test_exported_policy_is_a_copy(model: Any) -> None:
    obs = observations(5)
    module = exported_policy(model, "7", "flow", 2)
    before = module(obs)
    model.head.set_inference("flow_residual", "zero")
    model.head.flow.num_steps = 9
    torch.testing.assert_close(module(obs), before, rtol=0.0, atol=0.0)
    assert not module.training


# Comparison with the live policy.


def scripted(model: Any, folder: Path, **settings: Any) -> tuple[Any, Path]:
    """Export to TorchScript only, which is quick."""
    module, path = exported_policy(model, **settings), folder / "policy.pt"
    torch.jit.script(module).save(str(path))
    return module, path


@pytest.mark.parametrize("noise", ["zero", "7", "input"])
@pytest.mark.parametrize("part", ["normaliser", "residual", "flow"])
def test_changed_policy_is_reported(model: Any, tmp_path: Path, noise: str, part: str) -> None:
    module, path = scripted(model, tmp_path, noise=noise)
    assert largest_difference(model, module, path) <= TOLERANCE
    tensor = {
        "normaliser": model.normalizer._mean,
        "residual": [*model.head.residual.parameters()][-1],
        "flow": [*model.head.flow.parameters()][-1],
    }[part]
    with torch.no_grad():
        tensor.add_(0.5)
    # Half an action more of flow or residual is about that much more of the action.
    assert largest_difference(model, module, path) > (0.01 if part == "normaliser" else 0.2)


@pytest.mark.parametrize("broken", ["live", "exported"])
def test_not_a_number_is_a_difference(model: Any, tmp_path: Path, broken: str) -> None:
    """Above any tolerance, as the caller compares it."""
    bias, numbers = [*model.head.residual.parameters()][-1], torch.tensor([0.1, 0.2])
    for part in ("exported", "live"):
        with torch.no_grad():
            bias.copy_(torch.full_like(numbers, float("nan")) if part == broken else numbers)
        if part == "exported":
            module, path = scripted(model, tmp_path)
    assert largest_difference(model, module, path) > TOLERANCE


def test_large_actions_are_compared_by_their_size(model: Any, tmp_path: Path) -> None:
    """As rounding is: a policy whose actions reach a thousand does not differ by what single precision drops there."""
    bias = [*model.head.residual.parameters()][-1]
    with torch.no_grad():
        bias.fill_(1000.0)
        module, path = scripted(model, tmp_path)
        for more, difference in ((0.001, 1e-6), (1.0, 1e-3)):
            bias.fill_(1000.0 + more)
            assert largest_difference(model, module, path) == pytest.approx(difference, rel=0.2)


def test_comparison_finds_a_policy_that_is_exported_with_other_settings(model: Any, tmp_path: Path) -> None:
    _, path = scripted(model, tmp_path, noise="7")
    assert largest_difference(model, exported_policy(model, "8"), path) > 100.0 * TOLERANCE


@pytest.mark.parametrize(("policy", "noise"), product(("flow_residual", "flow"), ("random", "zero", "5")))
def test_comparison_leaves_the_settings_as_they_were(model: Any, tmp_path: Path, policy: str, noise: str) -> None:
    module, path = scripted(model, tmp_path, noise="7", policy="flow", flow_steps=2)
    head, obs = model.head, observations(5)
    head.set_inference(policy, noise)
    torch.manual_seed(1)
    before = head(model.normalizer(obs))

    largest_difference(model, module, path)

    torch.manual_seed(1)
    torch.testing.assert_close(head(model.normalizer(obs)), before, rtol=0.0, atol=0.0)


def test_comparison_that_fails_leaves_the_settings_as_they_were(model: Any, tmp_path: Path) -> None:
    torch.jit.script(nn.Linear(5, 2)).save(str(tmp_path / "other.pt"))
    head, obs = model.head, observations(5)
    head.set_inference("flow_residual", "5")
    before = head(model.normalizer(obs))
    with pytest.raises(RuntimeError):
        largest_difference(model, exported_policy(model, "7", "flow", 2), tmp_path / "other.pt")
    torch.testing.assert_close(head(model.normalizer(obs)), before, rtol=0.0, atol=0.0)


# What cannot be exported.


@pytest.mark.parametrize("noise", ["random", "gauss", "", "-1", "1.5"])
def test_noise_that_cannot_be_exported_is_refused(model: Any, noise: str) -> None:
    with pytest.raises(ConfigError, match=f"noise is '{noise}'"):
        exported_policy(model, noise)


@pytest.mark.parametrize("settings", [{"policy": "residual"}, {"flow_steps": -1}])
def test_wrong_settings_are_refused(model: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        exported_policy(model, **settings)


def test_recurrent_model_is_refused() -> None:
    cfg = to_rsl_rl(DPCPPORunnerCfg())
    if GENERATION == 3:
        cfg["policy"].update(class_name="rsl_dpcppo.FlowActorCriticRecurrent", rnn_type="gru", rnn_hidden_dim=8)
    else:
        cfg["actor"].update(class_name="rsl_dpcppo.FlowRNNActor", rnn_type="gru", rnn_hidden_dim=8)
    runner = Runner(MultiGoalEnv(num_envs=4), cfg, log_dir=None)
    with pytest.raises(ConfigError, match="recurrent"):
        exported_policy(runner.alg.model)


# The hosts' own exporters, which know nothing of flows.


@pytest.mark.skipif(GENERATION != 5, reason="RSL-RL exports itself from 5.0")
@pytest.mark.parametrize("policy", ["flow_residual", "flow"])
def test_exporters_of_rsl_rl_write_the_live_policy(trained: Runner, model: Any, tmp_path: Path, policy: str) -> None:
    model.head.set_inference(policy, "zero")
    trained.export_policy_to_jit(str(tmp_path))
    trained.export_policy_to_onnx(str(tmp_path))
    for batch_size in BATCH_SIZES:
        obs = observations(batch_size)
        np.testing.assert_allclose(run_file(tmp_path / "policy.pt", obs), act(trained, obs), rtol=0.0, atol=TOLERANCE)
    for row in observations(4).split(1):  # RSL-RL exports to ONNX for one robot
        np.testing.assert_allclose(run_file(tmp_path / "policy.onnx", row), act(trained, row), rtol=0.0, atol=TOLERANCE)


class IsaacLabExporter(nn.Module):
    """What Isaac Lab 2.3 exports of a policy without memory: copies of its actor and of its normaliser."""

    def __init__(self, policy: Any, normalizer: nn.Module | None) -> None:
        super().__init__()
        self.actor = copy.deepcopy(policy.actor)
        self.normalizer = copy.deepcopy(normalizer) if normalizer else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.actor(self.normalizer(x))


@pytest.mark.skipif(GENERATION != 3, reason="Isaac Lab 2.3 exports the policies of RSL-RL 3.x")
@pytest.mark.parametrize("policy", ["flow_residual", "flow"])
def test_exporters_of_isaac_lab_write_the_live_policy(trained: Runner, model: Any, tmp_path: Path, policy: str) -> None:
    model.head.set_inference(policy, "zero")
    exporter = IsaacLabExporter(model, model.actor_obs_normalizer).to("cpu")
    torch.jit.script(exporter).save(str(tmp_path / "policy.pt"))
    exporter.eval()
    torch.onnx.export(
        exporter,
        torch.zeros(1, exporter.actor[0].in_features),
        str(tmp_path / "policy.onnx"),
        export_params=True,
        opset_version=18,
        verbose=False,
        input_names=["obs"],
        output_names=["actions"],
        dynamic_axes={},
    )
    for batch_size in BATCH_SIZES:
        obs = observations(batch_size)
        np.testing.assert_allclose(run_file(tmp_path / "policy.pt", obs), act(trained, obs), rtol=0.0, atol=TOLERANCE)
    for row in observations(4).split(1):
        np.testing.assert_allclose(run_file(tmp_path / "policy.onnx", row), act(trained, row), rtol=0.0, atol=TOLERANCE)

# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The hosts' own exporters on flow models with memory and images, which they handle without knowing of flows."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from agents import Bandit, agent_dict, make_runner
from torch import Tensor, nn

from rsl_dpcppo.bridge.version import GENERATION
from rsl_dpcppo.tasks.embedded.multi_goal import MultiGoalEnv

TOLERANCE = 1e-5


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.skipif(GENERATION != 5, reason="RSL-RL 3.x has no exporter")
@pytest.mark.parametrize("rnn_type", ["lstm", "gru"])
def test_rsl_rl_exports_recurrent_models(rnn_type: str, tmp_path: Path) -> None:
    """Three steps of live, TorchScript and ONNX policy agree, hidden states included."""
    env = MultiGoalEnv(4)
    model = {"class_name": "rsl_dpcppo.FlowRNNActor", "rnn_type": rnn_type, "rnn_hidden_dim": 8}
    runner = make_runner(env, agent_dict(**model, inference_noise="zero"))
    runner.learn(1)
    runner.export_policy_to_jit(str(tmp_path))
    runner.export_policy_to_onnx(str(tmp_path))
    live, scripted = runner.get_inference_policy("cpu"), torch.jit.load(tmp_path / "policy.pt")
    onnx, state = (
        session(tmp_path / "policy.onnx"),
        [np.zeros((1, 1, 8), np.float32)] * (2 if rnn_type == "lstm" else 1),
    )
    live.reset()
    with torch.inference_mode():
        for step in range(3):
            obs = env.get_observations()[step : step + 1]
            expected = live(obs)
            names = [node.name for node in onnx.get_inputs()]
            actions, *state = onnx.run(None, dict(zip(names, [obs["policy"].numpy(), *state], strict=True)))
            np.testing.assert_allclose(actions, expected.numpy(), atol=TOLERANCE)
            torch.testing.assert_close(scripted(obs["policy"]), expected, atol=TOLERANCE, rtol=0)


@pytest.mark.skipif(GENERATION != 5, reason="RSL-RL 3.x has no exporter")
def test_rsl_rl_exports_convolutional_models(tmp_path: Path) -> None:
    env = Bandit(groups=("policy", "camera"))
    cnn = {"output_channels": [4], "kernel_size": 3, "flatten": True}
    cfg = agent_dict(class_name="rsl_dpcppo.FlowCNNActor", cnn_cfg=cnn, inference_noise="zero")
    cfg["obs_groups"] = {"actor": ["policy", "camera"], "critic": ["policy"]}
    runner = make_runner(env, cfg)
    runner.learn(1)
    runner.export_policy_to_jit(str(tmp_path))
    runner.export_policy_to_onnx(str(tmp_path))
    obs = env.get_observations()[:1]
    obs["camera"] = torch.rand_like(obs["camera"])
    with torch.inference_mode():
        expected = runner.get_inference_policy("cpu")(obs)
        scripted = torch.jit.load(tmp_path / "policy.pt")(obs["policy"], [obs["camera"]])
    inputs = {"obs": obs["policy"].numpy(), "camera": obs["camera"].numpy()}
    actions = session(tmp_path / "policy.onnx").run(None, inputs)[0]
    np.testing.assert_allclose(actions, expected.numpy(), atol=TOLERANCE)
    torch.testing.assert_close(scripted, expected, atol=TOLERANCE, rtol=0)


class IsaacLabRecurrentExporter(nn.Module):
    """What Isaac Lab 2.3's TorchScript exporter makes of a recurrent policy."""

    def __init__(self, policy: Any) -> None:
        super().__init__()
        self.actor = copy.deepcopy(policy.actor)
        self.rnn = copy.deepcopy(policy.memory_a.rnn)
        self.normalizer = copy.deepcopy(policy.actor_obs_normalizer)
        self.register_buffer("hidden_state", torch.zeros(self.rnn.num_layers, 1, self.rnn.hidden_size))
        self.register_buffer("cell_state", torch.zeros(self.rnn.num_layers, 1, self.rnn.hidden_size))

    def forward(self, x: Tensor) -> Tensor:
        x = self.normalizer(x)
        x, (h, c) = self.rnn(x.unsqueeze(0), (self.hidden_state, self.cell_state))
        self.hidden_state[:] = h
        self.cell_state[:] = c
        return self.actor(x.squeeze(0))


@pytest.mark.skipif(GENERATION != 3, reason="Isaac Lab 2.3 exports policies of RSL-RL 3.x")
def test_isaac_lab_exports_recurrent_policies() -> None:
    env = MultiGoalEnv(4)
    model = {"class_name": "rsl_dpcppo.FlowActorCriticRecurrent", "rnn_type": "lstm", "rnn_hidden_dim": 8}
    runner = make_runner(env, agent_dict(**model, inference_noise="zero"))
    runner.learn(1)
    act, policy = runner.get_inference_policy("cpu"), runner.alg.policy
    scripted = torch.jit.script(IsaacLabRecurrentExporter(policy))
    policy.reset()
    with torch.inference_mode():
        for step in range(3):
            obs = env.get_observations()[step : step + 1]
            torch.testing.assert_close(scripted(obs["policy"]), act(obs), atol=TOLERANCE, rtol=0)

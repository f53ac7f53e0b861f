# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Export of a trained policy to TorchScript and ONNX, normaliser inside, checked against the live policy."""

from __future__ import annotations

import copy
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from rsl_dpcppo.config import check_int, check_noise
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.learning.candidates import CandidateHead
from rsl_dpcppo.learning.head import PolicyHead

NOISE_INPUT = "input"
"""Noise setting of an export whose second input is the initial noise."""


class ExportedPolicy(nn.Module):
    """obs [batch, num_obs] -> actions [batch, num_actions]."""

    def __init__(self, normalizer: nn.Module, head: nn.Module) -> None:
        """Join the normaliser and the head, or the layers that make a Gaussian's mean."""
        super().__init__()
        self.normalizer = normalizer
        self.head: Any = head

    def forward(self, obs: Tensor) -> Tensor:
        """Act."""
        return self.head(self.normalizer(obs))


class ExportedNoisePolicy(ExportedPolicy):
    """obs [batch, num_obs], noise [batch, noise_width] -> actions [batch, num_actions]."""

    def forward(self, obs: Tensor, noise: Tensor) -> Tensor:  # type: ignore[override]
        """Act from a given initial noise."""
        return self.head.act(noise, self.normalizer(obs))


def exported_policy(model: Any, noise: str = "zero", policy: str = "", flow_steps: int = 0, candidates: int = 0) -> Any:
    """Return a copy of the policy as one module, on the CPU and in evaluation mode.

    Args:
        model: Flow model over vector observations.
        noise: "zero" or a seed in digits to bake the noise in, or "input" to make it the second input.
        policy: "flow_residual" or "flow", where the model has both; empty for the model's own setting.
        flow_steps: Number of solver steps; 0 for the model's own.
        candidates: Number of actions among which the critics inside choose, 1 for no choice; 0 for the model's own.

    Raises:
        ConfigError: If the model has an encoder, or a setting is none of the above.
    """
    if model.is_recurrent or hasattr(model, "cnns") or hasattr(model, "actor_cnns"):
        raise ConfigError(
            f"{type(model).__name__} has a recurrent or convolutional encoder; export it with the host's own "
            "exporter (RSL-RL's runner.export_policy_to_onnx, or Isaac Lab's play.py)."
        )
    if noise == "random" or (noise != NOISE_INPUT and not check_noise("noise", noise)):
        raise ConfigError(f"noise is {noise!r}; an exported policy takes 'zero', a seed, or 'input'.")
    check_int("flow_steps", flow_steps, minimum=0)
    head = copy.deepcopy(model.head)
    if candidates:
        _set_candidates(head, candidates)
    head.set_inference(policy or head.policy, "zero" if noise == NOISE_INPUT else noise)
    head.set_num_steps(flow_steps or head.flow.num_steps)
    module = ExportedNoisePolicy if noise == NOISE_INPUT else ExportedPolicy
    return module(copy.deepcopy(model.normalizer), head).cpu().eval()


def _set_candidates(head: PolicyHead, number: int) -> None:
    """Let a head choose among so many candidates."""
    check_int("candidates", number, minimum=1)
    critics = getattr(head, "critics", None)
    if number > 1 and critics is None:
        raise ConfigError(
            f"candidates is {number}; this policy has no critics that could choose (those that see other observations "
            "than the policy cannot): it must be 1."
        )
    if isinstance(head, CandidateHead):
        head.set_candidates(number, critics if number > 1 else None)


def export(module: ExportedPolicy, folder: Path, name: str = "policy") -> tuple[Path, Path]:
    """Write NAME.pt (TorchScript) and NAME.onnx, both with a dynamic batch size.

    Returns:
        The two paths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jit_path, onnx_path = folder / f"{name}.pt", folder / f"{name}.onnx"
    with warnings.catch_warnings():
        # Both exporters announce deprecations of their own internals.
        warnings.simplefilter("ignore")
        torch.jit.script(module).save(str(jit_path))
        inputs = example_inputs(module, batch_size=2)
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            str(onnx_path),
            input_names=list(inputs),
            output_names=["actions"],
            dynamic_shapes=tuple({0: torch.export.Dim("batch")} for _ in inputs),
            opset_version=18,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    _remove_traces(onnx_path)
    return jit_path, onnx_path


def _remove_traces(path: Path) -> None:
    """Remove what torch notes of each operation: stack traces with this machine's paths, half of the file."""
    model = onnx.load(path)
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
    onnx.save(model, path)


def example_inputs(module: ExportedPolicy, batch_size: int, seed: int = 0) -> dict[str, Tensor]:
    """Return random inputs of an exported policy, by name."""
    generator = torch.Generator().manual_seed(seed)
    inputs = {"obs": torch.randn(batch_size, module.head[0].in_features, generator=generator)}
    if isinstance(module, ExportedNoisePolicy):
        inputs["noise"] = torch.randn(batch_size, module.head.noise_width, generator=generator)
    return inputs


def load_exported(path: Path) -> Callable[..., np.ndarray]:
    """Return a function from inputs to actions that runs an exported file, TorchScript or ONNX by its suffix.

    ONNX runs on one thread, as on a robot.
    """
    if path.suffix == ".pt":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scripted = torch.jit.load(str(path))
        return lambda *inputs: scripted(*inputs).detach().numpy()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    return lambda *inputs: session.run(None, {name: x.numpy() for name, x in zip(names, inputs, strict=True)})[0]


def latency(exported: ExportedPolicy, path: Path, num_calls: int = 300) -> float:
    """Return the median seconds that a file takes for the action of one observation, on one core.

    Args:
        exported: What was written to the file; tells the shapes.
        path: The file.
        num_calls: Calls to take the median of. A third as many go before, unmeasured.
    """
    run, inputs = load_exported(path), example_inputs(exported, batch_size=1)
    seconds = []
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for _ in range(num_calls + num_calls // 3):
            began = time.perf_counter()
            run(*inputs.values())
            seconds.append(time.perf_counter() - began)
    finally:
        torch.set_num_threads(num_threads)
    return statistics.median(seconds[-num_calls:])


@torch.inference_mode()
def largest_difference(model: Any, exported: ExportedPolicy, path: Path) -> float:
    """Compare a file with the live model on random observations, in batches of several sizes.

    Args:
        model: The live model, on any device.
        exported: What was written to the file; tells the settings.
        path: The file.

    Returns:
        Largest difference of an action, as :func:`difference` has it.
    """
    head = copy.deepcopy(model.head)
    device = head.fixed_noise.device
    if isinstance(exported.head, CandidateHead):
        _set_candidates(head, exported.head.num_candidates)
    head.set_inference(exported.head.policy, "zero")
    head.fixed_noise.copy_(exported.head.fixed_noise)
    head.flow.num_steps = exported.head.flow.num_steps

    def act(obs: Tensor, noise: Tensor | None = None) -> Tensor:
        context = model.normalizer(obs.to(device))
        return head(context) if noise is None else head.act(noise.to(device), context)

    return difference(act, exported, path)


@torch.inference_mode()
def difference(act: Callable[..., Tensor], exported: ExportedPolicy, path: Path) -> float:
    """Return the largest difference between a file's actions and those of a function.

    Args:
        act: Takes the file's inputs.
        exported: What was written to the file; tells the inputs.
        path: The file.

    Returns:
        The difference, where actions are larger than 1 in multiples of their size, as rounding is; infinite if one is
        not a number.
    """
    run, differences = load_exported(path), []
    for batch_size in (1, 7, 256):
        inputs = example_inputs(exported, batch_size, seed=batch_size).values()
        actions = act(*inputs).cpu().numpy()
        differences.append((np.abs(actions - run(*inputs)) / np.maximum(1.0, np.abs(actions))).max())
    return float(np.nan_to_num(differences, nan=np.inf).max())

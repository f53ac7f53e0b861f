# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The fast paths give what the plain one gives."""

from __future__ import annotations

import copy
import re
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from agents import agent_dict, flat_parameters, make_runner, small_agent, small_peer
from recorded_graph import RecordedGraph
from torch import Tensor
from torch.utils._pytree import tree_map

from rsl_dpcppo.algorithms.registry import ALGORITHMS, on_policy_peers, peers
from rsl_dpcppo.bridge.runner import Runner
from rsl_dpcppo.bridge.version import GENERATION
from rsl_dpcppo.learning import compilation, off_policy, on_policy
from rsl_dpcppo.learning.compilation import PROOF_CALLS, Compiled, resolve_mode
from rsl_dpcppo.tasks.embedded.multi_goal import MultiGoalEnv

ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def build(mode: str, device: str = "cpu", **algorithm: Any) -> Any:
    """Return a runner whose normalisers move and whose learning rate adapts."""
    torch.manual_seed(1)
    cfg = small_agent(compile=mode, **algorithm)
    cfg.actor.obs_normalization = cfg.critic.obs_normalization = True
    return make_runner(MultiGoalEnv(32, seed=1, device=device), agent_dict(cfg), Runner, device)


def train(num_iterations: int, *args: Any, **kwargs: Any) -> Any:
    """Train what :func:`build` builds; a failure of the fast path, which would make a test empty, is an error."""
    runner = build(*args, **kwargs)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        runner.learn(num_iterations)
    return runner


def learner_state(runner: Any) -> list[Tensor]:
    """Return weights, normalisers, both optimizers' moments and the learning rate."""
    alg = runner.alg
    optimizers = [alg.optimizer.state_dict()["state"], alg.learner.flow_optimizer.state_dict()["state"]]
    moments = [value.detach().cpu() for state in optimizers for entry in state.values() for value in entry.values()]
    networks = [flat_parameters(network).cpu() for network in alg.learner.host.networks()]
    return [*networks, *moments, torch.tensor(alg.learning_rate)]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let "cudagraph" run on the CPU, on recordings that behave as CUDA graphs do."""
    monkeypatch.setattr(compilation, "CudaGraphModule", RecordedGraph)
    for learner in (on_policy, off_policy):
        monkeypatch.setattr(learner, "resolve_mode", lambda mode, device: mode)
    monkeypatch.setattr(RecordedGraph, "num_replays", 0)


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(
    "algorithm",
    [
        {},
        {"flow_precision": "bfloat16"},
        {"flow_num_mini_batches": 3},
        {"flow_noise": "kept", "base_action_baseline": True},
    ],
)
def test_replayed_graphs_give_the_weights_of_the_plain_path(algorithm: dict[str, Any]) -> None:
    plain, fast = train(5, "none", **algorithm), train(5, "cudagraph", **algorithm)
    # A rollout of 8 steps, 20 steps of the kernel and the fit's steps each iteration, but for the first of each shape.
    assert RecordedGraph.num_replays > 5 * (8 + 20 + 2 * 3) - 20
    for expected, value in zip(learner_state(plain), learner_state(fast), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-6)


def train_peer(name: str, mode: str) -> Any:
    """Train another algorithm for three iterations; as :func:`train`."""
    torch.manual_seed(1)
    cfg = small_peer(name, compile=mode)
    cfg.actor.obs_normalization = cfg.critic.obs_normalization = True
    runner = make_runner(MultiGoalEnv(32, seed=1), agent_dict(cfg), Runner)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        runner.learn(3)
    return runner


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize("name", peers() if GENERATION == 5 else on_policy_peers())
def test_replayed_graphs_give_the_weights_of_the_plain_path_of_other_algorithms(name: str) -> None:
    plain, fast = (flat_parameters(train_peer(name, mode).alg.model) for mode in ("none", "cudagraph"))
    assert RecordedGraph.num_replays > (3 * (8 + 16) - 10 if ALGORITHMS[name].is_on_policy else 30)
    torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-6)


def trace_compilations(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Let "inductor" only trace, whole functions, and return how often each one ran so."""
    traced: Counter[str] = Counter()

    def trace(function: Callable[..., Any]) -> Callable[..., Any]:
        whole = torch.compile(function, backend="eager", fullgraph=True)

        def run(*args: Any) -> Any:
            traced[function.__name__] += 1
            return whole(*args)

        return run

    monkeypatch.setattr(compilation, "_compile", trace)
    return traced


SLOW_TO_TRACE = ("genpo", "genpopp", "policyflow", "fpo", "fpopp", "dppo")


@pytest.mark.parametrize(
    "name",
    ["dpcppo", *(pytest.param(x, marks=pytest.mark.slow) if x in SLOW_TO_TRACE else x for x in on_policy_peers())],
)
def test_actions_and_losses_are_each_one_graph_for_the_compiler(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces would wait for each other, and cost more than they save."""
    traced = trace_compilations(monkeypatch)
    plain, fast = (flat_parameters(train_peer(name, mode).alg.model) for mode in ("none", "inductor"))
    assert traced["losses_of"] == 3 * 16 - 1
    assert traced["propose" if name in ("dpcppo", "dpcppo_fold") else "carry"] == 3 * 8 - 1
    torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-6)


def test_losses_of_a_model_with_memory_are_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lengths of its trajectories change from one mini-batch to the next."""
    traced = trace_compilations(monkeypatch)
    name = "rsl_dpcppo.FlowActorCriticRecurrent" if GENERATION == 3 else "rsl_dpcppo.FlowRNNActor"
    cfg = agent_dict(small_agent(compile="inductor"), class_name=name, rnn_type="gru", rnn_hidden_dim=16)
    runner = make_runner(MultiGoalEnv(32, seed=1), cfg, Runner)
    runner.learn(2)
    assert traced["flow_matching_loss"] > 0
    assert traced["losses_of"] == 0


@pytest.mark.usefixtures("recorded")
def test_loading_a_checkpoint_in_mid_training_reaches_the_recorded_graphs(tmp_path: Path) -> None:
    """The optimizers have other tensors after it."""
    states = []
    for mode in ("none", "cudagraph"):
        runner = build(mode)
        runner.learn(2)
        runner.save(str(tmp_path / f"{mode}.pt"))
        runner.learn(2)
        runner.load(str(tmp_path / f"{mode}.pt"))
        runner.learn(2)
        states.append(learner_state(runner))
    for expected, value in zip(*states, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-6)


@ON_GPU
def test_cuda_graphs_give_the_weights_of_the_plain_path() -> None:
    plain, fast = train(5, "none", "cuda"), train(5, "auto", "cuda")
    for expected, value in zip(learner_state(plain), learner_state(fast), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_inductor_gives_the_weights_of_the_plain_path(precision: str) -> None:
    plain, fast = train(4, "none", flow_precision=precision), train(4, "inductor", flow_precision=precision)
    # Adam divides by the gradient's size, so that what rounding does to small gradients shows in full.
    tolerance = {"float32": 1e-4, "bfloat16": 2e-2}[precision]
    for expected, value in zip(learner_state(plain)[:1], learner_state(fast)[:1], strict=True):
        torch.testing.assert_close(value, expected, rtol=tolerance, atol=tolerance)


def test_low_precision_is_the_flows_while_training_only() -> None:
    full, low = build("none"), build("none", flow_precision="bfloat16")
    context = torch.randn(512, 2)
    for network in full.alg.model.state_dict():
        low.alg.model.state_dict()[network].copy_(full.alg.model.state_dict()[network])

    def sample(model: Any) -> Tensor:
        torch.manual_seed(0)
        with torch.no_grad():
            return model.flow_policy.sample(context)

    difference = (sample(full.alg.model) - sample(low.alg.model)).abs()
    assert sample(low.alg.model).dtype == torch.float32
    assert 0.0 < difference.mean() < 0.01
    for model in (full.alg.model, low.alg.model):
        model.head.set_inference("flow_residual", "zero")
    assert torch.equal(full.alg.model.head(context), low.alg.model.head(context))
    low.learn(2)
    assert {parameter.dtype for parameter in low.alg.model.parameters()} == {torch.float32}


# Where it cannot run.


def test_auto_is_the_plain_path_on_a_cpu_and_graphs_on_a_gpu() -> None:
    assert resolve_mode("auto", torch.device("cpu")) == "none"
    assert resolve_mode("auto", torch.device("cuda")) == "cudagraph"
    assert resolve_mode("inductor", torch.device("cpu")) == "inductor"


def test_graphs_without_a_gpu_are_announced() -> None:
    with pytest.warns(UserWarning, match="needs a GPU"):
        runner = build("cudagraph")
    runner.learn(1)


class FailsAtOnce(RecordedGraph):
    def __call__(self, *args: Any) -> Any:
        raise RuntimeError("no such thing here\nmore of it")


class FailsInTheMiddle(RecordedGraph):
    """After it has changed something."""

    def __call__(self, *args: Any) -> Any:
        super().__call__(*args)
        raise RuntimeError("out of memory")


class KeepsItsInputs(RecordedGraph):
    def __call__(self, *args: Any) -> Any:
        return super().__call__(*(self.inputs if self.calls > 2 and len(self.inputs) == len(args) else args))


class RecordsOnly(RecordedGraph):
    """Its replays change nothing, and return what the recording did."""

    def __call__(self, *args: Any) -> Any:
        return super().__call__(*args) if self.calls < 2 else self.outputs


class KeepsItsRandomNumbers(RecordedGraph):
    def __call__(self, *args: Any) -> Any:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return super().__call__(*args)


class IsNotANumber(RecordedGraph):
    def __call__(self, *args: Any) -> Any:
        return tree_map(lambda x: torch.full_like(x, torch.nan), super().__call__(*args))


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(
    ("graph", "functions", "reason"),
    [
        (FailsAtOnce, {"propose", "carry", "gradient_step"}, "RuntimeError: no such thing here$"),
        (FailsInTheMiddle, {"propose", "carry", "gradient_step"}, "RuntimeError: out of memory$"),
        (KeepsItsInputs, {"propose", "carry", "gradient_step"}, "differs from the plain path"),
        (RecordsOnly, {"propose", "carry", "gradient_step"}, "differs from the plain path"),
        (KeepsItsRandomNumbers, {"gradient_step"}, "the optimizer's exp_avg by"),
        (IsNotANumber, {"propose", "carry", "gradient_step"}, "its result.* by inf times its size"),
    ],
)
def test_what_differs_from_the_plain_path_is_found_out_and_leaves_no_trace(
    graph: type[RecordedGraph], functions: set[str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compilation, "CudaGraphModule", graph)
    runner = build("cudagraph")
    with pytest.warns(RuntimeWarning) as record:
        runner.learn(5)
    sentence = re.compile(r"compile = 'cudagraph' does not work here for \w+\.(\w+), (.*)")
    found = [sentence.search(str(warning.message)) for warning in record]
    assert {match.group(1) for match in found if match} == functions
    assert all(match and re.search(reason, match.group(2)) for match in found)
    assert len(found) == len({str(w.message).split(",")[0] for w in record}), "each function warns once"
    for expected, value in zip(learner_state(train(5, "none")), learner_state(runner), strict=True):
        assert torch.equal(value, expected)


def wrong_value(result: Tensor) -> Tensor:
    return 1.2 * result


def wrong_gradient(result: Tensor) -> Tensor:
    return result + 0.2 * (result - result.detach())


@pytest.mark.parametrize(
    ("mistake", "functions"),
    [
        (wrong_value, {"propose", "carry", "losses_of", "flow_matching_loss"}),
        (wrong_gradient, {"losses_of", "flow_matching_loss"}),
    ],
)
def test_compiled_code_that_differs_is_found_out_and_leaves_no_trace(
    mistake: Callable[[Tensor], Tensor], functions: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compilation, "_compile", lambda function: lambda *args: tree_map(mistake, function(*args)))
    runner = build("inductor")
    with pytest.warns(RuntimeWarning, match="compile = 'inductor' does not work here") as record:
        runner.learn(3)
    assert {str(w.message).split(" for ")[1].split(",")[0].split(".")[-1] for w in record} == functions
    for expected, value in zip(learner_state(train(3, "none")), learner_state(runner), strict=True):
        assert torch.equal(value, expected)


def test_failure_after_the_proof_warns_once_and_the_plain_function_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    class FailsLate(RecordedGraph):
        def __call__(self, *args: Any) -> Any:
            if self.calls > PROOF_CALLS + 1:
                raise RuntimeError("no such thing here\nmore of it")
            return super().__call__(*args)

    monkeypatch.setattr(compilation, "CudaGraphModule", FailsLate)
    double = Compiled(lambda x: 2.0 * x, "cudagraph")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert [double(torch.full((1,), float(i))).item() for i in range(12)] == [2.0 * i for i in range(12)]
    assert [str(w.message).splitlines() for w in caught] == [
        [
            "compile = 'cudagraph' does not work here for "
            "test_failure_after_the_proof_warns_once_and_the_plain_function_takes_over.<locals>.<lambda>, and the "
            "plain path takes over. RuntimeError: no such thing here"
        ]
    ]


@pytest.mark.usefixtures("recorded")
def test_model_with_recordings_can_be_copied() -> None:
    """As hosts do when they export: what was recorded reads the first model's weights, and stays with it."""
    runner = build("cudagraph")
    runner.learn(2)
    copied = copy.deepcopy(runner.alg.model)
    for parameter in copied.head.flow.parameters():
        parameter.data.zero_()
    context = torch.randn(32, 2)
    torch.manual_seed(0)
    noise = torch.randn(32, 2)
    torch.manual_seed(0)
    for _ in range(3):
        torch.manual_seed(0)
        torch.testing.assert_close(copied.flow_policy.sample(context), noise)
    assert (runner.alg.model.flow_policy.sample(context) - noise).abs().max() > 0.0

# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Tests of the policy's head: flow, residual and the settings of inference."""

from __future__ import annotations

import copy
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rsl_dpcppo.algorithms.dpcppo.head import ResidualHead, residual_width
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.flow.velocity import VelocityField

CONTEXT_DIM, NUM_ACTIONS = 5, 3


def make_head(
    policy: str = "flow_residual", noise: str = "zero", solver: str = "euler", steps: int = 4
) -> ResidualHead:
    """Return a head with weights that are always the same."""
    torch.manual_seed(0)
    velocity = VelocityField(CONTEXT_DIM, NUM_ACTIONS, [16, 8], nn.ELU())
    residual = nn.Sequential(nn.Linear(CONTEXT_DIM + NUM_ACTIONS, 16), nn.Tanh(), nn.Linear(16, NUM_ACTIONS))
    return ResidualHead(
        velocity, residual, flow_steps=steps, flow_solver=solver, inference_policy=policy, inference_noise=noise
    )


def make_context(batch_size: int = 6, seed: int = 1) -> Tensor:
    return torch.randn(batch_size, CONTEXT_DIM, generator=torch.Generator().manual_seed(seed))


def solve_flow(head: ResidualHead, noise: Tensor, context: Tensor) -> Tensor:
    """Solve the flow's equation step by step, from the weights of the head."""
    field, steps, action = head.flow.velocity, head.flow.num_steps, noise

    def velocity(point: Tensor, time: float) -> Tensor:
        inputs = torch.cat((context, point, torch.full((len(point), 1), time)), dim=-1)
        return field.trunk(field.input_layer(inputs))

    for step in range(steps):
        slope = velocity(action, step / steps)
        if head.flow.solver == "midpoint":
            slope = velocity(action + 0.5 / steps * slope, (step + 0.5) / steps)
        action = action + slope / steps
    return action


def add_residual(head: ResidualHead, base_action: Tensor, context: Tensor) -> Tensor:
    """Return a0 + mu(a0, s), where the residual's network takes [s, a0]."""
    return base_action + head.residual(torch.cat((context, base_action), dim=-1))


# What acts.


@pytest.mark.parametrize("solver", ["euler", "midpoint"])
def test_flow_residual_is_the_flow_then_the_residual(solver: str) -> None:
    head, context = make_head("flow_residual", "zero", solver), make_context()
    base_action = solve_flow(head, torch.zeros(6, NUM_ACTIONS), context)
    expected = add_residual(head, base_action, context)
    torch.testing.assert_close(head(context), expected)
    assert (expected - base_action).abs().min() > 1e-4


@pytest.mark.parametrize("solver", ["euler", "midpoint"])
def test_flow_alone_skips_the_residual(solver: str) -> None:
    head, context = make_head("flow", "zero", solver), make_context()
    torch.testing.assert_close(head(context), solve_flow(head, torch.zeros(6, NUM_ACTIONS), context))


def test_midpoint_and_euler_differ() -> None:
    context = make_context()
    assert (make_head(solver="euler")(context) - make_head(solver="midpoint")(context)).abs().max() > 1e-5


@pytest.mark.parametrize("policy", ["flow", "flow_residual"])
def test_act_starts_from_the_given_noise(policy: str) -> None:
    head, context = make_head(policy, "random"), make_context()
    noise = torch.randn(6, NUM_ACTIONS)
    base_action = solve_flow(head, noise, context)
    expected = add_residual(head, base_action, context) if policy == "flow_residual" else base_action
    torch.testing.assert_close(head.act(noise, context), expected)


@pytest.mark.parametrize("batch_shape", [(6,), (4, 6)])
def test_kernel_mean_is_base_action_plus_residual(batch_shape: tuple[int, ...]) -> None:
    head = make_head("flow")
    base_action, context = torch.randn(*batch_shape, NUM_ACTIONS), torch.randn(*batch_shape, CONTEXT_DIM)
    torch.testing.assert_close(head.kernel_mean(base_action, context), add_residual(head, base_action, context))


# Noise settings.


@pytest.mark.parametrize("noise", ["zero", "0", "7", "123456"])
def test_fixed_noise_makes_the_action_a_function_of_the_observation(noise: str) -> None:
    """The same in any row, batch, call and process, whatever random numbers were drawn before."""
    head, context = make_head(noise=noise), make_context()
    first = head(context)
    torch.manual_seed(99)
    torch.testing.assert_close(head(context), first, rtol=0.0, atol=0.0)
    torch.testing.assert_close(make_head(noise=noise)(context), first, rtol=0.0, atol=0.0)
    torch.testing.assert_close(head(context.flip(0)).flip(0), first)
    torch.testing.assert_close(head(context[2:3]), first[2:3])
    same = head(context[:1].expand(6, CONTEXT_DIM))
    torch.testing.assert_close(same, same[:1].expand(6, NUM_ACTIONS))


def test_fixed_noise_leaves_the_global_random_state_alone() -> None:
    head = make_head(noise="zero")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    head.set_inference("flow_residual", "7")
    head(make_context())
    torch.testing.assert_close(torch.rand(3), expected, rtol=0.0, atol=0.0)


def test_other_seeds_act_differently() -> None:
    context = make_context()
    actions = [make_head(noise=noise)(context) for noise in ("zero", "0", "1", "2")]
    for i, first in enumerate(actions):
        for second in actions[i + 1 :]:
            assert (first - second).abs().max() > 1e-3


@pytest.mark.parametrize("policy", ["flow", "flow_residual"])
def test_a_seed_fixes_a_draw_of_standard_normal_noise(policy: str) -> None:
    context = make_context(1)
    head = make_head(policy)
    noises = []
    for seed in range(400):
        head.set_inference(policy, str(seed))
        noises.append(head.fixed_noise.clone())
        if seed < 3:
            torch.testing.assert_close(head(context), head.act(noises[-1][None], context))
    drawn = torch.stack(noises)
    assert drawn.mean().item() == pytest.approx(0.0, abs=5.0 / (400 * NUM_ACTIONS) ** 0.5)
    assert drawn.std().item() == pytest.approx(1.0, abs=5.0 / (2 * 400 * NUM_ACTIONS) ** 0.5)


def test_zero_after_a_seed_is_zero_again() -> None:
    head, context = make_head(noise="zero"), make_context()
    before = head(context)
    head.set_inference("flow_residual", "7")
    assert (head(context) - before).abs().max() > 1e-3
    head.set_inference("flow_residual", "zero")
    torch.testing.assert_close(head(context), before, rtol=0.0, atol=0.0)


def test_random_noise_is_drawn_anew_for_each_state_and_call() -> None:
    head = make_head(noise="random")
    context = make_context(1).expand(6, CONTEXT_DIM)
    first, second = head(context), head(context)
    assert (first - second).abs().min() > 0.0
    assert (first[1:] - first[0]).abs().min() > 0.0


def test_random_noise_is_standard_normal() -> None:
    """Seen through a flow that stands still, whose action is the noise."""
    head = make_head("flow", "random")
    for parameter in head.flow.parameters():
        nn.init.zeros_(parameter)
    torch.manual_seed(0)
    noise = head(make_context(40_000))
    torch.testing.assert_close(noise.mean(dim=0), torch.zeros(NUM_ACTIONS), rtol=0.0, atol=0.025)
    torch.testing.assert_close(torch.cov(noise.T), torch.eye(NUM_ACTIONS), rtol=0.0, atol=0.04)


# What the residual sees of the base action.


@pytest.mark.parametrize("frequencies", [0, 1, 3])
def test_features_are_the_base_action_and_its_octaves(frequencies: int) -> None:
    head = make_frequency_head(frequencies)
    base_action = torch.randn(4, NUM_ACTIONS)
    features = head.features(base_action)
    a0 = base_action.numpy()
    phases = [a0[:, [i]] * 2.0**j for i in range(NUM_ACTIONS) for j in range(frequencies)]
    expected = np.concatenate([a0, *(np.sin(p) for p in phases), *(np.cos(p) for p in phases)], axis=1)
    assert features.shape == (4, residual_width(NUM_ACTIONS, frequencies))
    np.testing.assert_allclose(features.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("frequencies", [0, 2])
def test_kernel_with_frequencies_starts_at_the_base_action(frequencies: int) -> None:
    head = make_frequency_head(frequencies)
    base_action = torch.randn(6, NUM_ACTIONS)
    assert torch.equal(head.kernel_mean(base_action, make_context()), base_action) == (frequencies > 0)


def make_frequency_head(frequencies: int) -> ResidualHead:
    velocity = VelocityField(CONTEXT_DIM, NUM_ACTIONS, [8], nn.ELU())
    residual = nn.Sequential(
        nn.Linear(CONTEXT_DIM + residual_width(NUM_ACTIONS, frequencies), 8), nn.ELU(), nn.Linear(8, NUM_ACTIONS)
    )
    return ResidualHead(
        velocity,
        residual,
        flow_steps=2,
        flow_solver="euler",
        residual_frequencies=frequencies,
        inference_policy="flow_residual",
        inference_noise="zero",
    )


# The head as a module.


def test_flow_weights_are_frozen_and_the_residual_learns() -> None:
    head = make_head()
    assert not any(parameter.requires_grad for parameter in head.flow.parameters())
    head(make_context()).sum().backward()
    assert all(parameter.grad is None for parameter in head.flow.parameters())
    assert all(parameter.grad is not None for parameter in head.residual.parameters())


def test_checkpoint_holds_the_weights_and_no_noise() -> None:
    trained = make_head(noise="7")
    assert set(trained.state_dict()) == {name for name, _ in trained.named_parameters()}
    played = make_head(noise="zero")
    with torch.no_grad():
        for parameter in played.parameters():
            parameter.zero_()
    played.load_state_dict(trained.state_dict())
    context = make_context()
    torch.testing.assert_close(played(context), make_head(noise="zero")(context), rtol=0.0, atol=0.0)


def test_copy_acts_alike() -> None:
    """Exporters copy the head, with its settings."""
    head, context = make_head("flow", "7", "midpoint"), make_context()
    torch.testing.assert_close(copy.deepcopy(head)(context), head(context), rtol=0.0, atol=0.0)


def test_looks_like_a_network_over_the_context() -> None:
    """Isaac Lab's exporter makes its example input of this width."""
    head = make_head()
    assert head[0].in_features == CONTEXT_DIM
    assert head(torch.zeros(1, head[0].in_features)).shape == (1, NUM_ACTIONS)


SETTINGS = [*product(("flow", "flow_residual"), ("random", "zero", "7"), ("euler", "midpoint"), (1, 4))]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("policy", "noise", "solver", "steps"), SETTINGS)
def test_torchscript_acts_alike(policy: str, noise: str, solver: str, steps: int) -> None:
    head = make_head(policy, noise, solver, steps)
    scripted = torch.jit.script(head)
    for batch_size in (1, 6):
        context = make_context(batch_size)
        torch.manual_seed(3)
        expected = head(context)
        torch.manual_seed(3)
        torch.testing.assert_close(scripted(context), expected)


def test_iterating_a_head_ends() -> None:
    """It has one layer to offer to exporters; anything else would be another network."""
    assert len([*make_head()]) == 1
    with pytest.raises(IndexError):
        make_head()[1]


@pytest.mark.parametrize(("policy", "noise"), [("residual", "zero"), ("flow", "gauss"), ("flow", "-1")])
def test_wrong_inference_settings_are_refused(policy: str, noise: str) -> None:
    with pytest.raises(ConfigError):
        make_head().set_inference(policy, noise)

# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Tests of the velocity field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import nn

from rsl_dpcppo.flow.solver import FlowSolver
from rsl_dpcppo.flow.velocity import VelocityField

CONTEXT_DIM, NUM_ACTIONS = 5, 3


def make_field(hidden_dims: list[int], context_dims: Sequence[int] = ()) -> VelocityField:
    torch.manual_seed(0)
    return VelocityField(CONTEXT_DIM, NUM_ACTIONS, hidden_dims, nn.ELU(), context_dims=list(context_dims))


def numpy_layer(layer: nn.Linear, x: np.ndarray) -> np.ndarray:
    return x @ layer.weight.detach().double().numpy().T + layer.bias.detach().double().numpy()


def numpy_elu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0.0, x, np.exp(np.minimum(x, 0.0)) - 1.0)


def linear_layers(module: nn.Module) -> list[nn.Linear]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Linear)]


def numpy_mlp(field: VelocityField, inputs: np.ndarray) -> np.ndarray:
    """Return what one multi-layer perceptron with the field's weights makes of the inputs [s, a, t]."""
    layers = [field.input_layer, *linear_layers(field.trunk)]
    x = inputs.astype(np.float64)
    for layer in layers:
        x = numpy_layer(layer, x)
        if layer is not layers[-1]:
            x = numpy_elu(x)
    return x


@pytest.mark.parametrize("hidden_dims", [[7], [8, 6], [8, 4, 6]])
@pytest.mark.parametrize("batch", [1, 9])
def test_equals_one_mlp_over_the_concatenated_inputs(hidden_dims: list[int], batch: int) -> None:
    field = make_field(hidden_dims)
    context, action, time = torch.randn(batch, CONTEXT_DIM), torch.randn(batch, NUM_ACTIONS), torch.rand(batch, 1)

    velocity = field(action, time, field.embed(context))

    expected = numpy_mlp(field, torch.cat((context, action, time), dim=-1).numpy())
    assert velocity.shape == (batch, NUM_ACTIONS)
    np.testing.assert_allclose(velocity.detach().numpy(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("context_dims", [[7], [6, 4]])
def test_layers_over_the_context_come_before_action_and_time(context_dims: list[int]) -> None:
    field = make_field([8, 6], context_dims)
    context, action, time = torch.randn(9, CONTEXT_DIM), torch.randn(9, NUM_ACTIONS), torch.rand(9, 1)

    velocity = field(action, time, field.embed(context))

    features = context.double().numpy()
    for layer in linear_layers(field.context_layers):
        features = numpy_elu(numpy_layer(layer, features))
    assert features.shape == (9, context_dims[-1])
    expected = numpy_mlp(field, np.concatenate((features, action.numpy(), time.numpy()), axis=-1))
    np.testing.assert_allclose(velocity.detach().numpy(), expected, rtol=1e-4, atol=1e-6)


def test_layers_over_the_context_run_once_whatever_the_number_of_steps() -> None:
    field = make_field([8], [7, 6])
    calls: list[str] = []
    for name, layer in field.named_modules():
        if isinstance(layer, nn.Linear):
            layer.register_forward_hook(lambda *_, name=name: calls.append(name))

    FlowSolver(field, num_steps=16)(torch.randn(3, NUM_ACTIONS), torch.randn(3, CONTEXT_DIM))

    assert Counter(calls) == {"context_layers.0": 1, "context_layers.2": 1, "trunk.1": 16}


@pytest.mark.parametrize("time_shape", [(1,), (1, 1), ()])
def test_one_time_serves_the_whole_batch(time_shape: tuple[int, ...]) -> None:
    field = make_field([8, 6])
    context, action = torch.randn(6, CONTEXT_DIM), torch.randn(6, NUM_ACTIONS)

    velocity = field(action, torch.full(time_shape, 0.3), field.embed(context))

    inputs = np.concatenate((context.numpy(), action.numpy(), np.full((6, 1), 0.3)), axis=-1)
    np.testing.assert_allclose(velocity.detach().numpy(), numpy_mlp(field, inputs), rtol=1e-4, atol=1e-6)


def test_first_layer_is_initialised_as_one_layer_over_all_inputs() -> None:
    """PyTorch's bound is 1/sqrt(inputs), of all inputs together; split layers would start out larger."""
    torch.manual_seed(0)
    field = VelocityField(60, 3, [4096], nn.ELU())
    bound = 1.0 / np.sqrt(60 + 3 + 1)
    weight = field.input_layer.weight.detach()
    for columns in (weight[:, :60], weight[:, 60:63], weight[:, 63:], field.input_layer.bias.detach()[:, None]):
        assert columns.abs().max() <= bound
        assert columns.abs().max() > 0.99 * bound


def test_gradient_reaches_every_weight_of_the_split_layer() -> None:
    """The gradient of the split first layer is that of one layer: checked against finite differences in NumPy."""
    field = make_field([6]).double()
    context, action = torch.randn(4, CONTEXT_DIM).double(), torch.randn(4, NUM_ACTIONS).double()
    time = torch.rand(4, 1).double()
    field(action, time, field.embed(context)).sum().backward()

    inputs = torch.cat((context, action, time), dim=-1).numpy()
    gradient = field.input_layer.weight.grad
    assert gradient is not None
    for column in (0, CONTEXT_DIM - 1, CONTEXT_DIM, CONTEXT_DIM + NUM_ACTIONS - 1, CONTEXT_DIM + NUM_ACTIONS):
        step, sums = 1e-6, []
        for sign in (1.0, -1.0):
            with torch.no_grad():
                field.input_layer.weight[2, column] += sign * step
                sums.append(numpy_mlp(field, inputs).sum())
                field.input_layer.weight[2, column] -= sign * step
        assert gradient[2, column].item() == pytest.approx((sums[0] - sums[1]) / (2.0 * step), rel=1e-5, abs=1e-8)


def test_frequencies_of_the_time_are_geometric_and_travel_with_the_weights() -> None:
    """A checkpoint of 0.1.0 has none, and was trained with 1 to 1,000 radians."""

    def make(first: float, last: float) -> VelocityField:
        return VelocityField(CONTEXT_DIM, NUM_ACTIONS, [8], nn.ELU(), time_features=8, frequencies=(first, last))

    field = make(1.0, 8.0)
    assert field.frequencies.tolist() == pytest.approx([1.0, 2.0, 4.0, 8.0])
    other = make(1.0, 1e-4)
    other.load_state_dict(field.state_dict())
    assert other.frequencies.tolist() == pytest.approx([1.0, 2.0, 4.0, 8.0])
    older = {name: value for name, value in field.state_dict().items() if name != "frequencies"}
    other.load_state_dict(older)
    assert other.frequencies.tolist() == pytest.approx([1.0, 10.0, 100.0, 1000.0])
    assert "frequencies" not in make_field([8]).state_dict()

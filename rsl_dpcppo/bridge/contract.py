# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What the rest of the package asks of an RSL-RL generation. The modules :mod:`.v3` and :mod:`.v5` answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from tensordict import TensorDict
from torch import Tensor, nn

from rsl_dpcppo.learning.host import Host
from rsl_dpcppo.learning.off_policy import OffPolicyHost
from rsl_dpcppo.learning.policy import FlowPolicy


class FlowModel(Protocol):
    """A flow policy as a model of RSL-RL, a torch module."""

    policy_class: type[FlowPolicy]
    flow_policy: FlowPolicy
    is_recurrent: bool

    @property
    def normalizer(self) -> nn.Module:
        """The normaliser of the vector observations."""


class OffPolicyModels(OffPolicyHost, Protocol):
    """Policy and critics of an off-policy algorithm, both torch modules."""

    actor: Any
    critic: Any


class Generation(Protocol):
    """An RSL-RL generation."""

    MODEL_SECTION: str
    """What an agent's dictionary calls the section of the flow model."""

    STOCK_MODEL: str
    """RSL-RL's own model over vectors, in that section."""

    STOCK_PACKAGE: str
    """Where that model is."""

    STOCK_NETWORK: str
    """What that model calls the network that makes the mean action."""

    STOCK_NORMALIZER: str
    """What that model calls the normaliser before it."""

    TAKES_OFF_POLICY: bool
    """Whether its runner leaves building and saving to the algorithm, so that it need not be PPO."""

    def make_host(self, alg: Any) -> Host:
        """Return RSL-RL's PPO as a learner asks for it."""

    def find_model(self, alg: Any) -> FlowModel:
        """Return the flow model of RSL-RL's PPO, not compiled."""

    def model_names(self, stem: str, takes_every_encoder: bool) -> list[str]:
        """Return the names of an algorithm's public models, first that over vectors.

        Args:
            stem: What they begin with.
            takes_every_encoder: Whether there are models with memory and with images.
        """

    def model_class(self, name: str, stem: str, policy_class: type[FlowPolicy]) -> Any:
        """Return a public model.

        Args:
            name: One of :meth:`model_names`.
            stem: What they begin with.
            policy_class: The policy that it is to hold.
        """

    def make_off_policy_models(
        self, obs: TensorDict, num_actions: int, cfg: dict[str, Any], layer_norm: bool, device: str
    ) -> OffPolicyModels:
        """Build policy and twin critics from the sections of a runner's configuration.

        Args:
            obs: Observation groups. Batch size: [num_envs].
            num_actions: Width of an action.
            cfg: The runner's configuration.
            layer_norm: Whether the critics' layers are normalised.
            device: torch's device.

        Raises:
            ConfigError: If a field does not suit, or if this generation's runner has no place for them.
        """

    def to_rsl_rl(self, runner: dict[str, Any], is_gaussian: bool) -> dict[str, Any]:
        """Return an agent as the dictionary that RSL-RL's runner takes.

        Args:
            runner: A runner configuration as a dictionary, with "class_name" in "actor" and in "critic".
            is_gaussian: Whether the actor has a Gaussian, whose fields stand beside its others.
        """

    def collect_state(self, runner: Any) -> dict[str, Any]:
        """Return what RSL-RL saves of a runner's algorithm."""

    def restore_state(self, runner: Any, checkpoint: dict[str, Any], for_training: bool) -> None:
        """Load what :meth:`collect_state` returned; without the optimizers unless for training."""

    def train_mode(self, runner: Any) -> None:
        """Put the networks back into the mode that they train in, after they have played."""

    def unclamped_std(self, runner: Any) -> Tensor | None:
        """Return the standard deviation of the Gaussian, if it is a parameter that RSL-RL lets fall below zero."""

    def log_dir(self, runner: Any) -> str | None:
        """Return where a runner logs, if it does."""

    def writer(self, runner: Any) -> Any:
        """Return what a runner logs with, a SummaryWriter of TensorBoard's; None if it does not log."""

    def open_writer(self, runner: Any) -> None:
        """Open the logging service, if it is not open, and keep it open after learn until :meth:`close_writer`."""

    def close_writer(self, runner: Any) -> None:
        """Close what :meth:`open_writer` opened."""

    def log_owner(self, runner: Any) -> Any:
        """Return the object whose method ``log`` learn calls after each iteration."""

    def returns(self, runner: Any, arguments: tuple[Any, ...]) -> Sequence[float]:
        """Return the last episodes' returns, given the arguments of ``log``."""

    def upload_model(self, runner: Any, path: str) -> None:
        """Hand a written checkpoint to the logging service."""

    def policy_state(self, checkpoint: dict[str, Any]) -> dict[str, Tensor]:
        """Return the weights of the model with the policy."""

    def rebuild_model(self, kind: Any, fields: dict[str, Any], state: dict[str, Tensor], shape: tuple[int, int]) -> Any:
        """Build a model over vectors without its environment.

        Args:
            kind: Its class.
            fields: Its section of the agent's dictionary, without the class's name.
            state: Its weights.
            shape: Numbers of an observation and of an action.
        """

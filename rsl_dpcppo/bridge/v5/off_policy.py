# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Policy and critics of an off-policy algorithm from the sections of RSL-RL 5.x's configuration."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import torch
from rsl_rl.models import MLPModel
from rsl_rl.modules import EmpiricalNormalization
from rsl_rl.utils import resolve_callable, resolve_obs_groups
from tensordict import TensorDict
from torch import Tensor, nn

from rsl_dpcppo.bridge.models import split_fields
from rsl_dpcppo.config.off_policy import OffPolicyCriticCfg
from rsl_dpcppo.errors import ConfigError, check_fields
from rsl_dpcppo.learning.critics import TwinCritics


class CriticModel(nn.Module):
    """Twin critics, their averages, and a normaliser of what they see."""

    def __init__(
        self, groups: list[str], sizes: tuple[int, int], cfg: OffPolicyCriticCfg, layer_norm: bool, normalizes: bool
    ) -> None:
        """Build the networks.

        Args:
            groups: Names of the observation groups that they see.
            sizes: Width of these together, and of an action.
            cfg: Their widths and activation.
            layer_norm: Whether their layers are normalised.
            normalizes: Whether they have a normaliser of their own.
        """
        super().__init__()
        self.groups = groups
        self.normalizer = EmpiricalNormalization(sizes[0]) if normalizes else nn.Identity()
        self.critics = TwinCritics(*sizes, cfg.hidden_dims, cfg.activation, layer_norm)
        self.targets = copy.deepcopy(self.critics).requires_grad_(False)

    def joined(self, observations: TensorDict) -> Tensor:
        """Return the groups side by side. Shape: [batch, context_dim]."""
        return torch.cat([observations[name] for name in self.groups], dim=-1)


class OffPolicyModels:
    """Policy and critics as a learner asks for them."""

    def __init__(self, actor: Any, critic: CriticModel, observations: TensorDict, device: str) -> None:
        """Take the models, and the observations for their shapes."""
        self.actor, self.critic, self.observations = actor, critic, observations
        self.device = torch.empty(0, device=device).device
        self._sees_the_same = actor.obs_groups == critic.groups

    @property
    def policy(self) -> Any:
        """The policy in the actor."""
        return self.actor.flow_policy

    @property
    def critics(self) -> TwinCritics:
        """Q1 and Q2."""
        return self.critic.critics

    @property
    def targets(self) -> TwinCritics:
        """Their averages."""
        return self.critic.targets

    def networks(self) -> tuple[nn.Module, ...]:
        """Return actor and critic."""
        return self.actor, self.critic

    def context(self, observations: TensorDict) -> Tensor:
        """Return s, what the policy sees of the observations. Shape: [batch, context_dim]."""
        return self.actor.context(observations)

    def critic_context(self, observations: TensorDict) -> Tensor:
        """Return what the critics see: the policy's context where both have the same groups."""
        if self._sees_the_same:
            return self.actor.context(observations)
        return self.critic.normalizer(self.critic.joined(observations))

    def update_normalizers(self, observations: TensorDict) -> None:
        """Update the observation statistics. Batch size: [batch]."""
        self.actor.update_normalizers(observations)
        if isinstance(self.critic.normalizer, EmpiricalNormalization):
            self.critic.normalizer.update(self.critic.joined(observations))


def make_off_policy_models(
    obs: TensorDict, num_actions: int, cfg: dict[str, Any], layer_norm: bool, device: str
) -> OffPolicyModels:
    """Build policy and critics; see :class:`~rsl_dpcppo.bridge.contract.Generation`."""
    actor_cfg, critic_cfg = dict(cfg["actor"]), dict(cfg["critic"])
    actor_class, critic_class = resolve_callable(actor_cfg.pop("class_name")), critic_cfg.pop("class_name", "MLPModel")
    if critic_class not in ("MLPModel", "rsl_rl.models.MLPModel", "rsl_rl.models:MLPModel", MLPModel):
        raise ConfigError(f"critic.class_name is {critic_class!r}; twin critics see vectors: it must be 'MLPModel'.")
    known = {*inspect.signature(MLPModel.__init__).parameters, *OffPolicyCriticCfg.__dataclass_fields__}
    # mjlab has one class of configuration for all models.
    unused = ("cnn_cfg", "rnn_type", "rnn_hidden_dim", "rnn_num_layers")
    check_fields("The critic", critic_cfg, {*known, *unused})
    critic_fields, _ = split_fields(OffPolicyCriticCfg, critic_cfg)
    cfg["obs_groups"] = resolve_obs_groups(obs, cfg["obs_groups"], ["actor", "critic"])

    actor = actor_class(obs, cfg["obs_groups"], "actor", num_actions, **actor_cfg)
    groups = list(cfg["obs_groups"]["critic"])
    for name in groups:
        if obs[name].dim() != 2:
            raise ConfigError(
                f"Observation group '{name}' has shape {list(obs[name].shape)}; twin critics see vectors."
            )
    same = groups == list(actor.obs_groups)
    size = sum(obs[name].shape[-1] for name in groups)
    normalizes = critic_fields.obs_normalization and not same
    critic = CriticModel(groups, (size, num_actions), critic_fields, layer_norm, normalizes)
    actor.obs_groups = list(actor.obs_groups)
    if hasattr(actor, "flow_policy"):
        actor.flow_policy.choose_by(critic.critics if same else None)
    print(f"Actor Model: {actor}\nCritic Model: {critic}")
    seen = obs.select(*dict.fromkeys((*actor.obs_groups, *groups)))
    return OffPolicyModels(actor.to(device), critic.to(device), seen, device)

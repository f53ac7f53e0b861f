# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Any EnvPool environment with continuous actions and flat observations as RSL-RL's vectorised environment.

EnvPool 1.2 draws with OpenGL from C++ and ends the process where there is no context, so nothing is filmed here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from rsl_dpcppo.config import check_int
from rsl_dpcppo.errors import ConfigError, check_fields
from rsl_dpcppo.tasks.box_space import ActionBox, BoxVecEnv, check_spaces
from rsl_dpcppo.tasks.envpool.names import check_installed, check_name

NO_LIMIT = 2**31 - 1
"""Time limit that EnvPool never reaches. An id that is registered without one has it, too."""

_OWN_FIELDS = ("num_envs", "batch_size", "num_threads", "seed", "env_seed", "max_episode_steps", "max_num_players")
"""Arguments of EnvPool that the adapter sets, and that are no business of env.kwargs."""


@dataclass
class EnvPoolEnvCfg:
    """How an EnvPool environment is run."""

    max_num_envs: int = 256
    """Largest number of environments that is not taken for a mistake. One of DeepMind's suite takes 12 MB and 0.1 s to
    start, one of Gymnasium's MuJoCo tasks 1 MB: raise this where there is memory."""

    num_threads: int = 0
    """Threads that step the environments; 0 is EnvPool's choice, the number of cores."""

    max_episode_steps: int = 0
    """Steps after which an episode times out; 0 takes the registered limit."""

    kwargs: dict[str, Any] = field(default_factory=dict)
    """Arguments of the environment, which envpool.make takes."""

    def __post_init__(self) -> None:
        """Check types and ranges.

        Raises:
            ConfigError: Names the field, its value and what would be right.
        """
        check_int("max_num_envs", self.max_num_envs, minimum=1)
        check_int("num_threads", self.num_threads, minimum=0)
        check_int("max_episode_steps", self.max_episode_steps, minimum=0)
        if not isinstance(self.kwargs, dict):
            raise ConfigError(f"kwargs is {self.kwargs!r}; it must be a dictionary.")


class EnvPoolEnv(BoxVecEnv):
    """EnvPool's environments.

    The ports of DeepMind's suite observe dictionaries. Their entries are put one after the other in EnvPool's order,
    which is DeepMind's: position, to_target, velocity for the reacher.
    """

    def __init__(
        self, env_id: str, num_envs: int, device: str = "cpu", seed: int = 0, cfg: EnvPoolEnvCfg | None = None
    ) -> None:
        """Make the environments and start the first episodes.

        Args:
            env_id: Name that EnvPool knows.
            num_envs: Number of environments.
            device: Device that the policy lives on. The simulators are on the CPU.
            seed: Seed of all environments.
            cfg: How they are run.

        Raises:
            ConfigError: If there is no such environment, if its spaces do not suit, if it has no time limit, or if so
                many are not wanted.
        """
        cfg = cfg or EnvPoolEnvCfg()
        check_int("num_envs", num_envs, minimum=1)
        check_installed()
        check_name(env_id)
        import envpool

        if num_envs > cfg.max_num_envs:
            raise ConfigError(
                f"num_envs is {num_envs}, more than env.max_num_envs={cfg.max_num_envs}. Each takes about 12 MB in "
                f"DeepMind's suite, {num_envs * 12 / 1000:.1f} GB in all, and 1 MB in Gymnasium's tasks. Where there "
                f"is memory, set env.max_num_envs={num_envs}."
            )
        registered = envpool.make_spec(env_id).config
        check_fields(f"env.kwargs of '{env_id}'", cfg.kwargs, set(registered._fields) - set(_OWN_FIELDS))
        spec = envpool.make_spec(env_id, **cfg.kwargs)
        check_spaces(env_id, spec.observation_space, spec.action_space)
        max_episode_steps = cfg.max_episode_steps or registered.max_episode_steps
        if max_episode_steps >= NO_LIMIT:
            raise ConfigError(
                f"'{env_id}' is registered without a time limit, and RSL-RL needs one: set env.max_episode_steps."
            )

        self._env_id = env_id
        self._make_args = {**cfg.kwargs, "num_threads": cfg.num_threads, "max_episode_steps": NO_LIMIT}
        fields = {**asdict(cfg), "max_episode_steps": max_episode_steps}
        about = {"num_envs": num_envs, "device": str(device), "seed": seed, "envpool": envpool.__version__}
        super().__init__(
            {"task": env_id, **about, **fields},
            sum(int(np.prod(space.shape)) for space in _arrays(spec.observation_space)),
            ActionBox(spec.action_space),
            max_episode_steps,
            1.0,  # EnvPool does not tell the seconds of a step
            device,
        )

    def close(self) -> None:
        """Close the environments."""
        self._pool.close()

    def _start(self, seeds: list[int] | None) -> np.ndarray:
        if seeds is not None:
            import envpool

            # EnvPool takes seeds only where it makes environments.
            self._pool = envpool.make(
                self._env_id, env_type="gymnasium", num_envs=self.num_envs, seed=seeds, **self._make_args
            )
        return _flatten(self._pool.reset()[0])

    def _restart(self, ended: np.ndarray) -> np.ndarray:
        # Left alone, EnvPool would start the new episode in the next step, ignore that step's action and return a
        # reward of 0 for it: a transition that is none. Asked to, it starts at once, and the next step is a real one.
        return _flatten(self._pool.reset(np.flatnonzero(ended).astype(np.int32))[0])

    def _advance(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        observations, rewards, terminated, truncated, _ = self._pool.step(actions)
        return _flatten(observations), rewards, terminated, truncated


def task_ids() -> list[str]:
    """Return the ids with continuous actions and flat observations.

    Those of MuJoCo all are. Of the others only the smallest families are asked, because to ask all takes many seconds.

    Raises:
        ConfigError: If EnvPool is not installed.
    """
    check_installed()
    import envpool
    from envpool.registration import registry

    names = []
    for name, (module, _, _) in registry.specs.items():
        if module in ("envpool.box2d", "envpool.classic_control", "envpool.highway"):
            spec = envpool.make_spec(name)
            try:
                check_spaces(name, spec.observation_space, spec.action_space)
            except ConfigError:
                continue
        elif not module.startswith("envpool.mujoco."):
            continue
        names.append(name)
    return names


def _flatten(observations: Any) -> np.ndarray:
    """Put the entries of EnvPool's observations side by side. Shape is [number of environments, numbers in each]."""
    return np.concatenate([array.reshape(len(array), -1) for array in _arrays(observations)], axis=1)


def _arrays(tree: Any) -> Iterator[Any]:
    """Yield the entries of nested mappings: arrays, or the boxes that describe them."""
    if isinstance(tree, Mapping):
        for entry in tree.values():
            yield from _arrays(entry)
    else:
        yield tree

# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""A task of MuJoCo Playground as an environment of RSL-RL.

Physics, episode ends and resets are one compiled JAX program; torch and JAX hand each other tensors on the device.
JAX and Playground are imported where they are first needed, so that this module can be read without them.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict
from torch import Tensor

from rsl_dpcppo.config import check_choice, check_int
from rsl_dpcppo.errors import ConfigError, did_you_mean
from rsl_dpcppo.tasks.playground.install import (
    check_installed,
    enable_cache,
    jax_device,
    pick_impl,
    prepare,
    versions,
)

__all__ = ["PlaygroundEnv", "PlaygroundEnvCfg", "check_installed", "film", "task_names"]


@dataclass
class PlaygroundEnvCfg:
    """What can be chosen of an environment, beside its task and size."""

    impl: str = "auto"
    """Implementation of MuJoCo's physics: "jax", "warp" (needs warp-lang), or "auto": jax on a CPU, where it is faster,
    and on a GPU warp if it is installed, which is Playground's default."""

    episode_length: int = 0
    """Control steps after which an episode times out; 0 keeps the task's own, 1,000 for most."""

    def __post_init__(self) -> None:
        """Check types and ranges.

        Raises:
            ConfigError: Names the field, its value and what would be right.
        """
        check_choice("impl", self.impl, ("auto", "jax", "warp"))
        check_int("episode_length", self.episode_length, minimum=0)


class _Batch(NamedTuple):
    """What the compiled program keeps from step to step: arrays and trees of arrays of JAX."""

    state: Any
    """Playground's State of the environments. Leaves are [num_envs, ...]."""

    fresh: Any
    """Initial states for the next episodes, drawn in one go for speed. Leaves are [num_envs, ...]."""

    num_used: Any
    """How many of the fresh states were handed out."""

    key: Any
    """Key of the random numbers to come."""


class _Result(NamedTuple):
    """What a step of the compiled program tells: arrays of JAX."""

    obs: dict[str, Any]
    """Observation groups, float32, [num_envs, size]. Those of the new episode where one ended."""

    rewards: Any
    """Float32, [num_envs]."""

    terminated: Any
    """Whether the task ended the episode. Boolean, [num_envs]."""

    time_outs: Any
    """Whether the episode ended by its length alone. Boolean, [num_envs]."""

    metrics: Any
    """The task's metrics in the order of their names, means over the environments. [num_metrics]."""


def task_names() -> list[str]:
    """Return the names of all tasks of Playground's registry. None is loaded.

    Raises:
        ConfigError: If Playground is missing or not supported.
    """
    prepare()
    from mujoco_playground import dm_control_suite, locomotion, manipulation

    return [name for suite in (dm_control_suite, locomotion, manipulation) for name in suite.ALL_ENVS]


def _load(name: str, cfg: PlaygroundEnvCfg, device: str) -> tuple[Any, Any]:
    """Load a task of Playground.

    Returns:
        The task and its configuration.

    Raises:
        ConfigError: If there is no such task, or its models can not be downloaded.
    """
    names = task_names()
    if name not in names:
        raise ConfigError(
            f"MuJoCo Playground has no task '{name}'.{did_you_mean(name, names)} Its tasks: {', '.join(names)}."
        )
    from mujoco_playground import dm_control_suite, registry

    config = registry.get_default_config(name)
    if "impl" in config:
        config.impl = pick_impl(cfg.impl, device)
    config.episode_length = cfg.episode_length or config.episode_length
    try:
        return registry.load(name, config=config), config
    except (OSError, subprocess.CalledProcessError) as error:
        if name in dm_control_suite.ALL_ENVS:  # these come with the package
            raise
        raise ConfigError(
            f"Task '{name}' needs robot models that are not part of Playground: it clones "
            "github.com/deepmind/mujoco_menagerie into its own folder when such a task is first loaded, and that "
            f"failed ({error}). Run it once where git, the network and write access to the folder are at hand."
        ) from None


def _group(obs: Any) -> dict[str, Any]:
    """Name the observation groups as RSL-RL's agents expect them.

    Args:
        obs: Observation of a batch as Playground returns it: one array or a dictionary of arrays.

    Returns:
        Group "policy" for a single array and for "state", groups of their own names for the rest.

    Raises:
        ConfigError: If there is no "state", or an entry is not flat.
    """
    groups = {"policy" if name == "state" else name: x for name, x in obs.items()} if isinstance(obs, Mapping) else None
    groups = groups or {"policy": obs}
    shapes = {name: getattr(x, "shape", None) for name, x in groups.items()}
    if "policy" not in groups or any(shape is None or len(shape) != 2 for shape in shapes.values()):
        raise ConfigError(
            f"The task's observations are {shapes}; only flat ones, [num_envs, size], are supported, "
            "of which one is alone or called 'state'."
        )
    return groups


def _make_program(task: Any, num_envs: int, max_episode_length: int, action_repeat: int) -> tuple[Any, Any, list[str]]:
    """Build the functions that JAX compiles.

    Args:
        task: Task of Playground.
        num_envs: Number of environments.
        max_episode_length: Number of steps after which an episode times out.
        action_repeat: Control steps for which an action is held.

    Returns:
        ``begin(key) -> _Batch``, a batch without meaning that :func:`advance` has to restart;
        ``advance(batch, actions, lengths, restart) -> (_Batch, _Result)``, one step of all environments, where lengths
        are the steps of each episode including this one, or no step but new episodes where restart is True; and the
        names of the metrics.
    """
    import jax
    import jax.numpy as jnp

    reset, step = jax.vmap(task.reset), jax.vmap(task.step)
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.PRNGKey(0), num_envs))
    shapes = jax.eval_shape(reset, keys)
    _group(shapes.obs)
    # Types are those of a stepped state: a first one may hold others, as CheetahRun's time, a Python float, and the
    # program would be compiled twice.
    shapes = jax.eval_shape(step, shapes, jax.ShapeDtypeStruct((num_envs, task.action_size), jnp.float32))

    def begin(key: Any) -> _Batch:
        state = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)
        return _Batch(state, jax.tree.map(jnp.copy, state), jnp.int32(num_envs), key)

    def physics(state: Any, actions: Any) -> Any:
        def once(state: Any, _: None) -> tuple[Any, Any]:
            state = step(state, actions)
            return state, state.reward

        state, rewards = jax.lax.scan(once, state.replace(done=jnp.zeros_like(state.done)), None, action_repeat)
        return state.replace(reward=rewards.sum(axis=0).astype(jnp.float32))

    def draw(batch: _Batch) -> _Batch:
        key, subkey = jax.random.split(batch.key)
        fresh = reset(jax.random.split(subkey, num_envs))
        return batch._replace(fresh=fresh, num_used=jnp.zeros_like(batch.num_used), key=key)

    def finite(x: Any) -> Any:
        return jnp.isfinite(x).reshape(num_envs, -1).all(axis=1)

    def advance(batch: _Batch, actions: Any, lengths: Any, restart: Any) -> tuple[_Batch, _Result]:
        state = jax.lax.cond(restart, lambda state: state, lambda state: physics(state, actions), batch.state)
        # Tasks end on NaN positions and velocities; infinite ones, and NaN elsewhere, would reach the networks.
        checked = [state.data.qpos, state.data.qvel, state.reward, *_group(state.obs).values()]
        terminated = (state.done > 0) | ~jnp.stack([finite(x) for x in checked]).all(axis=0)
        time_outs = (lengths >= max_episode_length) & ~terminated
        ended = terminated | time_outs | restart
        rewards = jnp.nan_to_num(state.reward, posinf=0.0, neginf=0.0)
        metrics = [jnp.nan_to_num(x, posinf=0.0, neginf=0.0).mean() for _, x in sorted(state.metrics.items())]

        # Each fresh state starts one episode. They are drawn num_envs at a time, when too few are left: a reset of a
        # few environments takes nearly as long as one of all (CheetahRun's alone simulates 200 steps), and at random
        # episode starts some environment ends in every other step.
        num_ended = ended.sum()
        batch = jax.lax.cond(batch.num_used + num_ended > num_envs, draw, lambda batch: batch, batch)
        places = jnp.clip(batch.num_used + jnp.cumsum(ended) - 1, 0, num_envs - 1)

        def begin_episode(new: Any, old: Any) -> Any:
            if old.ndim == 0 or old.shape[0] != num_envs:  # Warp's contacts, a pool of all environments
                return old
            return jnp.where(ended.reshape(-1, *[1] * (old.ndim - 1)), new[places], old)

        state = jax.lax.cond(
            num_ended > 0, lambda state: jax.tree.map(begin_episode, batch.fresh, state), lambda state: state, state
        )
        obs = {name: x.astype(jnp.float32) for name, x in _group(state.obs).items()}
        metrics = jnp.stack(metrics).astype(jnp.float32) if metrics else jnp.zeros(0)
        result = _Result(obs, rewards, terminated, time_outs, metrics)
        return batch._replace(state=state, num_used=batch.num_used + num_ended), result

    return begin, advance, sorted(shapes.metrics)


def _to_torch(array: Any) -> Tensor:
    """Return a JAX array as a tensor of its own.

    A copy, because JAX may hand the array out again or reuse its memory, and torch may write to the tensor. On a GPU
    no more is needed to keep the two libraries' streams in order: torch waits for JAX's step to take its results, and
    JAX for torch's work up to the actions to take those.
    """
    return torch.from_dlpack(array).clone()


def _to_jax(tensor: Tensor) -> Any:
    """Return a tensor as a JAX array on the same memory. Nobody may write to the tensor from here on."""
    import jax

    return jax.dlpack.from_dlpack(tensor)


class PlaygroundEnv(VecEnv):
    """A batch of environments of a task of MuJoCo Playground.

    Actions are clipped to [-1, 1]. A flat observation is group "policy"; of several, "state" is group "policy" and the
    others keep their names. Episodes end when the task says so, when a state is no longer finite, and by length; the
    next one starts from a state drawn anew. All random numbers are JAX's, of a key of the environment's own.
    """

    cfg: dict[str, Any]
    """Description of the environment in plain values, as the runner writes it next to the logs."""

    def __init__(
        self, name: str, num_envs: int, device: str = "cpu", seed: int = 0, cfg: PlaygroundEnvCfg | None = None
    ) -> None:
        """Load and compile the task, and start the first episodes.

        Args:
            name: Name of the task in Playground's registry.
            num_envs: Number of environments that run at the same time.
            device: torch's device, "cpu" or "cuda:N", which JAX uses too.
            seed: Seed of the initial states, and of what else the task draws.
            cfg: What else can be chosen.

        Raises:
            ConfigError: If Playground is missing, or an argument does not fit it or this machine.
        """
        check_int("num_envs", num_envs, minimum=1)
        cfg = cfg or PlaygroundEnvCfg()
        prepare()
        self._device = jax_device(device)
        self.task, config = _load(name, cfg, device)
        action_repeat = config.get("action_repeat", 1)
        self.num_envs = num_envs
        self.num_actions = self.task.action_size
        self.max_episode_length = -(-config.episode_length // action_repeat)
        self.step_dt = self.task.dt * action_repeat  # RSL-RL scales the intrinsic reward of RND by it
        self.device = device
        self.cfg = {
            "task": name,
            "num_envs": num_envs,
            "device": str(device),
            "seed": seed,
            **asdict(cfg),
            "impl": config.get("impl", "jax"),
            "episode_length": self.max_episode_length,
            "versions": versions(),
        }
        self._compile(seed, action_repeat)
        self.reset()

    @property
    def unwrapped(self) -> PlaygroundEnv:
        """The environment itself. Playground's is ``task``."""
        return self

    @property
    def state(self) -> Any:
        """Playground's State of all environments, valid until the next step. Leaves are [num_envs, ...]."""
        return self._batch.state

    def reset(self) -> tuple[TensorDict, dict[str, Any]]:
        """Start a new episode in every environment.

        Returns:
            The observations and an empty dictionary.
        """
        self.episode_length_buf = torch.zeros(self.num_envs, dtype=torch.long, device=self.device)
        actions = torch.zeros(self.num_envs, self.num_actions, device=self.device)
        self._advance(actions, self.episode_length_buf, self._restart)
        return self.get_observations(), {}

    def get_observations(self) -> TensorDict:
        """Return the current observations.

        Returns:
            Observation groups by name. Shape of each is [num_envs, size].
        """
        groups = {name: _to_torch(x) for name, x in self._obs.items()}
        return TensorDict(groups, batch_size=[self.num_envs], device=self.device)

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        """Step all environments and restart the episodes that end.

        Args:
            actions: Actions, clipped to [-1, 1]. Shape is [num_envs, num_actions].

        Returns:
            The observations after the step (those of the new episode where one ended), the rewards, the done flags
            (1 where an episode ended) and the extras. Shape of the rewards and of the flags is [num_envs]. The extras
            are "time_outs", which is True where an episode ended by its length alone, and "log", the task's metrics.
        """
        lengths = self.episode_length_buf + 1
        result = self._advance(actions, lengths, self._go_on)
        time_outs = _to_torch(result.time_outs)
        dones = _to_torch(result.terminated) | time_outs
        self.episode_length_buf = lengths.masked_fill(dones, 0)
        log = dict(zip(self._metric_names, _to_torch(result.metrics).unbind(), strict=True))
        extras = {"time_outs": time_outs, "log": log}
        return self.get_observations(), _to_torch(result.rewards), dones.long(), extras

    def close(self) -> None:
        """Do nothing. There is no simulator to shut down."""

    def _compile(self, seed: int, action_repeat: int) -> None:
        """Compile the program and set up its first batch."""
        import jax

        folder = enable_cache()
        name, put = self.cfg["task"], lambda x: jax.device_put(x, self._device)
        print(
            f"[INFO] Compiling {name} for {self.num_envs} environments "
            f"(10 s to 2 min the first time; cached in {folder})",
            flush=True,
        )
        start = time.perf_counter()
        with jax.default_device(self._device):
            begin, advance, metrics = _make_program(self.task, self.num_envs, self.max_episode_length, action_repeat)
            self._metric_names = [f"/{name}/{metric}" for metric in metrics]
            self._go_on, self._restart = put(np.bool_(False)), put(np.bool_(True))
            self._batch = jax.jit(begin)(put(jax.random.PRNGKey(seed)))
            inputs = (
                put(np.zeros((self.num_envs, self.num_actions), np.float32)),
                put(np.zeros(self.num_envs, np.int32)),
                self._restart,
            )
            # The batch is donated: its memory takes the next one, which saves a copy of all states in every step.
            self._program = jax.jit(advance, donate_argnums=0).lower(self._batch, *inputs).compile()
        print(f"[INFO] Compiled in {time.perf_counter() - start:.1f} s", flush=True)

    def _advance(self, actions: Tensor, lengths: Tensor, restart: Any) -> _Result:
        """Run the compiled program once. Shapes are [num_envs, num_actions] and [num_envs]."""
        # Both are new tensors, which nobody else holds and nobody writes to.
        actions = _to_jax(actions.detach().float().clamp(-1.0, 1.0).contiguous())
        self._batch, result = self._program(self._batch, actions, _to_jax(lengths.int()), restart)
        self._obs = result.obs
        return result


def film(
    name: str,
    cfg: PlaygroundEnvCfg,
    policy: Callable[[TensorDict], Tensor],
    num_steps: int,
    device: str,
    seed: int,
    size: tuple[int, int] = (480, 640),
) -> tuple[list[np.ndarray], float]:
    """Film one environment under a policy, from the model's first camera.

    Args:
        name: Name of the task.
        cfg: As for the environment.
        policy: Maps observations of a batch of 1 to actions. Shape of those is [1, num_actions].
        num_steps: Number of steps, and of frames. A new episode starts where one ends.
        device: torch's device.
        seed: Seed of the environment.
        size: Height and width of a frame in pixels.

    Returns:
        The frames, uint8 of shape [height, width, 3], and how many of them are one second.

    Raises:
        ConfigError: As for the environment, and if MuJoCo can not render on this machine.
    """
    check_int("num_steps", num_steps, minimum=1)
    _check_rendering()
    import mujoco

    env = PlaygroundEnv(name, num_envs=1, device=device, seed=seed, cfg=cfg)
    model = env.task.mj_model
    height, width = size
    model.vis.global_.offheight = max(model.vis.global_.offheight, height)
    model.vis.global_.offwidth = max(model.vis.global_.offwidth, width)
    frames, data, obs = [], mujoco.MjData(model), env.get_observations()
    with mujoco.Renderer(model, height, width) as renderer, torch.inference_mode():
        for _ in range(num_steps):
            for field in ("qpos", "qvel", "mocap_pos", "mocap_quat"):
                getattr(data, field)[:] = np.asarray(getattr(env.state.data, field))[0]
            mujoco.mj_forward(model, data)
            renderer.update_scene(data, camera=0 if model.ncam else -1)
            frames.append(renderer.render())
            obs, *_ = env.step(policy(obs))
    return frames, 1.0 / env.step_dt


def _check_rendering() -> None:
    """Render an empty world, to fail before a task is compiled and with one message for every OpenGL library.

    Raises:
        ConfigError: Says what to install.
    """
    prepare()
    try:
        import mujoco

        with mujoco.Renderer(mujoco.MjModel.from_xml_string("<mujoco/>"), 8, 8) as renderer:
            renderer.render()
    except Exception as error:
        raise ConfigError(
            f"MuJoCo can not render on this machine ({error}). With no display, install EGL (apt-get install libegl1 "
            "libgl1) and set MUJOCO_GL=egl, or OSMesa (apt-get install libosmesa6) and set MUJOCO_GL=osmesa, before "
            "MuJoCo is imported."
        ) from None

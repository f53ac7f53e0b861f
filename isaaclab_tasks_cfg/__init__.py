# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Agents with flow policies for Isaac Lab's tasks.

:func:`register` gives every task that has an RSL-RL PPO configuration an agent of each algorithm, and the tasks of the
paper ``ppo_paper`` as well. Nothing is copied from the host: agents are built from the task's own
configuration when they are asked for, ``dpcppo`` with the paper's values on top where the paper has some.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rsl_dpcppo.algorithms.registry import ALGORITHMS, peers
from rsl_dpcppo.config.paper import PaperSettings, find_paper_task

HOST_KEY = "rsl_rl_cfg_entry_point"
"""Key of a task's own PPO configuration in its gym spec."""

VARIANTS = {
    "symmetry": "rsl_rl_with_symmetry_cfg_entry_point",
    "recurrent": "rsl_rl_recurrent_cfg_entry_point",
}
"""Keys of the other PPO configurations that some tasks have, of which ``dpcppo_<variant>`` is made."""


def agent_names() -> list[str]:
    """Return the names of the agents: what ``--agent`` takes."""
    return ["dpcppo", *(f"dpcppo_{variant}" for variant in VARIANTS), "ppo_paper", *peers()]


def register() -> None:
    """Register the agents with all tasks that Gymnasium knows, and with later ones once they are looked up.

    May be named as Isaac Lab 3.0's ``--external_callback``, which takes what a callback returns for the command line
    that is left: hence nothing.
    """
    import gymnasium

    for spec in gymnasium.registry.values():
        _add_agents(spec)
    if gymnasium.spec.__module__ != __name__:
        gymnasium.spec = _adding_agents(gymnasium.spec)


def _adding_agents(look_up: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return Gymnasium's ``spec``, which the host asks for a task's configurations, such that it adds the agents."""

    def spec(env_id: str) -> Any:
        found = look_up(env_id)
        _add_agents(found)
        return found

    return spec


def _add_agents(spec: Any) -> None:
    """Add a task's agents to its spec, each by its name and by a key that the host's own messages list."""
    for name, make in _agents(spec.id, set(spec.kwargs)).items():
        spec.kwargs.setdefault(name, make)
        # The host takes an underscore in a key for the end of one name and the beginning of another.
        spec.kwargs.setdefault(f"rsl_rl_{name.replace('_', '-')}_cfg_entry_point", make)


def _agents(task_id: str, keys: set[str]) -> dict[str, Callable[[], Any]]:
    """Return what makes each agent of a task that has configurations under these keys."""
    agents = {
        f"dpcppo_{variant}": _agent(task_id, "dpcppo", key, f"_{variant}")
        for variant, key in VARIANTS.items()
        if key in keys
    }
    if HOST_KEY in keys:
        agents |= {name: _agent(task_id, name) for name in ALGORITHMS}
        if find_paper_task(task_id):
            agents["ppo_paper"] = _ppo_paper(task_id)
    return agents


def _agent(task_id: str, algorithm: str, key: str = HOST_KEY, suffix: str = "") -> Callable[[], Any]:
    """Return what makes an agent of the configuration under a key; the suffix is that of its runs' folder."""

    def convert(ppo: Any) -> Any:
        from isaaclab_tasks_cfg.host_cfg import to_dpcppo, to_peer

        if not ALGORITHMS[algorithm].takes_every_encoder:
            return to_peer(ppo, algorithm)
        cfg = to_dpcppo(ppo, algorithm)
        cfg.experiment_name += suffix
        task = find_paper_task(task_id)
        return _apply(cfg, task.dpcppo, score=algorithm == "dpcppo") if task else cfg

    return _maker(task_id, key, convert)


def _ppo_paper(task_id: str) -> Callable[[], Any]:
    def convert(ppo: Any) -> Any:
        task = find_paper_task(task_id)
        assert task is not None
        assert task.ppo is not None
        cfg = _apply(ppo, task.ppo)
        cfg.experiment_name += "_ppo_paper"
        return cfg

    return _maker(task_id, HOST_KEY, convert)


def _maker(task_id: str, key: str, convert: Callable[[Any], Any]) -> Callable[[], Any]:
    # A function of its own: the host asks for the file that it is defined in.
    def make() -> Any:
        from isaaclab_tasks.utils import load_cfg_from_registry

        from isaaclab_tasks_cfg.host_cfg import convert_presets

        return convert_presets(load_cfg_from_registry(task_id, key), convert)

    return make


def _apply(cfg: Any, settings: PaperSettings, score: bool = True) -> Any:
    """Write a column of the paper into a runner configuration; gamma, iterations, std and the rest stay the host's."""
    from isaaclab_tasks_cfg.host_cfg import set_networks

    cfg.num_steps_per_env = settings.num_steps_per_env
    settings.apply_to_algorithm(cfg.algorithm, score)
    set_networks(cfg, list(settings.hidden_dims), settings.activation)
    return cfg

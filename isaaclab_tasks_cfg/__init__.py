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


def agent_names() -> list[str]:
    """Return the names of the agents. Each is also registered as rsl_rl_<name>_cfg_entry_point, which hosts list."""
    return ["dpcppo", "ppo_paper", *peers()]


def register() -> None:
    """Register the agents with all tasks that Gymnasium knows at this moment.

    May be named as Isaac Lab 3.0's ``--external_callback``, which takes what a callback returns for the command line
    that is left: hence nothing.
    """
    import gymnasium

    for task_id, spec in gymnasium.registry.items():
        if HOST_KEY not in spec.kwargs:
            continue
        agents = {name: _agent(task_id, name) for name in ALGORITHMS}
        if find_paper_task(task_id):
            agents["ppo_paper"] = _ppo_paper(task_id)
        for name, make in agents.items():
            spec.kwargs.setdefault(name, make)
            spec.kwargs.setdefault(f"rsl_rl_{name}_cfg_entry_point", make)


def _agent(task_id: str, name: str) -> Callable[[], Any]:
    # A function of its own: the host asks for the file that it is defined in.
    def make() -> Any:
        from isaaclab_tasks_cfg.host_cfg import to_dpcppo, to_peer

        if not ALGORITHMS[name].takes_every_encoder:
            return to_peer(_host_cfg(task_id), name)
        cfg = to_dpcppo(_host_cfg(task_id), name)
        task = find_paper_task(task_id)
        return _apply(cfg, task.dpcppo, score=name == "dpcppo") if task else cfg

    return make


def _ppo_paper(task_id: str) -> Callable[[], Any]:
    def make() -> Any:
        task = find_paper_task(task_id)
        assert task is not None
        assert task.ppo is not None
        cfg = _apply(_host_cfg(task_id), task.ppo)
        cfg.experiment_name += "_ppo_paper"
        return cfg

    return make


def _host_cfg(task_id: str) -> Any:
    from isaaclab_tasks.utils import load_cfg_from_registry

    return load_cfg_from_registry(task_id, HOST_KEY)


def _apply(cfg: Any, settings: PaperSettings, score: bool = True) -> Any:
    """Write a column of the paper into a runner configuration; gamma, iterations, std and the rest stay the host's."""
    from isaaclab_tasks_cfg.host_cfg import set_networks

    cfg.num_steps_per_env = settings.num_steps_per_env
    settings.apply_to_algorithm(cfg.algorithm, score)
    set_networks(cfg, list(settings.hidden_dims), settings.activation)
    return cfg

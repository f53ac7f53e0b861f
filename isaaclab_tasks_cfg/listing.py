# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The tasks of the installed Isaac Lab, with the agents that they have here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from isaaclab_tasks_cfg import HOST_KEY, agent_names, register
from isaaclab_tasks_cfg.supported import INSTALL
from rsl_dpcppo.algorithms.registry import ALGORITHMS
from rsl_dpcppo.config.paper import ISAAC_TASKS, base_id, find_paper_task
from rsl_dpcppo.errors import ConfigError, LaunchError


def list_isaaclab() -> tuple[list[tuple[str, str]], Callable[[], None]]:
    """Import Isaac Lab's tasks, which starts the simulator in 2.3, and list them.

    Returns:
        (id, agents and remarks) of every task of Isaac Lab, and of the paper's tasks that this Isaac Lab lacks;
        and what closes the simulator, and with it the process.

    Raises:
        LaunchError: If Isaac Lab is missing or does not start; the message says why.
    """
    try:
        found = version("isaaclab")
    except PackageNotFoundError:
        raise LaunchError(f"isaaclab is not installed in this Python. {INSTALL}") from None
    close = _nothing
    try:
        if version("rsl-rl-lib").startswith("3."):  # Isaac Lab 2.3, whose tasks cannot be imported before the simulator
            from isaaclab.app import AppLauncher

            close = AppLauncher(headless=True).app.close
        import isaaclab_tasks  # noqa: F401
    except Exception as error:  # a broken simulator fails in many ways, and the other hosts are still to be listed
        raise LaunchError(f"isaaclab {found} does not start here ({error!r:.200}). {INSTALL}") from None
    import gymnasium

    register()
    rows = [
        (task_id, _remarks(task_id, spec.kwargs))
        for task_id, spec in sorted(gymnasium.registry.items())
        if "env_cfg_entry_point" in spec.kwargs
    ]
    there = {base_id(task_id) for task_id, _ in rows}
    rows += [(task.ids[0], f"not in isaaclab {found}; skipped") for task in ISAAC_TASKS if not there & set(task.ids)]
    return rows, close


def _remarks(task_id: str, agents: dict[str, Any]) -> str:
    """Return a task's agents, whose values they have, and why it lacks others.

    Args:
        task_id: The task.
        agents: What makes its configurations, by their keys in its gym spec.
    """
    reasons = {name: _refusal(agents[name]) for name in agent_names() if name in agents}
    stock = [f"{HOST_KEY} (stock PPO)"] if HOST_KEY in agents else []
    if not stock and not reasons:
        return f"no agent: it has no {HOST_KEY} that one could be derived from"
    remarks = [", ".join([*stock, *(name for name, reason in reasons.items() if not reason)])]
    task = find_paper_task(task_id)
    if task:
        remarks.append(f"paper's Table {task.dpcppo.table}")
    alike: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        if reason:  # which may name the agent, and is else the same for several
            title = ALGORITHMS[name].title if name in ALGORITHMS else name
            alike.setdefault(reason.replace(title, "").replace(name, ""), []).append(name)
    remarks += [f"no {', '.join(names)}: {reasons[names[0]]}" for names in alike.values()]
    return "; ".join(remarks)


def _refusal(make: Callable[[], Any]) -> str:
    """Return why an agent cannot be built from its task's configuration, or an empty string."""
    try:
        with redirect_stdout(None):  # the host prints each configuration that it loads
            make()
    except ConfigError as error:
        return str(error)
    except Exception as error:  # an extension's configuration can fail anywhere, and the next tasks are to be listed
        return f"{error!r:.200}"
    return ""


def _nothing() -> None:
    """Close no simulator: Isaac Lab 3.0 lists its tasks without one."""

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
from rsl_dpcppo.config.paper import ISAAC_TASKS, base_id, find_paper_task
from rsl_dpcppo.errors import LaunchError


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
    rows = []
    for task_id, spec in sorted(gymnasium.registry.items()):
        if "env_cfg_entry_point" not in spec.kwargs:
            continue
        task = find_paper_task(task_id)
        stock = [f"{HOST_KEY} (stock PPO)"] if HOST_KEY in spec.kwargs else []
        agents = ", ".join(
            [*stock, *(name for name in agent_names() if name in spec.kwargs and _exists(spec.kwargs[name]))]
        )
        remark = f"; paper's Table {task.dpcppo.table}" if task else ""
        rows.append((task_id, agents + remark if agents else "no RSL-RL agent that one could be derived from"))
    there = {base_id(task_id) for task_id, _ in rows}
    rows += [(task.ids[0], f"not in isaaclab {found}; skipped") for task in ISAAC_TASKS if not there & set(task.ids)]
    return rows, close


def _exists(make: Callable[[], Any]) -> bool:
    """Return whether an agent can be built from its task's configuration."""
    try:
        with redirect_stdout(None):  # the host prints each configuration that it loads
            make()
    except Exception:  # an extension's configuration can fail anywhere, and the next tasks are to be listed
        return False
    return True


def _nothing() -> None:
    """Close no simulator: Isaac Lab 3.0 lists its tasks without one."""

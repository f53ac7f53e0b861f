# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Which Playground and JAX are installed, and the settings they need before their first import."""

from __future__ import annotations

import ctypes.util
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from packaging.version import Version

from rsl_dpcppo.errors import ConfigError

INSTALL = 'pip install -e ".[playground]"'
"""What installs all that this host needs."""


def check_installed() -> None:
    """Check that JAX and a supported Playground are installed, without importing them.

    Raises:
        ConfigError: Says what was found, and how to install what is missing.
    """
    found = versions()
    missing = [name for name in ("playground", "jax") if name not in found]
    if missing:
        raise ConfigError(f"MuJoCo Playground's tasks need {' and '.join(missing)}, not installed here. Try: {INSTALL}")
    if Version(found["playground"]).release[:2] != (0, 2):
        raise ConfigError(f"playground {found['playground']} is installed; 0.2.x is supported. Try: {INSTALL}")


def versions() -> dict[str, str]:
    """Return the versions of those packages that are installed and decide what a task does."""
    found = {}
    for name in ("playground", "mujoco", "mujoco-mjx", "warp-lang", "jax", "jaxlib"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def prepare() -> None:
    """Check the installation and settle what JAX and MuJoCo read when they are imported. Nothing that is set changes.

    Raises:
        ConfigError: As :func:`check_installed`.
    """
    check_installed()
    # torch shares the GPU, and JAX would take three quarters of its memory at once.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    # MuJoCo picks its OpenGL at its first import, which may be long before a film is made.
    headless = sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    if headless and "MUJOCO_GL" not in os.environ and ctypes.util.find_library("EGL"):
        os.environ["MUJOCO_GL"] = "egl"


def enable_cache() -> Path:
    """Let JAX keep compiled programs on disk, unless the user chose a folder.

    Returns:
        The folder.
    """
    import jax

    if jax.config.jax_compilation_cache_dir is None:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update("jax_compilation_cache_dir", str(root / "rsl_dpcppo" / "jax"))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    return Path(jax.config.jax_compilation_cache_dir)


def jax_device(device: str) -> Any:
    """Return the JAX device on which torch's device can be read without a copy.

    Args:
        device: torch's device: "cpu", "cuda" or "cuda:N".

    Raises:
        ConfigError: If JAX does not see that device.
    """
    import jax

    kind = torch.device(device).type
    if kind == "cpu":
        return jax.devices("cpu")[0]
    if kind != "cuda":
        raise ConfigError(f"device is '{device}'; torch and JAX can share 'cpu' and 'cuda:N' only.")
    try:
        gpus = jax.devices("cuda")
    except RuntimeError:  # there is no such backend
        gpus = []
    index = torch.device(device).index
    if index is None:
        index = torch.cuda.current_device() if torch.cuda.is_available() else 0
    if index >= len(gpus):
        raise ConfigError(
            f"device is '{device}', but jax {jax.__version__} sees {len(gpus)} CUDA GPUs (its devices: "
            f"{jax.devices()}), and torch and JAX have to share one. Install JAX for torch's CUDA: "
            f'pip install "jax[cuda{(torch.version.cuda or "12").partition(".")[0]}]=={jax.__version__}", '
            "or choose device cpu."
        )
    return gpus[index]


def pick_impl(impl: str, device: str) -> str:
    """Return the implementation of MuJoCo's physics to take: "jax" or "warp".

    Args:
        impl: "jax", "warp" or "auto".
        device: torch's device.

    Raises:
        ConfigError: If it is "warp" and warp-lang is not installed.
    """
    has_warp = find_spec("warp") is not None
    if impl == "warp" and not has_warp:
        raise ConfigError("impl is 'warp', but warp-lang is not installed. Try: pip install warp-lang, or impl 'jax'.")
    if impl != "auto":
        return impl
    return "warp" if has_warp and torch.device(device).type == "cuda" else "jax"

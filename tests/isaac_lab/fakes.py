# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Runs the real Isaac Lab 2.3 with no simulator, in a process of its own (see launch.py).

Real: everything of isaaclab, isaaclab_assets, isaaclab_rl and isaaclab_tasks (so every task's registration, environment
config and agent config, ``configclass``, ``hydra_task_config``, ``RslRlVecEnvWrapper``, the exporters and
``AppLauncher``), gymnasium, Hydra and RSL-RL.
Fake: the simulator's modules, a few heavy packages that only sensors and scenes use, the simulator's application, and a
task's environment once ``use_small_env`` put a small one in its place.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EXTENSIONS = ("isaaclab", "isaaclab_assets", "isaaclab_contrib", "isaaclab_rl", "isaaclab_tasks")
"""Folders of the wheel's source/ that go on sys.path."""

SIMULATOR = {"carb", "isaacsim", "omni", "pxr", "usdrt"}
"""Come with Isaac Sim, and can be imported only while its application runs (but for isaacsim itself)."""

PACKAGES = {
    "cv2",  # teleoperation devices
    "flatdict",  # settings of the renderer
    "h5py",  # the recorder's files
    "hid",  # teleoperation devices
    "prettytable",  # printing the managers
    "scipy",  # terrains, interpolation
    "trimesh",  # terrains, meshes
    "warp",  # ray casting
}
"""Dependencies of Isaac Lab that no config needs to have. A package that is installed is not faked."""


class _FakeType(type):
    """Class of every fake: its attributes are fakes too, and it passes for a base class, a decorator or a type hint."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _FakeType(name, (_Fake,), {})

    def __iter__(cls) -> Iterator[Any]:
        return iter(())

    def __int__(cls) -> int:
        return 0

    def __getitem__(cls, key: Any) -> Any:
        return cls

    def __or__(cls, other: Any) -> Any:
        return cls

    def __ror__(cls, other: Any) -> Any:
        return other


class _Fake(metaclass=_FakeType):
    """What a call of a fake returns."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Fake()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _Fake()


class _FakeModule(types.ModuleType):
    """A module that has every attribute."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = _FakeType(name, (_Fake,), {"__module__": self.__name__})
        setattr(self, name, value)
        return value


class _FakeFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Last on sys.meta_path, so that it is asked only for what is not installed."""

    def __init__(self) -> None:
        self.app_started = False

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        root = fullname.partition(".")[0]
        offered = root in PACKAGES or fullname == "isaacsim" or (root in SIMULATOR and self.app_started)
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True) if offered else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _FakeModule(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


_finder = _FakeFinder()


class SmallApp:
    """In the place of isaacsim.SimulationApp."""

    updates = 20
    """How often ``is_running`` says yes: play.py runs until the window is closed."""

    def __init__(self, launch_config: dict[str, Any] | None = None, experience: str = "") -> None:
        self.config, self.experience = launch_config, experience
        _finder.app_started = True

    def is_running(self) -> bool:
        self.updates -= 1
        return self.updates >= 0

    def update(self) -> None:
        pass

    def close(self) -> None:
        """End the process, as Isaac Sim does: what follows in the script never runs."""
        raise SystemExit(0)


def find_sources() -> Path | None:
    """Return the folder with Isaac Lab's extensions, without executing its top package, which starts the simulator."""
    spec = importlib.util.find_spec("isaaclab")
    # With tests on sys.path, this folder passes for an empty package of that name, without an origin.
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    # The wheel has the sources inside its top package; in a checkout, or after install(), the package is one of them.
    return package / "source" if (package / "source").is_dir() else package.parents[1]


def unavailable() -> str | None:
    """Return why the harness cannot run here, or None."""
    if find_sources() is None:
        return "Isaac Lab is not installed (pip install --no-deps isaaclab==2.3.2.post1)"
    missing = [name for name in ("gymnasium", "hydra", "toml", "git") if importlib.util.find_spec(name) is None]
    if missing:
        return f"Isaac Lab's requirements are not installed: {', '.join(missing)}"
    version = importlib.metadata.version("rsl-rl-lib")
    return None if version.startswith("3.") else f"Isaac Lab 2.3 takes RSL-RL 3.x, and {version} is installed"


def install(app_started: bool = True) -> None:
    """Make Isaac Lab importable in this process.

    Args:
        app_started: Offer the simulator's modules from the start. If false, only an ``AppLauncher`` brings them, and
            what imports isaaclab_tasks too early fails as it does in Isaac Sim.

    Raises:
        ModuleNotFoundError: If Isaac Lab is not installed.
    """
    _finder.app_started |= app_started
    if _finder in sys.meta_path:
        return
    sources = find_sources()
    if sources is None:
        raise ModuleNotFoundError(unavailable())
    # Behind the script's folder, before site-packages with the wheel's top package.
    sys.path[1:1] = [str(sources / name) for name in EXTENSIONS]
    sys.meta_path.append(_finder)
    patch_app_launcher()


def patch_app_launcher() -> None:
    """Let the real AppLauncher start a ``SmallApp``: arguments, devices, ranks and sys.argv are handled as ever."""
    os.environ.setdefault("EXP_PATH", "")  # where Isaac Sim's own experience files are
    import isaacsim

    # AppLauncher looks for Isaac Sim's VERSION two folders above.
    isaacsim.__file__, isaacsim.SimulationApp = __file__, SmallApp
    from isaaclab.app import app_launcher

    app_launcher.SimulationApp = SmallApp


def use_small_env(task_id: str, num_obs: int = 12, num_actions: int = 4) -> None:
    """Put the small environment in the place of a registered task's; its config stays the real one.

    Args:
        task_id: The gym id.
        num_obs: Size of the observation group "policy".
        num_actions: Size of the action, at most num_obs.
    """
    import gymnasium
    import isaaclab_tasks  # noqa: F401  registers the tasks
    from small_env import make_small_env

    spec = gymnasium.spec(task_id)
    spec.entry_point = functools.partial(make_small_env, num_obs=num_obs, num_actions=num_actions)

# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What ``rsl_dpcppo`` has for users, and what importing it takes."""

from __future__ import annotations

import subprocess
import sys

import pytest
from rsl_rl.algorithms import PPO

import rsl_dpcppo
from rsl_dpcppo.algorithms.registry import ALGORITHMS
from rsl_dpcppo.bridge.train_cfg import class_names
from rsl_dpcppo.bridge.version import GENERATION


def run(program: str) -> str:
    """Return what a program prints in a Python of its own."""
    return subprocess.run([sys.executable, "-c", program], text=True, capture_output=True, check=True).stdout.strip()


def test_importing_it_imports_neither_torch_nor_rsl_rl() -> None:
    """Nor does the list of the algorithms: Isaac Lab 2.3's simulator has to start before torch."""
    program = "import sys, rsl_dpcppo, rsl_dpcppo.cli.dispatch, isaaclab_tasks_cfg, isaaclab_tasks_cfg.launch"
    assert run(f"{program}; print({{'torch', 'rsl_rl'}} & set(sys.modules))") == "set()"


def test_flows_need_no_rsl_rl() -> None:
    """An import of rsl_rl would fail here."""
    program = (
        "import sys; sys.modules['rsl_rl'] = None; from rsl_dpcppo import flow; from rsl_dpcppo.flow import matching"
    )
    assert run(f"{program}; print(flow.__name__)") == "rsl_dpcppo.flow"


@pytest.mark.parametrize("order", ["rsl_dpcppo, rsl_rl.runners", "rsl_rl.runners, rsl_dpcppo"])
def test_runners_that_evaluate_class_names_find_it(order: str) -> None:
    """As RSL-RL before 3.2 does, whichever is imported first."""
    program = f"import {order}; print(eval('rsl_dpcppo.DPCPPO', vars(rsl_rl.runners.on_policy_runner)))"
    assert run(program) == "<class 'rsl_dpcppo.DPCPPO'>"


def test_an_unsupported_rsl_rl_is_named_when_a_class_is_asked_for() -> None:
    program = """
import importlib.metadata
real = importlib.metadata.version
importlib.metadata.version = lambda name: "4.0.1" if name == "rsl-rl-lib" else real(name)
import rsl_dpcppo
try:
    rsl_dpcppo.DPCPPO
except ImportError as error:
    print(error)
"""
    assert "rsl-rl-lib 4.0.1 is installed; rsl-dpcppo supports" in run(program)


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if GENERATION == 5 or ALGORITHMS[name].is_on_policy])
def test_every_algorithm_has_public_classes(name: str) -> None:
    algorithm, model = (getattr(rsl_dpcppo, path.rpartition(".")[2]) for path in class_names(name))
    assert issubclass(algorithm, PPO) == ALGORITHMS[name].is_on_policy
    assert (algorithm.__module__, model.__module__) == ("rsl_dpcppo", "rsl_dpcppo")
    assert model.policy_class is algorithm.learner_class.policy_class
    cfg = getattr(rsl_dpcppo, f"{algorithm.__name__}RunnerCfg")()
    assert rsl_dpcppo.to_rsl_rl(cfg)["algorithm"]["class_name"] == f"rsl_dpcppo.{algorithm.__name__}"
    assert {algorithm.__name__, model.__name__} <= set(rsl_dpcppo.__all__)
    assert algorithm.__doc__.count("Fields: those of RSL-RL's PPO") == int(ALGORITHMS[name].is_on_policy)


def test_classes_are_made_once() -> None:
    namespace: dict[str, object] = {}
    exec("from rsl_dpcppo import *", namespace)
    assert namespace["DPCPPO"] is rsl_dpcppo.DPCPPO
    assert namespace["Runner"] is rsl_dpcppo.Runner


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'DPCPO'"):
        _ = rsl_dpcppo.DPCPO

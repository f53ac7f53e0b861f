# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Flow policies for RSL-RL: "Diffusion Policy through Conditional PPO" (DP-CPPO, arXiv 2603.04790).

Name ``rsl_dpcppo.DPCPPO`` as the algorithm and ``rsl_dpcppo.FlowActor`` (rsl-rl-lib 5.x) or
``rsl_dpcppo.FlowActorCritic`` (3.x) as the model in an RSL-RL configuration; nothing else changes. Other algorithms,
to compare with, are called alike: ``rsl_dpcppo.GenPO`` with ``GenPOActor``, and so on for each line of
:mod:`rsl_dpcppo.algorithms.registry`.

Nothing is imported before it is asked for: ``rsl_dpcppo.flow`` takes torch alone, and Isaac Lab 2.3 starts its
simulator before torch.
"""

from __future__ import annotations

import sys

from rsl_dpcppo.importing import TYPE_CHECKING, when_imported

if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Return a public class: an algorithm, a model, a configuration, or the runner.

    Raises:
        ImportError: If rsl-rl-lib is missing or its version is not supported.
    """
    if name == "__all__":
        from rsl_dpcppo.bridge.public import public_names

        return public_names()
    from importlib.util import find_spec

    if name.startswith("_") or find_spec(f"rsl_dpcppo.{name}"):  # a module, which is imported without this
        raise AttributeError(f"module 'rsl_dpcppo' has no attribute '{name}'")
    from rsl_dpcppo.bridge.public import find_public

    found = find_public(name)
    if found is None:
        raise AttributeError(f"module 'rsl_dpcppo' has no attribute '{name}'")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return the names of the public classes too."""
    from rsl_dpcppo.bridge.public import public_names

    return [*globals(), *public_names()]


# Runners of RSL-RL before 3.2 evaluate class names in their own namespace: "rsl_dpcppo.DPCPPO" must mean ours there.
when_imported("rsl_rl.runners.on_policy_runner", lambda runner: setattr(runner, __name__, sys.modules[__name__]))

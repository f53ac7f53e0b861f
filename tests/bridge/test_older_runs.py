# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Runs of an older release (tests/data/older_runs) play, resume and are exported as they did then."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rsl_dpcppo.bridge.version import GENERATION, VERSION
from rsl_dpcppo.cli.export import export
from rsl_dpcppo.cli.play import play
from rsl_dpcppo.cli.run_cfg import load_agent
from rsl_dpcppo.cli.train import train

OLDER = Path(__file__).parents[1] / "data" / "older_runs"
RETURNS = json.loads((OLDER / "returns.json").read_text())[f"v{GENERATION}"]

FLAGS = [
    "--seed=3",
    "--num_envs=16",
    "--device=cpu",
    "agent.actor.hidden_dims=[16,16]",
    "agent.critic.hidden_dims=[16,16]",
    "agent.num_steps_per_env=8",
    "agent.actor.obs_normalization=true",
    "agent.critic.obs_normalization=true",
    "agent.save_interval=100",
]
FLOW = ["agent.actor.flow_hidden_dims=[16,16]", "agent.actor.flow_steps=4", "agent.algorithm.flow_num_epochs=2"]
SHORT = ["agent.algorithm.num_learning_epochs=2", "agent.algorithm.num_mini_batches=4", "agent.actor.flow_steps=4"]
OWN_FLAGS = {"dpcppo": FLOW, "dpcppo_modes": FLOW, "fpo": SHORT, "fpopp": SHORT, "dppo": SHORT}


SOME = {"dpcppo", "fpo"}
"""Agents with and without a residual, which stand for the others where these differ in nothing but their networks."""


@pytest.fixture(params=RETURNS)
def agent(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Lay an agent's run where the commands look for it."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(OLDER / f"v{GENERATION}" / request.param, tmp_path / "logs/rsl_rl/older" / "2026-11-23_18-40-40")
    return request.param


def played(agent: str) -> dict[str, float]:
    """Return what the newest checkpoint earns, without noise."""
    noise = [] if agent == "ppo" else ["--noise=zero"]
    play([f"--agent={agent}", "--experiment_name=older", "--seed=3", "--device=cpu", *noise])
    newest = max(Path("logs/rsl_rl/older").iterdir())
    rows = json.loads((newest / "play" / "evaluation.json").read_text())
    return {name: row["mean_return"] for name, row in rows.items()}


@pytest.mark.usefixtures("no_pictures")
def test_it_plays_and_resumes_as_before(agent: str) -> None:
    """Random numbers, optimizers and averages are taken up too: the resumed run ends where it ended then."""
    assert played(agent) == pytest.approx(RETURNS[agent]["played"], abs=1e-3)
    own = OWN_FLAGS.get(agent, [])
    train([f"--agent={agent}", "--resume", "--experiment_name=older", "--max_iterations=2", *FLAGS, *own])
    if GENERATION == 5 and VERSION.release < (5, 5):
        return  # RSL-RL's normalisers learned at other moments then: the resumed run is another one
    # Rounding differs from machine to machine, and two iterations carry it on.
    assert played(agent) == pytest.approx(RETURNS[agent]["resumed"], abs=2e-2)


def test_its_configuration_is_read_as_what_it_was(agent: str) -> None:
    (run,) = Path("logs/rsl_rl/older").iterdir()
    cfg = load_agent(run)
    assert cfg is not None
    assert cfg.name == agent.partition("_")[0]
    assert cfg.actor.hidden_dims == [16, 16]


@pytest.mark.parametrize(
    "agent",
    [
        pytest.param(agent, marks=[] if agent in SOME else [pytest.mark.slow])
        for agent in RETURNS
        if agent != "ppo"  # RSL-RL exports its own
    ],
    indirect=True,
)
def test_it_is_exported(agent: str, capsys: pytest.CaptureFixture[str]) -> None:
    export([f"--agent={agent}", "--experiment_name=older"])
    assert capsys.readouterr().out.count("differs from the live policy by at most") == 2

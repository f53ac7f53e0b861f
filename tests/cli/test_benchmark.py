# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What the benchmark counts, against counts that are made by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rsl_dpcppo.algorithms.dpcppo.config import DPCPPORunnerCfg
from rsl_dpcppo.algorithms.registry import on_policy_peers
from rsl_dpcppo.bridge.version import GENERATION
from rsl_dpcppo.cli.benchmark.command import benchmark
from rsl_dpcppo.cli.benchmark.measure import PHASES, Learner, OperatorCounter, minimum_gigaflops
from rsl_dpcppo.cli.benchmark.workload import SHAPES, Shape, SyntheticEnv, make_agent
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.metrics import peak_memory
from rsl_dpcppo.tasks.agents import to_peer, to_ppo

SMALL = Shape("Isaac-Ant", 5, 3)


def small_agent(flow_steps: int = 4, num_envs: int = 16) -> DPCPPORunnerCfg:
    cfg = make_agent(SMALL, num_envs, 4, flow_steps)
    cfg.actor.hidden_dims, cfg.actor.flow_hidden_dims, cfg.critic.hidden_dims = [8], [7], [6]
    cfg.algorithm.num_learning_epochs, cfg.algorithm.flow_num_epochs = 2, 3
    return cfg


def learner(cfg: DPCPPORunnerCfg, ppo: bool = False) -> Learner:
    return Learner(to_ppo(cfg) if ppo else cfg, SyntheticEnv(SMALL, cfg.num_envs, "cpu"), "cpu")


def test_operators_are_counted_and_views_are_not() -> None:
    weight = torch.ones(2, 3, requires_grad=True)
    with OperatorCounter() as counter:
        loss = (weight.t() + 1.0).exp().sum()  # add, exp, sum
        loss.backward()  # ones_like, mul by exp's result; what goes back through sum, add and t are views
        assert loss.item() > 0.0  # gt is Python's
    assert counter.calls["aten::exp"] == 1
    assert "aten::t" not in counter.calls
    assert "aten::transpose" not in counter.calls
    assert counter.synchronisations == 1
    assert counter.operators == 6


def test_ppo_does_the_least_arithmetic_that_there_is() -> None:
    """Counted by torch on the one hand, by the widths of the layers on the other."""
    cfg = small_agent()
    counted = learner(cfg, ppo=True).count().gigaflops
    assert counted == pytest.approx(minimum_gigaflops(to_ppo(cfg), 5, 3), rel=1e-6)


def test_least_arithmetic_of_dpcppo_by_hand() -> None:
    cfg = small_agent(flow_steps=4)
    samples = 16 * 4
    actor, critic = (5 + 3) * 8 + 8 * 3, 5 * 6 + 6 * 1
    field, context = 3 * 7 + 7 * 3, 5 * 7
    rollout = samples * (actor + critic + context + 4 * field) + 16 * critic
    update = 2 * samples * (3 * (actor + critic) - (5 + 3) * 8 - 5 * 6)
    targets = samples * (context + 4 * field + actor)
    fit = 3 * samples * (3 * (context + field) - context - 3 * 7)
    assert minimum_gigaflops(cfg, 5, 3) == pytest.approx(2 * (rollout + update + targets + fit) / 1e9)


def test_least_arithmetic_with_layers_over_the_observation_alone() -> None:
    """They run once for each base action, and their own input needs no gradient."""
    plain, layered = small_agent(flow_steps=4), small_agent(flow_steps=4)
    layered.actor.flow_context_dims = [9]
    samples = 16 * 4
    more = 9 * (5 + 7) - 5 * 7  # 5 -> 9 -> 7 instead of 5 -> 7
    fit = 3 * samples * (3 * more - (5 * 9 - 5 * 7))
    expected = 2 * (2 * samples * more + fit) / 1e9  # rollout and targets
    assert minimum_gigaflops(layered, 5, 3) - minimum_gigaflops(plain, 5, 3) == pytest.approx(expected)


def test_dpcppo_waits_for_the_device_once_an_iteration() -> None:
    """The losses are read in one go: the number does not grow with epochs, mini-batches or steps."""
    cfg = small_agent()
    cfg.algorithm.num_learning_epochs, cfg.algorithm.flow_num_epochs = 3, 5
    assert learner(cfg).count().synchronisations == 1
    assert learner(cfg, ppo=True).count().synchronisations > 20


@pytest.mark.parametrize("name", on_policy_peers())
def test_peers_wait_for_the_device_once_an_iteration_at_most(name: str) -> None:
    cfg = to_peer(small_agent(), name)
    cfg.algorithm.num_learning_epochs = cfg.algorithm.num_mini_batches = 2
    assert Learner(cfg, SyntheticEnv(SMALL, 16, "cpu"), "cpu").count().synchronisations <= 1


def test_phases_make_up_the_iteration() -> None:
    for ppo in (False, True):
        worker = learner(small_agent(num_envs=256), ppo)
        worker.iterate()
        seconds = worker.iterate()
        assert sum(seconds[phase] for phase in PHASES) == pytest.approx(seconds["iteration"], rel=0.2)
        assert (seconds["fit"] > 0) == (not ppo)


def test_environment_costs_what_it_is_told() -> None:
    cfg = small_agent()
    env = SyntheticEnv(SMALL, 16, "cpu", step_seconds=0.02)
    seconds = Learner(cfg, env, "cpu").iterate()
    assert 4 * 0.02 <= seconds["environment"] < 4 * 0.02 + 0.05


def test_every_shape_has_the_papers_settings() -> None:
    for shape in SHAPES.values():
        cfg = make_agent(shape, 8, 0, 16)
        assert cfg.actor.hidden_dims == cfg.actor.flow_hidden_dims == cfg.critic.hidden_dims
        env = SyntheticEnv(shape, 8, "cpu")
        assert env.get_observations()["policy"].shape == (8, shape.num_observations)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_peak_memory_is_the_process_own() -> None:
    """A run that a large process starts, as a comparison does, must not count that process's memory."""
    large = torch.ones(2**27)  # 512 MiB
    program = "from rsl_dpcppo.metrics import peak_memory; print(peak_memory('cpu'))"
    started = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (peak := peak_memory("cpu")) is not None
    assert large.nbytes / 2**20 < peak
    assert 50.0 < float(started.stdout) < peak - 100.0


def test_command_writes_ratios_and_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--task=quadcopter", "--num_envs=32", "--steps=2", "--repeats=2", "--flow_steps=2,3", "--peers=genpo"]
    benchmark([*arguments, f"--json={tmp_path / 'a.json'}", f"--plot={tmp_path / 'a.png'}"])
    figures = json.loads((tmp_path / "a.json").read_text())
    assert set(figures["ratio_to_ppo"]) == {"2", "3", "genpo"}
    assert figures["costs"]["ppo"]["ratio_to_ppo"] == 1.0
    assert figures["costs"]["3"]["counts"]["operators"] > figures["costs"]["2"]["counts"]["operators"]
    assert (tmp_path / "a.png").stat().st_size > 5_000
    printed = capsys.readouterr().out
    assert "dpcppo k=3" in printed
    assert f"{figures['ratio_to_ppo']['3']:.2f}" in printed


@pytest.mark.skipif(GENERATION != 5, reason="off-policy agents need rsl-rl-lib 5.x")
def test_off_policy_agents_are_measured_while_they_learn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--task=quadcopter", "--num_envs=32", "--steps=2", "--repeats=1", "--flow_steps=2", "--peers=sac,sdac"]
    benchmark([*arguments, f"--json={tmp_path / 'a.json'}"])
    costs = json.loads((tmp_path / "a.json").read_text())["costs"]
    assert costs["ppo"]["updates_per_second"] is None
    for name, updates in {"sac": 8, "sdac": 4}.items():
        rate = updates / costs[name]["seconds"]["update"]
        assert costs[name]["updates_per_second"] == pytest.approx(rate)
        assert costs[name]["samples_per_second"] == pytest.approx(256 * rate)
    ratio = costs["sac"]["updates_per_second"] / costs["sdac"]["updates_per_second"]
    row = next(line for line in capsys.readouterr().out.splitlines() if line.split()[:1] == ["sdac"] and "," in line)
    assert row.split()[2] == f"{ratio:.2f}"
    cost = costs["sac"]
    # Eight updates of 256 samples each, forward and backward, through networks that have a layer of 64 x 64.
    assert cost["counts"]["gigaflops"] > 8 * 256 * 6 * 64 * 64 * 5 / 1e9
    assert cost["counts"]["synchronisations"] <= 1


def test_folds_are_measured_over_whole_periods(tmp_path: Path) -> None:
    """Their fits are rare: an iteration costs the mean over the iterations from one to the next."""
    arguments = ["--agent=dpcppo_fold", "--task=quadcopter", "--num_envs=32", "--steps=2", "--repeats=1"]
    fields = ["agent.algorithm.fold_interval=3", "agent.algorithm.flow_num_mini_batches=1"]
    benchmark([*arguments, *fields, "--flow_steps=2", f"--json={tmp_path / 'a.json'}"])
    cost = json.loads((tmp_path / "a.json").read_text())["costs"]["2"]
    assert cost["seconds"]["fit"] > 0.0
    assert cost["counts"]["gigaflops"] == pytest.approx(cost["minimum_gigaflops"], rel=0.05)


@pytest.mark.parametrize(
    ("argument", "message"),
    [("--task=antt", "Did you mean 'ant'"), ("--flow_steps=4,x", "flow_steps is '4,x'"), ("--flow_steps=0", "is '0'")],
)
def test_wrong_arguments_are_explained(argument: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        benchmark([argument, "--quick"])

# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Two processes train as one: equal weights on both ranks, and those of one process with the joined batch.

RSL-RL's runner asks for CUDA and NCCL; here its algorithm runs on two CPU processes with gloo.
tests/cli/test_torchrun.py has the whole command.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed
import torch.multiprocessing
from agents import agent_dict, collect, flat_parameters, make_runner, small_agent, small_peer
from torch import Tensor

from rsl_dpcppo.bridge.runner import Runner
from rsl_dpcppo.learning import fit
from rsl_dpcppo.tasks.embedded.multi_goal import MultiGoalEnv

NUM_ENVS = 16


def build(seed: int, num_envs: int) -> Any:
    """Build a runner whose updates see the whole batch at once, so that its order does not matter."""
    torch.manual_seed(seed)
    cfg = small_agent(num_mini_batches=1, flow_num_mini_batches=1, flow_num_epochs=3)
    return make_runner(MultiGoalEnv(num_envs, seed=seed), agent_dict(cfg))


def weights(runner: Any) -> dict[str, Tensor]:
    """Return live and averaged flow, and everything that PPO's optimizer trains."""
    alg = runner.alg
    kernel = [p.detach().flatten() for group in alg.optimizer.param_groups for p in group["params"]]
    return {
        "kernel and value": torch.cat(kernel).double(),
        "live flow": flat_parameters(alg.model.flow_policy.velocity),
        "averaged flow": flat_parameters(alg.model.head.flow),
        "learning rate": torch.tensor([alg.learning_rate], dtype=torch.double),
    }


def meet(rank: int, folder: Path) -> None:
    """Make the process one of two."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)


def join(runner: Any, rank: int) -> None:
    """Make the algorithm one of two ranks."""
    runner.alg.is_multi_gpu, runner.alg.gpu_global_rank, runner.alg.gpu_world_size = True, rank, 2
    runner.alg.broadcast_parameters()


def build_agent(seed: int, name: str) -> Any:
    if name == "dpcppo":
        return build(seed, NUM_ENVS)
    torch.manual_seed(seed)
    return make_runner(MultiGoalEnv(NUM_ENVS, seed=seed), agent_dict(small_peer(name)))


AGENTS = ["dpcppo", "genpo", "fpopp", "dpcppo_fold"]


def train_on_own_data(rank: int, folder: Path) -> None:
    """Train each agent with another seed, environment and noise on each rank."""
    meet(rank, folder)
    trained = {}
    for name in AGENTS:
        runner = build_agent(rank, name)
        join(runner, rank)
        for _ in range(3):
            collect(runner)
            runner.alg.update()
        trained[name] = weights(runner)
    torch.save(trained, folder / f"rank{rank}.pt")
    torch.distributed.destroy_process_group()


def without_noise(runner: Any, patch: Callable[[Any, str, Any], None]) -> None:
    """Replace every random draw of the update by a function of the sample, so that splitting a batch changes none."""
    head = runner.alg.model.head

    def noise_of(x: Tensor) -> Tensor:
        return torch.sin(37.0 * x[:, :2])

    patch(fit, "draw_noise_and_time", lambda a: (noise_of(a), torch.cos(11.0 * a[:, :1]).square()))
    patch(runner.alg.model.flow_policy, "sample", lambda context, _=None: head.flow(noise_of(context), context))
    patch(runner.alg.learner, "_sample_improved", lambda context, base_action: head.kernel_mean(base_action, context))


def update_on_share(rank: int, folder: Path) -> None:
    """Do one update on this rank's half of a joined rollout."""
    joined = build(seed=0, num_envs=2 * NUM_ENVS)
    collect(joined)
    runner = build(seed=0, num_envs=NUM_ENVS)
    collect(runner)
    share = slice(rank * NUM_ENVS, (rank + 1) * NUM_ENVS)
    for name in ("observations", "actions", "values", "returns", "advantages", "actions_log_prob", "mu", "sigma"):
        if hasattr(runner.alg.storage, name):
            setattr(runner.alg.storage, name, getattr(joined.alg.storage, name)[:, share].clone())
    if hasattr(joined.alg.storage, "distribution_params"):
        parameters = joined.alg.storage.distribution_params
        runner.alg.storage.distribution_params = tuple(p[:, share].clone() for p in parameters)
    without_noise(runner, setattr)
    meet(rank, folder)
    join(runner, rank)
    runner.alg.update()
    torch.save(weights(runner), folder / f"rank{rank}.pt")
    torch.distributed.destroy_process_group()


def spawn(function: Callable[[int, Path], None], folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    torch.multiprocessing.spawn(function, args=(folder,), nprocs=2)
    return torch.load(folder / "rank0.pt"), torch.load(folder / "rank1.pt")


def test_ranks_keep_equal_weights(tmp_path: Path) -> None:
    """In one pair of processes, which take longer to start than to train."""
    first, second = spawn(train_on_own_data, tmp_path)
    for name in AGENTS:
        untrained = weights(build_agent(0, name))
        for key, value in first[name].items():
            assert torch.equal(value, second[name][key]), f"{key} of {name}"
            if name == "dpcppo" or key == "averaged flow":
                assert not torch.equal(value, untrained[key]), f"{key} of {name} did not change"


def test_only_rank_0_saves_and_takes_the_environments_state(tmp_path: Path) -> None:
    """One file serves all ranks; if each took its environments' state, all would start the same episodes."""
    first, second = (make_runner(MultiGoalEnv(4, seed=seed), agent_dict(), kind=Runner) for seed in (0, 1))
    first.save(str(tmp_path / "model_0.pt"))
    second.gpu_global_rank = 1
    before = {name: x.clone() for name, x in second.env.state_dict().items()}
    second.load(str(tmp_path / "model_0.pt"))
    assert torch.equal(weights(first)["averaged flow"], weights(second)["averaged flow"])
    assert all(torch.equal(x, before[name]) for name, x in second.env.state_dict().items())
    second.save(str(tmp_path / "model_1.pt"))
    assert [path.name for path in tmp_path.iterdir()] == ["model_0.pt"]


def test_two_ranks_equal_one_with_the_joined_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = spawn(update_on_share, tmp_path)
    single = build(seed=0, num_envs=2 * NUM_ENVS)
    collect(single)
    untrained = weights(single)
    without_noise(single, monkeypatch.setattr)
    single.alg.update()
    for name, expected in weights(single).items():
        torch.testing.assert_close(first[name], expected, atol=1e-5, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}")
        assert torch.equal(first[name], second[name])
        if name != "learning rate":
            assert (expected - untrained[name]).abs().max() > 1e-4  # ten times the tolerance

# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Train, play and export on the embedded tasks, with the flags of Isaac Lab's scripts."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import io
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from rsl_dpcppo import export as exporting
from rsl_dpcppo.checkpoint import find_checkpoint, read_checkpoint
from rsl_dpcppo.config import INFERENCE_POLICIES, DPCPPORunnerCfg, PPORunnerCfg, check_noise
from rsl_dpcppo.errors import CheckpointError, ConfigError, ExportError, NonFiniteError, did_you_mean
from rsl_dpcppo.hosts.embedded.agent_cfg import (
    is_rsl_rl_agent,
    load_agent,
    load_rsl_rl_agent,
    override,
    save_agent,
)
from rsl_dpcppo.hosts.embedded.tasks import TASKS, Policy, find_task, make_agent
from rsl_dpcppo.hosts.rsl_rl.installed import build_policy
from rsl_dpcppo.hosts.rsl_rl.runner import Runner
from rsl_dpcppo.hosts.rsl_rl.train_cfg import to_rsl_rl
from rsl_dpcppo.policy.flow_model import FlowModel

LOG_ROOT = Path("logs") / "rsl_rl"
"""Folder of all experiments, below the working directory."""

POLICY_NAMES = {"flow": "Flow", "flow_residual": "Flow+Res"}
"""Names of the inference policies in tables and pictures: those of the paper's Table 3."""

EXPORT_TOLERANCE = 1e-5
"""Largest difference, in actions, that an exported policy may have from the live one."""


def guarded(main: Callable[[list[str]], None]) -> int:
    """Run a command with the process's arguments; errors that a user can mend end it with one line."""
    try:
        main(sys.argv[1:])
    except (ConfigError, CheckpointError, ExportError, NonFiniteError) as error:
        print(f"\nError: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted. Continue from the last checkpoint with --resume.", file=sys.stderr)
        return 130
    return 0


def train(arguments: list[str]) -> None:
    """Train an agent, then report what it learned."""
    parser = _parser("Train an agent on an embedded task.")
    parser.add_argument("--num_envs", type=_positive, help="number of environments")
    parser.add_argument("--max_iterations", type=_positive, help="iterations to do, after those of --resume")
    parser.add_argument("--experiment_name", help="folder of the runs, below logs/rsl_rl")
    parser.add_argument("--run_name", help="suffix of the run's folder")
    parser.add_argument("--resume", action="store_true", help="continue a run, the newest by default")
    parser.add_argument("--logger", choices=("tensorboard", "wandb", "neptune"), help="where the metrics go")
    parser.add_argument("--log_project_name", help="project at W&B or Neptune")
    args, overrides = _parse(parser, arguments)
    if (args.load_run or args.checkpoint) and not args.resume:
        raise ConfigError("--load_run and --checkpoint name the run to continue: add --resume.")
    cfg = override(make_agent(args.task, args.agent), overrides)
    for name in ("seed", "num_envs", "max_iterations", "experiment_name", "run_name", "logger"):
        if getattr(args, name) is not None:
            setattr(cfg, name, getattr(args, name))
    if args.log_project_name is not None:
        cfg.wandb_project = cfg.neptune_project = args.log_project_name
    checkpoint = _find(cfg.experiment_name, args) if args.resume else None

    run = _new_run(cfg)
    try:
        runner = _build(args, cfg, run)
        if checkpoint:
            print(f"[INFO] Resuming from: {checkpoint}")
            runner.load(str(checkpoint), map_location=args.device)
    except Exception:
        shutil.rmtree(run)  # made above; RSL-RL may have begun to log there
        raise
    save_agent(cfg, run)
    OmegaConf.save(OmegaConf.create(runner.env.cfg), run / "params" / "env.yaml")
    print(f"[INFO] Logging experiment in directory: {run.resolve()}")
    runner.learn(cfg.max_iterations, init_at_random_ep_len=checkpoint is None)

    torch.manual_seed(cfg.seed)
    find_task(args.task).report(_policies(runner, cfg) | _rival(args), run, args.device)


def play(arguments: list[str]) -> None:
    """Evaluate a trained policy."""
    parser = _parser("Evaluate a trained policy on an embedded task.")
    _add_inference_arguments(parser, "initial noise: random, zero or a seed (default: as trained)")
    args, overrides = _parse(parser, arguments)
    runner, cfg, checkpoint = _load(args, overrides)
    noise = check_noise("--noise", args.noise) if args.noise is not None else None
    policies = _policies(runner, cfg, noise, args.policy)
    folder = checkpoint.parent / "play"
    folder.mkdir(exist_ok=True)
    find_task(args.task).report(policies, folder, args.device)


def export(arguments: list[str]) -> None:
    """Export a trained policy to TorchScript and ONNX, and compare both with the live policy.

    Works on checkpoints of every host, with none of them installed: the run's params/agent.yaml tells the networks.
    """
    parser = _parser("Export a trained flow policy to TorchScript and ONNX.")
    _add_inference_arguments(parser, "zero (default), a seed, or input: the noise is the policy's second input")
    args, overrides = _parse(parser, arguments)
    experiment = args.experiment_name
    if experiment is None and args.task in TASKS:
        experiment = make_agent(args.task, args.agent).experiment_name
    if experiment is None and args.checkpoint is None:
        raise ConfigError(f"Name the run of '{args.task}': --checkpoint FILE, or --experiment_name EXPERIMENT.")
    checkpoint = _find(experiment or "", args)
    model, policy = _load_model(args, overrides, checkpoint)
    exported = exporting.exported_policy(model, args.noise or "zero", args.policy or policy, args.flow_steps or 0)
    for path in exporting.export(exported, checkpoint.parent / "exported"):
        difference = exporting.largest_difference(model, exported, path)
        print(f"[INFO] {path}: differs from the live policy by at most {difference:.1e}")
        if difference > EXPORT_TOLERANCE:
            raise ExportError(f"'{path}' differs from the live policy by more than {EXPORT_TOLERANCE:.0e}.")


def _load_model(args: argparse.Namespace, overrides: list[str], checkpoint: Path) -> tuple[FlowModel, str]:
    """Return the policy of a checkpoint of any host, and who acts in it by its configuration."""
    if is_rsl_rl_agent(checkpoint.parent):
        agent = load_rsl_rl_agent(checkpoint.parent)
        model = build_policy(agent, read_checkpoint(checkpoint, map_location="cpu"))
        return model, "flow_residual" if model.head.add_residual else "flow"
    runner, cfg, _ = _load(args, overrides)
    if not isinstance(cfg, DPCPPORunnerCfg):
        raise ConfigError(f"Agent '{args.agent}' is no flow policy; export it with RSL-RL's own exporter.")
    return runner.alg.model, cfg.actor.inference_policy


def _parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description,
        epilog="Any field of the agent can be overridden: agent.algorithm.score_coef=0.5 agent.actor.flow_steps=8",
        allow_abbrev=False,
    )
    parser.add_argument("--task", default="MultiGoal-v0", help="name of the task (default: %(default)s)")
    parser.add_argument("--agent", default="dpcppo", help="dpcppo (default), dpcppo_paper or ppo")
    parser.add_argument("--seed", type=int, help="seed of networks, sampling and environment")
    parser.add_argument("--load_run", help="run to load, a regular expression (default: the newest)")
    parser.add_argument("--checkpoint", help="checkpoint to load: a path, or a regular expression of the file's name")
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", type=_device, default=device, help="device (default: %(default)s)")
    return parser


def _parse(parser: argparse.ArgumentParser, arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Split the arguments into the parser's own and overrides of the agent."""
    args, overrides = parser.parse_known_args(arguments)
    for text in overrides:
        if text.startswith("-"):
            flags = [flag for action in parser._actions for flag in action.option_strings]
            raise ConfigError(f"Unknown argument '{text}'.{did_you_mean(text, flags)} All arguments: --help")
    return args, overrides


def _add_inference_arguments(parser: argparse.ArgumentParser, noise_help: str) -> None:
    parser.add_argument("--policy", choices=INFERENCE_POLICIES, help="who acts: flow and residual, or the flow alone")
    parser.add_argument("--noise", help=noise_help)
    parser.add_argument("--flow_steps", type=_positive, help="number of solver steps")
    parser.add_argument("--experiment_name", help="folder of the runs, below logs/rsl_rl")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value}: must be 1 or more")
    return value


def _device(text: str) -> str:
    try:
        torch.empty(0, device=text)
    except (RuntimeError, AssertionError) as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not usable here: {str(error).splitlines()[0]}") from None
    return text


def _new_run(cfg: PPORunnerCfg | DPCPPORunnerCfg) -> Path:
    """Make the folder logs/rsl_rl/<experiment>/<date_time>[_run_name], which no other run has."""
    name = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S") + (f"_{cfg.run_name}" if cfg.run_name else "")
    folder, number = LOG_ROOT / cfg.experiment_name / name, 1
    while True:
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1
            folder = folder.with_name(f"{name}_{number}")


def _build(args: argparse.Namespace, cfg: PPORunnerCfg | DPCPPORunnerCfg, run: Path | None) -> Runner:
    torch.manual_seed(cfg.seed)
    env = find_task(args.task).make_env(num_envs=cfg.num_envs, device=args.device, seed=cfg.seed)
    return Runner(env, to_rsl_rl(cfg), log_dir=str(run) if run else None, device=args.device)


def _find(experiment_name: str, args: argparse.Namespace) -> Path:
    """Return the checkpoint that the arguments name."""
    if args.checkpoint and Path(args.checkpoint).is_file():
        return Path(args.checkpoint)
    names = {"load_run": args.load_run, "checkpoint": args.checkpoint}
    return find_checkpoint(LOG_ROOT / experiment_name, **{key: name for key, name in names.items() if name})


def _load(args: argparse.Namespace, overrides: list[str]) -> tuple[Runner, PPORunnerCfg | DPCPPORunnerCfg, Path]:
    """Load the policy that the arguments name, with the networks that its run was trained with."""
    cfg = make_agent(args.task, args.agent)
    cfg.experiment_name = args.experiment_name or cfg.experiment_name
    checkpoint = _find(cfg.experiment_name, args)
    cfg = override(load_agent(checkpoint.parent) or cfg, overrides)
    cfg.seed = args.seed if args.seed is not None else cfg.seed
    cfg.num_envs = 1  # The environment tells the shapes; evaluation makes its own starts.
    flow_steps = getattr(args, "flow_steps", None)
    if flow_steps and isinstance(cfg, DPCPPORunnerCfg):
        cfg.actor.flow_steps, cfg.algorithm.flow_steps = flow_steps, 0
    runner = _build(args, cfg, run=None)
    print(f"[INFO] Loading: {checkpoint}")
    runner.load(str(checkpoint), for_training=False, map_location=args.device)
    torch.manual_seed(cfg.seed)
    return runner, cfg, checkpoint


def _policies(
    runner: Runner, cfg: PPORunnerCfg | DPCPPORunnerCfg, noise: str | None = None, only: str | None = None
) -> dict[str, Policy]:
    """Return the inference policies of a trained agent by name."""
    act = runner.get_inference_policy(runner.device)
    if not isinstance(cfg, DPCPPORunnerCfg):
        return {"Gaussian PPO": act}
    head, noise = runner.alg.model.head, noise or cfg.actor.inference_noise

    def make(kind: str) -> Policy:
        def policy(observations: Any) -> torch.Tensor:
            head.set_inference(kind, noise)
            return act(observations)

        return policy

    return {name: make(kind) for kind, name in POLICY_NAMES.items() if only in (None, kind)}


def _rival(args: argparse.Namespace) -> dict[str, Policy]:
    """Return the policies of the newest run of the agent to compare with, if one was trained."""
    rival = find_task(args.task).rivals[args.agent]
    rival_args = argparse.Namespace(**{**vars(args), **dict.fromkeys(_RUN_NAMES), "agent": rival})
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # RSL-RL prints every network it builds
            runner, cfg, checkpoint = _load(rival_args, [])
    except CheckpointError:
        print(f"[INFO] Train with --agent {rival} as well, and the next report shows both.")
        return {}
    print(f"[INFO] Compared with: {checkpoint}")
    return _policies(runner, cfg)


_RUN_NAMES = ("load_run", "checkpoint", "experiment_name")
"""Arguments that name a run of one agent, and say nothing about another's."""

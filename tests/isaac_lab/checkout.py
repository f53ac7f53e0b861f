# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Writes a folder that looks like an Isaac Lab 2.3 checkout, whose scripts are in no wheel.

The scripts are ours. They do what Isaac Lab's do for one another and for a plugin, in the same order: arguments, then
the application, then the tasks, then Hydra, then wrapper, runner, checkpoint, params/, learning. What only a simulator
needs (videos, visualizers) and pre-trained checkpoints are left out.
"""

from __future__ import annotations

import sys
from pathlib import Path

HEADER = """\
# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""

CLI_ARGS = '''\
"""Flags for RSL-RL, and how they change an agent config."""

import random

# flag -> field of the agent config
FIELDS = {
    "seed": "seed",
    "resume": "resume",
    "load_run": "load_run",
    "checkpoint": "load_checkpoint",
    "experiment_name": "experiment_name",
    "run_name": "run_name",
    "logger": "logger",
}


def add_rsl_rl_args(parser):
    group = parser.add_argument_group("rsl_rl")
    group.add_argument("--resume", action="store_true", default=False)
    for flag in ("experiment_name", "run_name", "load_run", "checkpoint", "log_project_name"):
        group.add_argument(f"--{flag}", type=str, default=None)
    group.add_argument("--logger", type=str, default=None, choices={"wandb", "tensorboard", "neptune"})


def update_rsl_rl_cfg(agent_cfg, args):
    if args.seed == -1:
        args.seed = random.randint(0, 10000)
    for flag, field in FIELDS.items():
        if getattr(args, flag, None) is not None:
            setattr(agent_cfg, field, getattr(args, flag))
    if args.log_project_name and agent_cfg.logger in ("wandb", "neptune"):
        agent_cfg.wandb_project = agent_cfg.neptune_project = args.log_project_name
    return agent_cfg
'''

# Both scripts begin like this: nothing of the simulator may be imported before the application runs.
START = '''\
import argparse
import sys

from isaaclab.app import AppLauncher

import cli_args

parser = argparse.ArgumentParser()
parser.add_argument("--task", type=str, default=None)
parser.add_argument("--agent", type=str, default="rsl_rl_cfg_entry_point")
parser.add_argument("--num_envs", type=int, default=None)
parser.add_argument("--seed", type=int, default=None)
parser.add_argument("--video", action="store_true", default=False)
parser.add_argument("--video_length", type=int, default=200)
{flags}
cli_args.add_rsl_rl_args(parser)
AppLauncher.add_app_launcher_args(parser)
args, for_hydra = parser.parse_known_args()
if args.video:
    args.enable_cameras = True
# Hydra reads sys.argv: it gets what nobody else took.
sys.argv = [sys.argv[0], *for_hydra]

launcher = AppLauncher(args)
app = launcher.app

import os
from datetime import datetime

import gymnasium as gym
import torch
from isaaclab.utils.assets import retrieve_file_path
from isaaclab.utils.io import dump_yaml
from isaaclab_rl.rsl_rl import RslRlVecEnvWrapper, export_policy_as_jit, export_policy_as_onnx
from rsl_rl.runners import DistillationRunner, OnPolicyRunner

import isaaclab_tasks  # registers the tasks
from isaaclab_tasks.utils import get_checkpoint_path
from isaaclab_tasks.utils.hydra import hydra_task_config

RUNNERS = {{"OnPolicyRunner": OnPolicyRunner, "DistillationRunner": DistillationRunner}}


def configure(env_cfg, agent_cfg):
    """Apply the flags; return where the experiment's runs are."""
    cli_args.update_rsl_rl_cfg(agent_cfg, args)
    if args.num_envs is not None:
        env_cfg.scene.num_envs = args.num_envs
    env_cfg.seed = agent_cfg.seed
    # --device moves the simulation alone: the agent stays where agent.device says.
    if args.device is not None:
        env_cfg.sim.device = args.device
    return os.path.abspath(os.path.join("logs", "rsl_rl", agent_cfg.experiment_name))


def build(env_cfg, agent_cfg, log_dir):
    env = gym.make(args.task, cfg=env_cfg, render_mode="rgb_array" if args.video else None)
    env = RslRlVecEnvWrapper(env, clip_actions=agent_cfg.clip_actions)
    if agent_cfg.class_name not in RUNNERS:
        raise ValueError(f"Unsupported runner class: {{agent_cfg.class_name}}")
    return env, RUNNERS[agent_cfg.class_name](env, agent_cfg.to_dict(), log_dir=log_dir, device=agent_cfg.device)
'''

TRAIN_FLAGS = """\
parser.add_argument("--video_interval", type=int, default=2000)
parser.add_argument("--max_iterations", type=int, default=None)
parser.add_argument("--distributed", action="store_true", default=False)
parser.add_argument("--export_io_descriptors", action="store_true", default=False)"""

TRAIN = """

@hydra_task_config(args.task, args.agent)
def main(env_cfg, agent_cfg):
    root = configure(env_cfg, agent_cfg)
    if args.max_iterations is not None:
        agent_cfg.max_iterations = args.max_iterations
    if args.distributed:
        if args.device is not None and "cpu" in args.device:
            raise ValueError("Distributed training needs GPUs")
        # One GPU and one seed for each rank.
        env_cfg.sim.device = agent_cfg.device = f"cuda:{launcher.local_rank}"
        env_cfg.seed = agent_cfg.seed = agent_cfg.seed + launcher.local_rank
    name = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    log_dir = os.path.join(root, f"{name}_{agent_cfg.run_name}" if agent_cfg.run_name else name)
    env_cfg.log_dir = log_dir
    # Before the new run's folder exists: it would be the newest.
    loads = agent_cfg.resume or agent_cfg.algorithm.class_name == "Distillation"
    checkpoint = get_checkpoint_path(root, agent_cfg.load_run, agent_cfg.load_checkpoint) if loads else None
    env, runner = build(env_cfg, agent_cfg, log_dir)
    runner.add_git_repo_to_log(__file__)
    if loads:
        print(f"[INFO]: Loading model checkpoint from: {checkpoint}")
        runner.load(checkpoint)
    dump_yaml(os.path.join(log_dir, "params", "env.yaml"), env_cfg)
    dump_yaml(os.path.join(log_dir, "params", "agent.yaml"), agent_cfg)
    runner.learn(num_learning_iterations=agent_cfg.max_iterations, init_at_random_ep_len=True)
    env.close()


if __name__ == "__main__":
    main()
    app.close()
"""

PLAY_FLAGS = """\
parser.add_argument("--disable_fabric", action="store_true", default=False)
parser.add_argument("--real-time", action="store_true", default=False)"""

PLAY = """

@hydra_task_config(args.task, args.agent)
def main(env_cfg, agent_cfg):
    root = configure(env_cfg, agent_cfg)
    if args.checkpoint:
        checkpoint = retrieve_file_path(args.checkpoint)
    else:
        checkpoint = get_checkpoint_path(root, agent_cfg.load_run, agent_cfg.load_checkpoint)
    folder = os.path.dirname(checkpoint)
    env_cfg.log_dir = folder
    # No log folder: nothing is written but the exports.
    env, runner = build(env_cfg, agent_cfg, log_dir=None)
    print(f"[INFO]: Loading model checkpoint from: {checkpoint}")
    runner.load(checkpoint)
    policy = runner.get_inference_policy(device=env.unwrapped.device)

    module = runner.alg.policy
    normalizer = getattr(module, "actor_obs_normalizer", getattr(module, "student_obs_normalizer", None))
    exported = os.path.join(folder, "exported")
    export_policy_as_jit(module, normalizer=normalizer, path=exported, filename="policy.pt")
    export_policy_as_onnx(module, normalizer=normalizer, path=exported, filename="policy.onnx")

    obs, steps = env.get_observations(), 0
    while app.is_running():
        with torch.inference_mode():
            obs, _, dones, _ = env.step(policy(obs))
            module.reset(dones)
        steps += 1
        if args.video and steps == args.video_length:
            break
    print(f"[INFO]: Played {steps} steps")
    env.close()


if __name__ == "__main__":
    main()
    app.close()
"""

ISAACLAB_SH = """\
#!/usr/bin/env bash
# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause
# Runs "isaaclab.sh -p <script> args..." without a simulator.
set -e
export ISAACLAB_PATH="$(cd "$(dirname "${{BASH_SOURCE[0]}}")" && pwd)"
[ "$1" = -p ] || {{ echo "only -p is offered here" >&2; exit 1; }}
exec "{python}" "{launch}" "${{@:2}}"
"""


PROJECT = """\
import gymnasium

gymnasium.register(
    id="Template-Reach-v0",
    entry_point="isaaclab.envs:ManagerBasedRLEnv",
    disable_env_checker=True,
    kwargs=dict(gymnasium.spec("Isaac-Ant-v0").kwargs),
)
for key in [key for key in gymnasium.registry["Template-Reach-v0"].kwargs if "dpcppo" in key]:
    del gymnasium.registry["Template-Reach-v0"].kwargs[key]
"""


def make_checkout(folder: Path, version: str = "2.3.2") -> Path:
    """Write the checkout; return the folder with train.py and play.py.

    Args:
        folder: Where its isaaclab.sh goes; made where it is missing.
        version: What its VERSION says.
    """
    scripts = _write_scripts(folder / "scripts" / "reinforcement_learning" / "rsl_rl", START)
    (folder / "source" / "isaaclab").mkdir(parents=True)
    (folder / "VERSION").write_text(version + "\n")
    command = folder / "isaaclab.sh"
    command.write_text(
        ISAACLAB_SH.format(python=sys.executable, launch=Path(__file__).resolve().with_name("launch.py"))
    )
    command.chmod(0o755)
    return scripts


def make_project(folder: Path) -> Path:
    """Write a project like those of Isaac Lab's template, with the task Template-Reach-v0; return where train.py is."""
    tasks = "import isaaclab_tasks  # registers the tasks\n"
    assert tasks in START
    scripts = _write_scripts(folder / "scripts" / "rsl_rl", START.replace(tasks, f"{tasks}import project_tasks\n"))
    (scripts / "project_tasks.py").write_text(HEADER + PROJECT)
    return scripts


def _write_scripts(folder: Path, start: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "cli_args.py").write_text(HEADER + CLI_ARGS)
    (folder / "train.py").write_text(HEADER + start.format(flags=TRAIN_FLAGS) + TRAIN)
    (folder / "play.py").write_text(HEADER + start.format(flags=PLAY_FLAGS) + PLAY)
    return folder

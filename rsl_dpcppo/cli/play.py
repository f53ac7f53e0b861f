# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Evaluate a trained policy, with the flags of Isaac Lab's script."""

from __future__ import annotations

from rsl_dpcppo.cli.arguments import parse_play
from rsl_dpcppo.cli.run_cfg import check_task
from rsl_dpcppo.cli.runs import find_device, load, make_policies
from rsl_dpcppo.cli.video import write_video
from rsl_dpcppo.config import check_noise
from rsl_dpcppo.errors import CheckpointError, ConfigError
from rsl_dpcppo.tasks.registry import find_task


def play(arguments: list[str]) -> None:
    """Evaluate a trained policy and film it."""
    args, overrides = parse_play(arguments)
    args.device = find_device(args.device)
    task = find_task(args.task)
    noise = check_noise("--noise", args.noise) if args.noise is not None else None
    trained = load(task, args, overrides)
    try:
        check_task(trained.checkpoint.parent, task.name)
    except CheckpointError as error:  # how a policy does on another task can be the question
        print(f"[WARNING] {error}")
    policies = make_policies(trained.runner, trained.cfg, noise, args.policy)
    folder = trained.checkpoint.parent / "play"
    folder.mkdir(exist_ok=True)
    task.report(policies, trained.runner.env, folder)
    trained.runner.env.close()
    if task.film and args.video_length:
        name, policy = [row for row in policies.items() if row[1].caption][-1]
        try:
            film = task.film(trained.env_cfg, policy, args.video_length, args.device, trained.cfg.seed)
            write_video(film, folder / "policy.mp4")
        except ConfigError as error:
            print(f"[WARNING] No video: {error}")
        else:
            print(f"[INFO] Video of {name}: {(folder / 'policy.mp4').resolve()}")

# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Play an exported policy in plain MuJoCo.

    python examples/deployment/play.py

Takes numpy, onnxruntime and mujoco; neither torch, nor RSL-RL, nor this package. The model is Gymnasium's half cheetah.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections import deque
from collections.abc import Callable
from pathlib import Path

import mujoco
import numpy as np
import onnxruntime

NUM_SUBSTEPS = 5
"""Physics steps of 0.01 s to an action, as in training."""

NUM_STEPS = 1000
"""Actions of an episode."""

CONTROL_COST = 0.1
"""Weight of the squared action in the reward, which is the speed in m/s beside it."""


class Policy:
    """policy.onnx: an observation, as the simulator gives it, to an action.

    The file holds the observation normaliser. Its second input, where it has one, is the noise that the flow starts
    from: standard normal, drawn anew for every step as in training, or zero, which makes the action a function of the
    observation.
    """

    def __init__(self, path: Path, noise: str = "random", seed: int = 0) -> None:
        """Read the file.

        Args:
            path: Where it is.
            noise: "random" or "zero"; without meaning for a file whose noise is baked in.
            seed: Seed of the noise.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # so small a network is slower on several
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        widths = {node.name: node.shape[1] for node in self._session.get_inputs()}
        self._noise_width, self._scale = widths.get("noise"), 1.0 if noise == "random" else 0.0
        self._rng = np.random.default_rng(seed)

    def __call__(self, observation: np.ndarray) -> np.ndarray:
        """Return the action to an observation. Shapes: [num_observations] to [num_actions]."""
        inputs = {"obs": observation[None].astype(np.float32)}
        if self._noise_width is not None:
            inputs["noise"] = self._scale * self._rng.standard_normal((1, self._noise_width), dtype=np.float32)
        return self._session.run(None, inputs)[0][0]


def observe(data: mujoco.MjData) -> np.ndarray:
    """Return what the policy sees: positions [m, rad] but for the way made so far, then velocities. Shape: [17]."""
    return np.concatenate((data.qpos[1:], data.qvel))


def to_control(action: np.ndarray, model: mujoco.MjModel) -> np.ndarray:
    """Clip an action to [-1, 1], and map it onto the range of the actuators, as training did. Shape: [num_actions]."""
    low, high = model.actuator_ctrlrange.T
    return low + (high - low) * (np.clip(action, -1.0, 1.0) + 1.0) / 2.0


def run_episode(
    policy: Callable[[np.ndarray], np.ndarray], model: mujoco.MjModel, seed: int, delay: int = 0
) -> tuple[float, float]:
    """Play an episode from a start near the model's own.

    Args:
        policy: Observation to action.
        model: The model.
        seed: Seed of the start.
        delay: Actions that a command comes too late.

    Returns:
        Undiscounted return, and the way made in m.
    """
    rng, data = np.random.default_rng(seed), mujoco.MjData(model)
    data.qpos += rng.uniform(-0.1, 0.1, model.nq)
    data.qvel += 0.1 * rng.standard_normal(model.nv)
    mujoco.mj_forward(model, data)
    start, earned = data.qpos[0], 0.0
    controls = deque([np.zeros(model.nu)] * delay)
    for _ in range(NUM_STEPS):
        controls.append(to_control(policy(observe(data)), model))
        data.ctrl[:] = controls.popleft()
        before = data.qpos[0]
        mujoco.mj_step(model, data, NUM_SUBSTEPS)
        speed = (data.qpos[0] - before) / (NUM_SUBSTEPS * model.opt.timestep)
        earned += speed - CONTROL_COST * float(np.square(data.ctrl).sum())
    return earned, float(data.qpos[0] - start)


def find_model() -> Path:
    """Return the file of Gymnasium's half cheetah, of which nothing is imported."""
    package = importlib.util.find_spec("gymnasium")
    if package is None or package.origin is None:
        raise SystemExit(
            "Error: --model is not given, and gymnasium, whose half cheetah it would be, is not installed."
        )
    return Path(package.origin).with_name("envs") / "mujoco" / "assets" / "half_cheetah.xml"


def main() -> None:
    """Play some episodes, and print what each earns."""
    parser = argparse.ArgumentParser(description="Play an exported policy in plain MuJoCo.", allow_abbrev=False)
    parser.add_argument(
        "--policy", type=Path, default=Path(__file__).with_name("half_cheetah.onnx"), help="policy.onnx"
    )
    parser.add_argument("--model", type=Path, help="MuJoCo's XML file (default: Gymnasium's half cheetah)")
    parser.add_argument("--episodes", type=int, default=5, help="number of episodes (default: %(default)s)")
    parser.add_argument("--noise", choices=("random", "zero"), default="random", help="noise (default: %(default)s)")
    parser.add_argument("--delay", type=int, default=0, help="actions that a command comes too late (default: 0)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first start, and of the noise (default: 0)")
    args = parser.parse_args()
    model = mujoco.MjModel.from_xml_path(str(args.model or find_model()))
    policy = Policy(args.policy, args.noise, args.seed)
    returns = []
    for seed in range(args.seed, args.seed + args.episodes):
        earned, way = run_episode(policy, model, seed, args.delay)
        returns.append(earned)
        print(
            f"start {seed}: return {earned:8.1f}, {way:6.1f} m in {NUM_STEPS * NUM_SUBSTEPS * model.opt.timestep:.0f} s"
        )
    print(f"mean return {np.mean(returns):.1f} ± {np.std(returns):.1f}")


if __name__ == "__main__":
    main()

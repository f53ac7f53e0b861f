# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Evaluation of policies on the multi-goal task: returns from the saddle points, goals reached, and a picture."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tensordict import TensorDict

from rsl_dpcppo.tasks.embedded.multi_goal import (
    DISTANCE_COST,
    GOAL_NAMES,
    GOAL_RADIUS,
    GOALS,
    MAX_STEPS,
    SADDLES,
    STEP_SIZE,
    goal_tensor,
    optimal_return,
    transition,
)
from rsl_dpcppo.tasks.task import Policy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Act = Callable[[TensorDict], torch.Tensor]
"""Maps observations of batch size [n] to actions of shape [n, 2]."""

OUTCOMES = (*GOAL_NAMES, "none")
"""Short names of the ways in which an episode can end: at one of the goals or at none."""

# Colours of Okabe and Ito, which readers with any common colour blindness can tell apart.
_OUTCOME_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#7F7F7F")
_ACTION_COLOR = "#0072B2"
_TEXT_COLOR = "#333333"

# The reach of one step is small next to the distance between the saddle points. It is enlarged in the picture by the
# largest factor for which the reaches do not overlap.
_ZOOM = 4.0


@dataclass
class Trajectories:
    """One episode from each of n starts."""

    positions: torch.Tensor
    """Positions before each step and after the last one. They stay at the goal once it is reached. Shape is
    [T + 1, n, 2]."""

    returns: torch.Tensor
    """Undiscounted returns. Shape is [n]."""

    goals: torch.Tensor
    """Indices of the goals at which the episodes ended, -1 for those that timed out. Long, shape is [n]."""


@dataclass
class SaddleReport:
    """How well a policy does from each of the five saddle points, in the order of `SADDLES`."""

    num_trajectories: int
    """Number of episodes from each saddle point."""

    mean_returns: list[float]
    """Mean undiscounted return from each saddle point."""

    standard_errors: list[float]
    """Standard errors of the mean returns."""

    outcome_shares: list[list[float]]
    """Shares of the episodes from each saddle point that end in each of `OUTCOMES`. Five rows that sum to 1."""

    optimal_returns: list[float]
    """Return of the best policy from each saddle point."""

    closed: Sequence[str] = ()
    """Names of goals that were not there."""

    @property
    def mean_return(self) -> float:
        """Mean of the mean returns over the saddle points."""
        return sum(self.mean_returns) / len(self.mean_returns)

    @property
    def standard_error(self) -> float:
        """Standard error of :attr:`mean_return`."""
        return math.hypot(*self.standard_errors) / len(self.standard_errors)

    @property
    def optimal_return(self) -> float:
        """Mean of the optimal returns over the saddle points."""
        return sum(self.optimal_returns) / len(self.optimal_returns)

    @property
    def origin_shares(self) -> list[float]:
        """Shares of the episodes from the origin that end in each of `OUTCOMES`."""
        return self.outcome_shares[0]

    @property
    def modes(self) -> dict[str, float]:
        """Share of the episodes from the origin that end at each goal that was there, by its name."""
        shares = dict(zip(OUTCOMES, self.origin_shares, strict=True))
        return {name: shares[name] for name in GOAL_NAMES if name not in self.closed}

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a dictionary that can be written as JSON."""
        return {
            "num_trajectories": self.num_trajectories,
            "mean_return": self.mean_return,
            "standard_error": self.standard_error,
            "optimal_return": self.optimal_return,
            "modes": self.modes,
            "saddles": [
                {
                    "position": list(saddle),
                    "mean_return": self.mean_returns[i],
                    "standard_error": self.standard_errors[i],
                    "optimal_return": self.optimal_returns[i],
                    "outcome_shares": dict(zip(OUTCOMES, self.outcome_shares[i], strict=True)),
                }
                for i, saddle in enumerate(SADDLES)
            ],
        }


@torch.inference_mode()
def rollout(policy: Act, starts: torch.Tensor, closed: Sequence[str] = ()) -> Trajectories:
    """Run one episode from each start.

    Args:
        policy: Act to run.
        starts: Start positions. Their device is the one that the policy is called on. Shape is [n, 2].
        closed: Names of goals that are not there.

    Returns:
        The trajectories.
    """
    goals = goal_tensor(starts.device, closed)
    positions = starts
    path = [positions]
    returns = torch.zeros_like(starts[:, 0])
    ended_at = torch.full_like(returns, -1, dtype=torch.long)
    for _ in range(MAX_STEPS):
        step = transition(positions, policy(_observe(positions)), goals)
        alive = ended_at < 0
        returns = returns + step.rewards * alive
        ended_at = torch.where(alive & step.reached, step.nearest, ended_at)
        # The last action of an episode moves the point as well, but nothing depends on where to.
        positions = torch.where((ended_at < 0)[:, None], step.positions, positions)
        path.append(positions)
    return Trajectories(torch.stack(path), returns, ended_at)


def evaluate(
    policy: Act, num_trajectories: int = 1024, device: torch.device | str = "cpu", closed: Sequence[str] = ()
) -> SaddleReport:
    """Measure what a policy earns from the saddle points and where it goes.

    Args:
        policy: Act to evaluate.
        num_trajectories: Number of episodes from each saddle point.
        device: Device of the observations that the policy gets.
        closed: Names of goals that are not there.

    Returns:
        The report.
    """
    if num_trajectories < 2:
        raise ValueError(f"num_trajectories is {num_trajectories}, but a standard error needs at least 2.")
    saddles = torch.tensor(SADDLES, device=device)
    trajectories = rollout(policy, saddles.repeat_interleave(num_trajectories, dim=0), closed)
    returns = trajectories.returns.cpu().double().view(len(SADDLES), num_trajectories)
    outcomes = _outcomes(trajectories).view(len(SADDLES), num_trajectories)
    shares = torch.nn.functional.one_hot(outcomes, len(OUTCOMES)).double().mean(dim=1)
    return SaddleReport(
        num_trajectories=num_trajectories,
        mean_returns=returns.mean(dim=1).tolist(),
        standard_errors=(returns.std(dim=1) / num_trajectories**0.5).tolist(),
        outcome_shares=shares.tolist(),
        optimal_returns=optimal_return(saddles, closed).tolist(),
        closed=closed,
    )


def format_table(reports: dict[str, SaddleReport]) -> str:
    """Format the reports of one or more policies as plain text.

    Args:
        reports: Reports by name of the policy.

    Returns:
        A table of the returns (one row per saddle point, one column per policy) and below it one of the outcomes from
        the origin (one row per policy).
    """
    if not reports:
        raise ValueError("reports is empty, but there must be at least one policy to compare.")
    columns = list(reports.values())

    rows = [["start", *reports, "optimum"]]
    for i, (x, y) in enumerate(SADDLES):
        figures = [f"{report.mean_returns[i]:.2f} ± {report.standard_errors[i]:.2f}" for report in columns]
        rows.append([f"({x:4.1f}, {y:4.1f})", *figures, f"{columns[0].optimal_returns[i]:.2f}"])
    figures = [f"{report.mean_return:.2f} ± {report.standard_error:.2f}" for report in columns]
    rows.append(["mean", *figures, f"{columns[0].optimal_return:.2f}"])
    returns = _align(rows)

    rows = [["policy", *OUTCOMES]]
    rows += [[name, *(f"{100 * share:.1f}" for share in report.origin_shares)] for name, report in reports.items()]

    return "\n".join(
        [
            "Mean undiscounted return (± standard error) from each saddle point",
            *returns[:-1],
            "-" * len(returns[0]),
            returns[-1],
            "",
            "Trajectories from the origin that end at each goal [%]",
            *_align(rows),
        ]
    )


def draw(
    policies: Mapping[str, Act],
    path: str | PathLike[str],
    num_trajectories: int = 64,
    num_first_actions: int = 512,
    device: torch.device | str = "cpu",
    closed: Sequence[str] = (),
) -> None:
    """Draw where the policies go from the saddle points.

    There is one row per policy: on the left trajectories from the origin, on the right the positions after the first
    action from each saddle point.

    Args:
        policies: Policies by name.
        path: PNG file to write.
        num_trajectories: Number of trajectories from the origin.
        num_first_actions: Number of first actions from each saddle point.
        device: Device of the observations that the policies get.
        closed: Names of goals that are not there.
    """
    # Imported here because everything else in this module works without matplotlib. The figure is used directly rather
    # than through pyplot, so that no window opens and the figures of the caller stay as they are.
    from matplotlib.figure import Figure

    if not policies:
        raise ValueError("policies is empty, but there must be at least one policy to draw.")
    figure = Figure(figsize=(10.0, 5.0 * len(policies) + 0.6), dpi=150)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    axes = figure.subplots(len(policies), 2, squeeze=False)
    for (left, right), (name, policy) in zip(axes, policies.items(), strict=True):
        _draw_trajectories(left, policy, num_trajectories, device, closed)
        left.set_title(f"{name}: {num_trajectories} trajectories from the origin", fontsize=11)
        _draw_first_actions(right, policy, num_first_actions, device)
        right.set_title(f"{name}: {num_first_actions} first steps per saddle point", fontsize=11)
    figure.supxlabel(
        "Left: number of trajectories that end at each goal; contours are the distance cost of a step.\n"
        f"Right: each + is a saddle point; steps and their reach (dashed) are drawn {_ZOOM:.0f} times as large.",
        fontsize=10,
        color=_TEXT_COLOR,
    )
    figure.savefig(path, format="png")


def report(policies: dict[str, Policy], folder: Path, device: str = "cpu", closed: Sequence[str] = ()) -> None:
    """Evaluate policies with 1,024 trajectories from each saddle point.

    Prints the table, writes its figures to ``evaluation.json``, and a picture of the policies that have a caption to
    ``multimodality.png``.

    Args:
        policies: Policies by name.
        folder: Where the files go.
        device: Device of the observations that the policies get.
        closed: Names of goals that are not there.
    """
    reports = {name: evaluate(policy, device=device, closed=closed) for name, policy in policies.items()}
    print(f"\n{format_table(reports)}\n")
    figures = {name: result.to_dict() for name, result in reports.items()}
    (folder / "evaluation.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    drawn = {policy.caption: policy for policy in policies.values() if policy.caption}
    draw(drawn, folder / "multimodality.png", device=device, closed=closed)
    print(f"[INFO] Picture: {(folder / 'multimodality.png').resolve()}")


def _observe(positions: torch.Tensor) -> TensorDict:
    """Return the observations at positions of shape [n, 2] as the environment gives them."""
    return TensorDict({"policy": positions}, batch_size=[len(positions)], device=positions.device)


def _outcomes(trajectories: Trajectories) -> torch.Tensor:
    """Return the index into `OUTCOMES` of each trajectory on the CPU. Shape is [n]."""
    goals = trajectories.goals.cpu()
    return torch.where(goals < 0, len(GOALS), goals)


def _align(rows: list[list[str]]) -> list[str]:
    """Join the cells of each row with the first column flush left and the others flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "   ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]


def _draw_trajectories(
    axes: Axes, policy: Act, num_trajectories: int, device: torch.device | str, closed: Sequence[str]
) -> None:
    """Draw trajectories from the origin over contours of the distance cost, with their number at each goal."""
    trajectories = rollout(policy, torch.tensor(SADDLES[:1], device=device).repeat(num_trajectories, 1), closed)
    positions = trajectories.positions.cpu().numpy()
    outcomes = _outcomes(trajectories)
    counts = outcomes.bincount(minlength=len(OUTCOMES)).tolist()

    # The origin is MAX_STEPS * STEP_SIZE = 6 from the farthest positions that a trajectory gets to.
    limit = MAX_STEPS * STEP_SIZE + 0.5
    line = torch.linspace(-limit, limit, 201)
    grid = torch.cartesian_prod(line, line)
    open_goals = goal_tensor("cpu", closed)[[name not in closed for name in GOAL_NAMES]]
    cost = DISTANCE_COST * torch.cdist(grid, open_goals).amin(dim=1).view(201, 201).T
    levels = [0.5 * i for i in range(9)]
    axes.contourf(line, line, cost, levels, cmap="Greys", vmin=0.0, vmax=9.0, extend="max")
    contours = axes.contour(line, line, cost, levels[1:], colors="white", linewidths=0.8)
    axes.clabel(contours, [1.0, 1.5], fontsize=8, colors=_TEXT_COLOR)

    for i, outcome in enumerate(outcomes.tolist()):
        color = _OUTCOME_COLORS[outcome]
        axes.plot(*positions[:, i].T, color=color, linewidth=1.0, alpha=0.6)
        axes.plot(*positions[-1, i], ".", color=color, markersize=4.0)
    for (x, y), name, count, color in zip(GOALS, GOAL_NAMES, counts, _OUTCOME_COLORS, strict=False):
        if name in closed:
            continue
        angle = torch.linspace(0.0, 2.0 * math.pi, 100)
        axes.plot(x + GOAL_RADIUS * angle.cos(), y + GOAL_RADIUS * angle.sin(), color=color, linewidth=2.0)
        axes.text(x, y, f"{name}\n{count}", ha="center", va="center", fontweight="bold", color=color)
    axes.plot(0.0, 0.0, "o", color="white", markeredgecolor=_TEXT_COLOR, markersize=6.0)
    axes.text(0.03, 0.03, f"none: {counts[-1]}", transform=axes.transAxes, fontweight="bold", color=_TEXT_COLOR)
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xlabel="x", ylabel="y")


def _draw_first_actions(axes: Axes, policy: Act, num_actions: int, device: torch.device | str) -> None:
    """Draw the positions after the first action from each saddle point."""
    with torch.inference_mode():
        starts = torch.tensor(SADDLES, device=device).repeat_interleave(num_actions, dim=0)
        moved = transition(starts, policy(_observe(starts)), goal_tensor(device)).positions
        points = (starts + _ZOOM * (moved - starts)).cpu().numpy()

    reach = _ZOOM * STEP_SIZE
    for x, y in SADDLES:
        box = [(x - reach, y - reach), (x + reach, y - reach), (x + reach, y + reach), (x - reach, y + reach)]
        axes.fill(*zip(*box, strict=True), facecolor="#F4F4F4", edgecolor="#AAAAAA", linestyle="--", zorder=1)
    axes.plot(*points.T, ".", color=_ACTION_COLOR, alpha=0.3, markersize=5.0, markeredgewidth=0.0, zorder=2)
    axes.plot(*zip(*SADDLES, strict=True), "P", color="white", markeredgecolor="black", markersize=6.5, zorder=3)

    limit = 4.1
    for (x, y), name, color in zip(GOALS, GOAL_NAMES, _OUTCOME_COLORS, strict=False):
        norm = math.hypot(x, y)
        dx, dy = x / norm, y / norm
        axes.annotate(
            name,
            xy=(0.97 * limit * dx, 0.97 * limit * dy),
            xytext=(2.9 * dx, 2.9 * dy),
            ha="center",
            va="center",
            color=color,
            fontweight="bold",
            arrowprops={"arrowstyle": "-|>", "color": color},
        )
    ticks = sorted({x for x, _ in SADDLES})
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=ticks, yticks=ticks)
    axes.set(xlabel="x", ylabel="y")

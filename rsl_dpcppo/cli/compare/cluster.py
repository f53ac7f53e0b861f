# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Trainings on a Ray cluster, whose files come here. Nothing is shared with its nodes but what Ray carries."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from rsl_dpcppo import __version__
from rsl_dpcppo.cli.compare.jobs import RUNNING, Job
from rsl_dpcppo.cli.compare.node import Training
from rsl_dpcppo.cli.compare.processes import GIB, Resources
from rsl_dpcppo.cli.compare.transfer import Inbox, read_files
from rsl_dpcppo.errors import ConfigError

LOST = -signal.SIGKILL
"""Exit status of a training whose node or process is gone."""

SECONDS_BETWEEN_POLLS = 1.0
"""How often a node is asked what is new."""

LOCAL = "local"
"""The address that is no cluster's: one of this machine alone is begun, and ends with this process."""

VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what a training sees of GPUs is set where it begins
    "RAY_worker_niceness": "0",  # a local one's trainings have the machine's time as those of --jobs have it
    "RAY_ENABLE_AUTO_CONNECT": "0",  # after the end, Tune would begin another one
    "RAY_AIR_NEW_OUTPUT": "0",  # Tune's old output says nothing if it is told to
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the trainings have logs
}
"""Ray's settings, unless the user has set them."""


def set_variables() -> None:
    """Set :data:`VARIABLES`, some of which Ray reads when it is imported."""
    for name, value in VARIABLES.items():
        os.environ.setdefault(name, value)


class Remote:
    """A training on a node, from here. Ray finds the node, and the methods raise what Ray raises."""

    def __init__(self, resources: Resources, node: Any = None) -> None:
        """Ask for a node.

        Args:
            resources: What the training takes there.
            node: Ray's strategy of finding it; None for Ray's own.
        """
        import ray

        self._resources = resources
        needs = ray_resources(resources)
        options: dict[str, Any] = {"num_cpus": needs["CPU"], "num_gpus": needs["GPU"]}
        if needs["memory"]:
            options["memory"] = needs["memory"]
        if node is not None:
            options["scheduling_strategy"] = node
        # What it does is not done again by Ray: the job is, from its last checkpoint.
        self._actor = ray.remote(Training).options(**options, max_restarts=0, max_task_retries=0).remote()
        self._version = self._actor.version.remote()

    def is_placed(self, seconds: float) -> bool:
        """Wait a while for the node; whether there is one.

        Raises:
            ConfigError: If it does not have this version of this package.
        """
        import ray

        if not ray.wait([self._version], timeout=seconds)[0]:
            return False
        try:
            version = ray.get(self._version)
        except ray.exceptions.RayActorError as error:
            if not error.actor_init_failed:
                raise
            raise ConfigError(
                f"A node of the Ray cluster cannot begin a training: {line_of(error, -1)}. Each needs rsl-dpcppo "
                f"{__version__}, as it is here."
            ) from None
        if version != __version__:
            raise ConfigError(f"A node of the Ray cluster has rsl-dpcppo {version}, and this machine {__version__}.")
        return True

    def begin(self, job: Job) -> None:
        """Start a job."""
        import ray

        self._inbox = Inbox(job.log)
        files, command = read_files(job.needs()), job.command()
        ray.get(
            self._actor.begin.remote(job.title, command, sys.executable, job.log.as_posix(), files, self._resources)
        )

    def poll(self, num_stops: int) -> int | None:
        """Write here what is new there; see :meth:`rsl_dpcppo.cli.compare.node.Training.poll`."""
        import ray

        pieces, status = ray.get(self._actor.poll.remote(num_stops))
        self._inbox.put(pieces)
        return status

    def close(self, seconds: float = 10.0) -> None:
        """Leave the node, and nothing there."""
        import ray

        with contextlib.suppress(ray.exceptions.RayError):
            if ray.wait([self._version], timeout=0)[0]:
                ray.wait([self._actor.close.remote()], timeout=seconds)
        ray.kill(self._actor)


class Cluster:
    """A Ray cluster, as a :class:`rsl_dpcppo.cli.compare.jobs.Place`. Ray itself says how many runs fit."""

    def __init__(self, num_jobs: int, resources: Resources, node: Any = None) -> None:
        """Begin with no training.

        Args:
            num_jobs: Number of all jobs.
            resources: What each takes.
            node: Ray's strategy of finding a node for each; None for Ray's own.
        """
        self.num_at_a_time = num_jobs
        self._resources, self._node = resources, node
        self._num_stops = 0

    @property
    def is_stopping(self) -> bool:
        """Whether :meth:`stop` was called."""
        return self._num_stops > 0

    def stop(self) -> None:
        """Tell all trainings to end, and begin no more."""
        self._num_stops += 1

    def run(self, job: Job, may_begin: Callable[[], bool]) -> int | None:
        """Run a job on a node; see :class:`rsl_dpcppo.cli.compare.jobs.Place`."""
        import ray

        remote = Remote(self._resources, self._node)
        try:
            while not remote.is_placed(SECONDS_BETWEEN_POLLS):
                if self.is_stopping:
                    return None
            if self.is_stopping or not may_begin():
                return None
            job.state = RUNNING
            remote.begin(job)
            while (status := remote.poll(self._num_stops)) is None:
                if self._num_stops > 1:
                    return -signal.SIGTERM
                time.sleep(SECONDS_BETWEEN_POLLS)
            return status
        except ray.exceptions.RayTaskError as error:  # such as a full disk there
            _note(job, f"[ERROR] {job.title}: its node failed: {line_of(error.cause or error, -1)}")
            return 1
        except ray.exceptions.RayError as error:
            _note(job, f"[WARNING] {job.title}: its process or its node is lost: {line_of(error, 0)}")
            return LOST
        finally:
            remote.close()


@contextlib.contextmanager
def connected(address: str, resources: Resources, num_cpus: int | None = None) -> Iterator[None]:
    """Be part of a Ray cluster.

    Args:
        address: "auto", "local", or the cluster's host and port.
        resources: What a run takes.
        num_cpus: CPUs that a local one counts; None for the machine's.

    Raises:
        ConfigError: If there is no cluster, or none of its nodes has what a run takes.
    """
    set_variables()
    import ray

    _check_address(address)
    options = {"num_cpus": num_cpus, "include_dashboard": False} if address == LOCAL else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        why = line_of(error, 0)
        if address == "auto" and isinstance(error, ConnectionError):
            why = "ray start --address=HOST:PORT makes this machine a node of one; --ray local needs none"
        raise ConfigError(f"--ray is '{address}', and there is no cluster here: {why}") from None
    try:
        _check_resources(ray.nodes(), resources)
        yield
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Refuse an address at which nobody listens, for which Ray would wait long.

    Raises:
        ConfigError: Says why.
    """
    host, _, port = address.rpartition(":")
    if address in ("auto", LOCAL):
        return
    if "://" in address or not host or not port.isdigit():
        raise ConfigError(
            f"--ray is '{address}'; it must be 'auto', 'local' or HOST:PORT, and this machine a node of that cluster: "
            "ray start --address=HOST:PORT"
        )
    try:
        socket.create_connection((host, int(port)), timeout=10.0).close()
    except OSError as error:
        raise ConfigError(f"--ray is '{address}', and nobody answers there: {error}") from None


def _check_resources(nodes: list[dict[str, Any]], resources: Resources) -> None:
    """Refuse runs that fit nowhere, for which Ray would wait forever.

    Raises:
        ConfigError: Says what the nodes have.
    """
    needs = ray_resources(resources)
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    if not any(all(node.get(name, 0) >= need for name, need in needs.items()) for node in alive):
        have = sorted({f"{_of_node(node)}" for node in alive})
        raise ConfigError(f"A run takes {resources}, which no node of the Ray cluster has: {'; '.join(have)}.")


def ray_resources(resources: Resources) -> dict[str, float]:
    """Return what a run takes by the names that Ray has for it, memory in bytes; 0 of what it does not ask for."""
    memory = int((resources.memory or 0) * GIB)
    return {"CPU": resources.cores or 1, "GPU": resources.gpus, "memory": memory}


def _of_node(node: dict[str, float]) -> Resources:
    gib = round(node.get("memory", 0) / GIB, 1)
    return Resources(int(node.get("CPU", 0)), node.get("GPU", 0.0), gib)


def line_of(error: object, number: int) -> str:
    """Return a line of an error's message."""
    return (str(error).strip().splitlines() or [repr(error)])[number][:300]


def _note(job: Job, text: str) -> None:
    """Add to a job's output."""
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("a", encoding="utf-8") as file:
        file.write(f"\n{text}\n")

# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""MuJoCo Playground (JAX) as a host: its tasks as environments of RSL-RL, on the same device as torch."""

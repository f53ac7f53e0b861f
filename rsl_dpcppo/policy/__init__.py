# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The residual kernel around a flow, and the model classes that RSL-RL builds from it."""

# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The flow policies of mjlab's camera tasks."""

from mjlab.rl.spatial_softmax import SpatialSoftmaxCNNModel

from rsl_dpcppo.bridge.public import find_class


class FlowFoldSpatialSoftmaxActor(find_class("FlowFoldCNNActor"), SpatialSoftmaxCNNModel):  # type: ignore[misc]
    """The same of DP-CPPO with rare folds."""


class FlowSpatialSoftmaxActor(find_class("FlowCNNActor"), SpatialSoftmaxCNNModel):  # type: ignore[misc]
    """Flow policy over images, as keypoints, and vectors. Fields: SpatialSoftmaxCNNModel's and the flow's."""

# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The flow policy of mjlab's camera tasks."""

from mjlab.rl.spatial_softmax import SpatialSoftmaxCNNModel

from rsl_dpcppo.policy.flow_actor import FlowCNNActor


class FlowSpatialSoftmaxActor(FlowCNNActor, SpatialSoftmaxCNNModel):
    """Flow policy over images, as keypoints, and vectors. Fields: SpatialSoftmaxCNNModel's and the flow's."""

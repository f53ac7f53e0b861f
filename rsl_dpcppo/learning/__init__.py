# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What every learner needs, whatever its algorithm and whatever hosts it: mini-batches, steps, random state, saving."""

# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""One thread for every test: the networks are tiny, and results do not depend on the number of cores."""

import torch

torch.set_num_threads(1)

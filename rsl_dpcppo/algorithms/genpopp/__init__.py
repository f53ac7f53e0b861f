# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""GenPO++ (arXiv 2606.06967): GenPO with a reversible solver in the place of the doubled action."""

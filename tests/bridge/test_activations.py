# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Activations are RSL-RL's, by its names."""

from __future__ import annotations

import pytest
from rsl_rl.utils import resolve_nn_activation

from rsl_dpcppo.config import ACTIVATIONS
from rsl_dpcppo.config.checks import check_activation
from rsl_dpcppo.errors import ConfigError
from rsl_dpcppo.flow.activation import make_activation


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_name_means_what_it_means_to_rsl_rl(name: str) -> None:
    for spelling in (name, name.upper()):
        check_activation("activation", spelling)
        assert repr(make_activation(spelling)) == repr(resolve_nn_activation(spelling))


def test_rsl_rl_knows_no_others() -> None:
    with pytest.raises(Exception, match="Invalid activation") as error:
        resolve_nn_activation("no such thing")
    known = str(error.value).partition("[")[2].rstrip("]'\"").replace("'", "").split(", ")
    assert not known[0] or set(known) == set(ACTIVATIONS)
    with pytest.raises(ConfigError, match="activation is 'no such thing'"):
        check_activation("activation", "no such thing")

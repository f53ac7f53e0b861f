# Copyright (c) 2026, The rsl-dpcppo authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Which releases of RSL-RL the package agrees to work with."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import pytest

from rsl_dpcppo.bridge import version


@pytest.mark.parametrize("release", ["3.0.1", "3.1.2", "3.3.0", "5.0.1", "5.4.2", "5.5.1"])
def test_supported_releases(release: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "version", lambda _: release)
    assert str(version.find_version()) == release


@pytest.mark.parametrize("release", ["2.3.3", "3.0.0", "4.0.1", "5.0.0", "5.6.0", "6.0.0"])
def test_unsupported_releases_are_named_with_the_range(release: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "version", lambda _: release)
    with pytest.raises(ImportError, match=rf"{release} is installed.*3\.0\.1.*5\.0\.1"):
        version.find_version()


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(version, "version", missing)
    with pytest.raises(ImportError, match="pip install"):
        version.find_version()

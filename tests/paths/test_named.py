"""Paths by name: each names itself where it is defined."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from equicoherence import paths
from equicoherence.paths import Compose, Perspective, Rotation, named_path, transformations
from equicoherence.paths.registry import PATHS, register_path

NEW = """
from equicoherence.paths.registry import register_path
from equicoherence.paths.transformations.affine import Rotation


@register_path("spin")
class Spin(Rotation):
    pass
"""


def test_the_names_stand_in_a_fixed_order() -> None:
    assert list(PATHS) == ["rotation", "translation", "se2", "scale", "color", "blur", "perspective", "all"]


@pytest.mark.parametrize("name", PATHS)
def test_every_name_gives_a_path_that_passes_its_own_check(name: str) -> None:
    named_path(name).check(batch=8)


def test_names_add_up() -> None:
    both = named_path("perspective+blur")
    assert isinstance(both, Compose)
    assert both.names == ("tilt_x", "tilt_y", "sigma")
    assert isinstance(named_path("perspective"), Perspective)


def test_an_unknown_name_is_quoted_with_those_there_are() -> None:
    expected = (
        "path 'shear' is unknown; choose one of rotation, translation, se2, scale, color, blur, perspective, all, or a "
        "sum such as se2+blur"
    )
    with pytest.raises(ValueError, match=expected.replace("+", r"\+")):
        named_path("se2+shear")


def test_a_new_path_is_one_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spinning.py").write_text(NEW)
    monkeypatch.setattr(transformations, "__path__", [str(tmp_path)])
    known = dict(PATHS)
    try:
        transformations.find()
        assert type(named_path("spin")).__name__ == "Spin"
        assert type(named_path("spin+blur")).__name__ == "Compose"
    finally:
        sys.modules.pop("equicoherence.paths.transformations.spinning", None)
        PATHS.clear()
        PATHS.update(known)


@pytest.mark.parametrize(("name", "message"), [("blur", "'blur' is taken by .*Blur"), ("a+b", r"'a\+b' holds a \+")])
def test_a_name_that_will_not_do_is_quoted(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        register_path(name)(Rotation)


def test_what_is_public_is_what_the_package_lists() -> None:
    assert all(hasattr(paths, name) for name in paths.__all__)

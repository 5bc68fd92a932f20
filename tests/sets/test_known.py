"""Readers are known by standing in the package, in a fixed order, and listing them loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import equicoherence
import equicoherence.data
from equicoherence.sets import DECLARATIONS

NAMES = [
    "ade20k", "camvid", "coco", "coco_images", "coco128", "davis_2016", "davis_2017", "kitti_depth", "mpii",
    "rendered_keypoints", "nyuv2", "nyuv2_labelled", "rendered_depth", "rendered_detection", "rendered_poses",
    "rendered_segmentation", "rendered_video", "7scenes", "spair", "tiny_imagenet_boxes", "turned", "vip",
    "voc2012", "photographs",
]  # fmt: skip


def run(code: str) -> str:
    """Run code in a process that finds the package's rooms and not what its front door loads."""
    place = Path(equicoherence.__file__).parent
    front = "import sys, types; sys.modules['equicoherence'] = door = types.ModuleType('equicoherence'); "
    done = subprocess.run(
        [sys.executable, "-c", f"{front}door.__path__ = [{str(place)!r}]\n{code}"], capture_output=True, text=True
    )
    assert not done.returncode, done.stderr
    return done.stdout


def test_all_data_sets_are_known_in_their_order() -> None:
    assert [declaration.name for declaration in DECLARATIONS] == NAMES


def test_listing_data_sets_loads_nothing_heavy() -> None:
    heavy = "('torch', 'torchvision', 'timm', 'pandas', 'h5py', 'scipy', 'yaml', 'numba', 'matplotlib')"
    loaded = run(f"import equicoherence.sets\nprint([name for name in {heavy} if name in sys.modules])")
    assert loaded.strip() == "[]"


def test_images_are_found_and_described_without_torch() -> None:
    code = "from equicoherence.data import ImageFolder, check_data, describe_images, open_images"
    assert run(f"{code}\nprint('torch' in sys.modules)").strip() == "False"
    assert run("from equicoherence.data import Loader\nprint(Loader.__name__, 'torch' in sys.modules)").split() == [
        "Loader",
        "True",
    ]


def test_a_reader_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from equicoherence.sets.declaration import Declaration\n"
        "MINE = Declaration('mine', 'depth', 'x', 'y', lambda root: False, lambda root, split: None)\n"
    )
    code = f"""
import importlib.util
spec = importlib.util.find_spec("equicoherence.sets")
spec.submodule_search_locations.append({str(tmp_path)!r})
module = importlib.util.module_from_spec(spec)
sys.modules["equicoherence.sets"] = module
spec.loader.exec_module(module)
print(*(declaration.name for declaration in module.DECLARATIONS))
"""
    assert run(code).split() == [*NAMES[:8], "mine", *NAMES[8:]]


def test_names_that_data_does_not_have_are_refused() -> None:
    assert set(equicoherence.data.__all__) <= set(dir(equicoherence.data))
    for name in equicoherence.data.__all__:
        assert getattr(equicoherence.data, name) is not None
    with pytest.raises(AttributeError, match=r"module 'equicoherence\.data' has no attribute 'nothing'"):
        equicoherence.data.nothing  # noqa: B018

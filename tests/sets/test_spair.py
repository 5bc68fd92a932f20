"""SPair-71k: pairs as its list has them, from a small tree, and what is said of damaged ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from equicoherence.data.source import TooManyBadImages
from equicoherence.downstream.spair.task import SemanticCorrespondence
from equicoherence.evaluation.task import no_bar
from equicoherence.sets.find import Found, find_sets
from equicoherence.sets.kinds import PointPairSet
from equicoherence.sets.photographs import PHOTOGRAPHS
from equicoherence.sets.spair import SPAIR, SPair
from tests.downstream.colour_regions import small_model

IMAGES = {"cat": ("2008_000001", "2008_000002", "2008_000003"), "bus": ("2009_000001", "2009_000002")}


def _annotation(category: str, source: str, target: str) -> dict[str, Any]:
    return {
        "src_imname": f"{source}.jpg",
        "trg_imname": f"{target}.jpg",
        "src_imsize": [60, 40, 3],
        "trg_imsize": [60, 40, 3],
        "src_bndbox": [5, 5, 50, 30],
        "trg_bndbox": [10, 4, 40, 36],
        "category": category,
        "kps_ids": ["0", "3"],
        "src_kps": [[7, 8], [20, 30]],
        "trg_kps": [[12, 9], [35, 33]],
        "mirror": 0,
    }


def write_spair(root: Path) -> list[Path]:
    """Write a tree of five images and three pairs in the published layout; return the annotations."""
    for category, names in IMAGES.items():
        (root / "JPEGImages" / category).mkdir(parents=True)
        for number, name in enumerate(names):
            pixels = np.random.default_rng(number).integers(0, 255, (5, 6, 3), dtype=np.uint8)
            Image.fromarray(np.kron(pixels, np.ones((8, 10, 1), np.uint8))).save(
                root / "JPEGImages" / category / f"{name}.jpg"
            )
    pairs = [("cat", 0, 1), ("cat", 2, 1), ("bus", 0, 1)]
    (root / "PairAnnotation" / "test").mkdir(parents=True)
    (root / "Layout" / "large").mkdir(parents=True)
    files = []
    for number, (category, source, target) in enumerate(pairs):
        names = IMAGES[category][source], IMAGES[category][target]
        files.append(root / "PairAnnotation" / "test" / f"{number:06}-{names[0]}-{names[1]}:{category}.json")
        files[-1].write_text(json.dumps(_annotation(category, *names)))
    (root / "Layout" / "large" / "test.txt").write_text("".join(f"{file.stem}\n" for file in files))
    return files


def _only(root: Path) -> Found:
    (found,) = find_sets(root, [SPAIR, PHOTOGRAPHS])
    return found


def test_pairs_and_images_are_those_of_the_list(tmp_path: Path) -> None:
    write_spair(tmp_path)
    data = _only(tmp_path).open("val")
    assert isinstance(data, PointPairSet)
    assert [data.name(i) for i in range(len(data))] == [
        "cat/2008_000001", "cat/2008_000002", "cat/2008_000003", "bus/2009_000001", "bus/2009_000002",
    ]  # fmt: skip
    assert [(pair.category, pair.source, pair.target) for pair in data.pairs] == [
        ("cat", 0, 1), ("cat", 2, 1), ("bus", 3, 4),
    ]  # fmt: skip
    pair = data.pairs[0]
    assert pair.length == 32, "the longer side of the target's box"
    assert pair.source_points.tolist() == [[7, 8], [20, 30]]
    assert pair.target_points.tolist() == [[12, 9], [35, 33]]
    assert data.image(4).shape == (40, 60, 3)


def test_it_is_scored_and_pairs_of_a_bad_image_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_spair(tmp_path)
    task = SemanticCorrespondence(pixels=32)
    score = task.score(small_model(), None, _only(tmp_path).open("val"), no_bar)
    assert score.counts == {"val": 5, "pairs": 3}
    assert {row.parameter for row in score.rows} == {"", "bus", "cat"}
    (tmp_path / "JPEGImages" / "cat" / "2008_000003.jpg").write_bytes(b"no image")
    data = _only(tmp_path).open("val", tolerance=0.5)
    assert task.score(small_model(), None, data, no_bar).counts == {"val": 5, "pairs": 2}
    assert "cat/2008_000003 is left out, and so are its pairs:" in capsys.readouterr().err
    with pytest.raises(TooManyBadImages):
        task.score(small_model(), None, _only(tmp_path).open("val"), no_bar)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"src_kps": None}, "KeyError 'src_kps'; category, src_imname"),
        ({"src_kps": [[1, 2]]}, r"shapes \(1, 2\) and \(2, 2\), not \(K, 2\) both"),
        ({"trg_kps": [["a", 2], [3, 4]]}, "trg_kps holds no numbers"),
        ({"trg_bndbox": [9, 9, 9, 9]}, r"trg_bndbox is \[9, 9, 9, 9\], not left, top, right and bottom"),
        ({"src_imname": "../../secret.jpg"}, "names 'cat/../../secret.jpg', which is not in"),
    ],
)
def test_a_damaged_annotation_is_named(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    first = write_spair(tmp_path)[0]
    contents = {**_annotation("cat", *IMAGES["cat"][:2]), **change}
    first.write_text(json.dumps({key: value for key, value in contents.items() if value is not None}))
    with pytest.raises(
        ValueError, match=rf"spair .val. .*1 of 3 pairs cannot be used, such as 000000-.*cat.json: .*{says}"
    ):
        _only(tmp_path).open("val")


def test_missing_files_are_named(tmp_path: Path) -> None:
    first, second, _ = write_spair(tmp_path)
    first.write_text("{")
    with pytest.raises(ValueError, match=r"such as 000000-.*cat.json: it is no json"):
        _only(tmp_path).open("val")
    second.unlink()
    with pytest.raises(ValueError, match=r"1 files are missing: .*000001-2008_000003-2008_000002:cat\.json"):
        _only(tmp_path).open("val")
    (tmp_path / "Layout" / "large" / "test.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"test\.txt lists no pairs"):
        SPair(tmp_path, "val")
    (tmp_path / "Layout" / "large" / "test.txt").unlink()
    assert SPAIR.is_here(tmp_path) is False


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    write_spair(tmp_path)
    (tmp_path / "JPEGImages" / "bus" / "2009_000002.jpg").unlink()
    with pytest.raises(ValueError, match=r"1 files are missing: .*bus/2009_000002\.jpg"):
        _only(tmp_path).open("val")

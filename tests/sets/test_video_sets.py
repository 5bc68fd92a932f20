"""Video sets are read from their published layouts, frame by frame, and what is missing is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equicoherence.data.source import BadImage
from equicoherence.rendering import render
from equicoherence.sets import Found, VideoSet, find_sets
from equicoherence.sets.davis import DAVIS_2016, DAVIS_2017, Davis
from equicoherence.sets.rendered_video import RENDERED_VIDEO, RenderedVideo
from equicoherence.sets.vip import VIP, VIP_FINE

SETS = (DAVIS_2016, DAVIS_2017, VIP_FINE, RENDERED_VIDEO)


def opened(found: Found) -> VideoSet:
    videos = found.open("val")
    assert isinstance(videos, VideoSet)
    return videos


def marked(videos: VideoSet, sequence: int, frame: int) -> np.ndarray:
    mask = videos.mask(sequence, frame)
    assert mask is not None
    return mask


def save(path: Path, pixels: np.ndarray, *, colours: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if colours:
        image.putpalette(list(range(256)) * 3)
    image.save(path)


def davis(root: Path, *, objects: tuple[int, ...] = (255,), resolution: str = "480p", colours: bool = False) -> Path:
    for name in ("bear", "goat"):
        for frame in range(3):
            save(root / "JPEGImages" / resolution / name / f"{frame:05}.jpg", np.full((8, 12, 3), 60 * frame, np.uint8))
            mask = np.zeros((8, 12), np.uint8)
            for column, number in enumerate(objects):
                mask[frame : frame + 2, 3 * column : 3 * column + 2] = number
            save(root / "Annotations" / resolution / name / f"{frame:05}.png", mask, colours=colours)
    return root


def listed(root: Path, where: str, text: str) -> Path:
    (root / where).parent.mkdir(parents=True, exist_ok=True)
    (root / where).write_text(text)
    return root


def test_davis_2016_has_one_object_for_whatever_is_marked(tmp_path: Path) -> None:
    (found,) = find_sets(davis(tmp_path), SETS)
    assert found.declaration is DAVIS_2016
    videos = opened(found)
    assert [videos.name(i) for i in range(len(videos))] == ["bear", "goat"]
    assert (videos.frames(1), videos.image(1, 2).mean(), marked(videos, 0, 1).tolist()[1][:3]) == (3, 120, [1, 1, 0])


def test_davis_2017_numbers_its_objects(tmp_path: Path) -> None:
    (found,) = find_sets(davis(tmp_path, objects=(1, 2), colours=True), SETS)
    assert found.declaration is DAVIS_2017
    assert np.unique(marked(opened(found), 0, 0)).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("ImageSets/2016/val.txt", "goat\n"),
        ("ImageSets/480p/val.txt", "/JPEGImages/480p/goat/00000.jpg /Annotations/480p/goat/00000.png\n" * 2),
        ("ImageSets/2017/val.txt", "goat\n"),
    ],
)
def test_davis_takes_the_sequences_of_its_list(tmp_path: Path, where: str, text: str) -> None:
    (found,) = find_sets(listed(davis(tmp_path, resolution="Full-Resolution"), where, text), SETS)
    assert found.declaration is (DAVIS_2017 if "2017" in where else DAVIS_2016)
    videos = opened(found)
    assert (len(videos), videos.name(0), videos.frames(0)) == (1, "goat", 3)


def test_both_years_are_found_where_both_lists_are(tmp_path: Path) -> None:
    root = listed(
        listed(davis(tmp_path, objects=(1, 2)), "ImageSets/2016/val.txt", "bear"), "ImageSets/2017/val.txt", ""
    )
    assert [found.declaration.name for found in find_sets(root, SETS)] == ["davis_2016", "davis_2017"]
    assert np.unique(Davis(root, "2016").mask(0, 0)).tolist() == [0, 1]
    with pytest.raises(ValueError, match=r"no sequence in .*2017/val\.txt"):
        Davis(root, "2017")


def test_masks_stored_in_colour_are_read(tmp_path: Path) -> None:
    root = davis(tmp_path)
    mask = np.zeros((8, 12, 4), np.uint8)
    mask[0, 0], mask[..., 3] = 255, 255
    save(root / "Annotations" / "480p" / "bear" / "00001.png", mask)
    assert Davis(root, "2016").mask(0, 1).sum() == 1
    with pytest.raises(BadImage, match=r"00001\.png: an image of shape \(8, 12, 4\), not a mask"):
        Davis(root, "2017").mask(0, 1)  # colors do not number objects
    mask[0, :2, :3] = (128, 0, 0), (0, 128, 0)
    save(root / "Annotations" / "480p" / "bear" / "00001.png", mask)
    with pytest.raises(BadImage, match="colors do not say which object is which"):
        Davis(root, "2016").mask(0, 1)


def test_what_is_missing_or_damaged_in_davis_is_named(tmp_path: Path) -> None:
    root = davis(tmp_path)
    (root / "Annotations" / "480p" / "bear" / "00001.png").write_bytes(b"nothing")
    with pytest.raises(BadImage, match=r"00001\.png: not a PNG"):
        Davis(root, "2016").mask(0, 1)
    (root / "Annotations" / "480p" / "bear" / "00001.png").unlink()
    with pytest.raises(ValueError, match=r"1 files are missing: .*00001\.png"):
        Davis(root, "2016")
    with pytest.raises(FileNotFoundError, match="no files"):
        Davis(listed(root, "ImageSets/2016/val.txt", "cow\n"), "2016")


def test_the_real_davis_is_read(shared_data: Callable[[str], Path]) -> None:
    (found,) = find_sets(shared_data("davis2016_val_240p"), SETS)
    assert found.declaration is DAVIS_2016
    videos = opened(found)
    assert (len(videos), sum(videos.frames(i) for i in range(len(videos)))) == (15, 1050)
    assert videos.image(0, 0).shape == (240, 427, 3)
    assert np.unique(marked(videos, 0, 0)).tolist() == [0, 1]


def vip(root: Path) -> Path:
    for frame in (1, 26, 51):
        save(root / "Images" / "videos7" / f"{frame:012}.jpg", np.full((8, 8, 3), frame, np.uint8))
    for frame in (1, 51):
        save(root / MASKS / "videos7" / f"{frame:012}.png", np.full((8, 8), 19, np.uint8))
    return listed(root, "lists/val_videos.txt", "videos7\n")


MASKS = "Annotations/Category_ids"


def test_vip_has_parts_in_some_frames(tmp_path: Path) -> None:
    vip(tmp_path / "VIP_Fine")
    (found,) = find_sets(tmp_path, SETS)
    assert found.declaration is VIP_FINE
    videos = opened(found)
    assert (len(videos.classes), videos.name(0), videos.frames(0)) == (19, "videos7", 3)
    assert [videos.mask(0, frame) is None for frame in range(3)] == [False, True, False]
    assert marked(videos, 0, 2).max() == 19


def test_what_is_missing_or_damaged_in_vip_is_named(tmp_path: Path) -> None:
    root = vip(tmp_path)
    save(root / MASKS / "videos7" / f"{51:012}.png", np.full((8, 8), 20, np.uint8))
    with pytest.raises(BadImage, match="numbers up to 20: expected one channel of 0 to 19"):
        VIP(root).mask(0, 2)
    (root / MASKS / "videos7" / f"{1:012}.png").unlink()
    with pytest.raises(ValueError, match=r"missing: .*000000000001\.png"):
        VIP(root)
    (root / "lists" / "val_videos.txt").write_text("videos8")
    with pytest.raises(FileNotFoundError, match=r"no files .*videos8"):
        VIP(root)
    (root / "lists" / "val_videos.txt").unlink()
    with pytest.raises(ValueError, match=r"missing: .*val_videos\.txt"):
        VIP(root)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("videos")
    render("procedural", out, views=2, size=32, paths=1, states=2, objects=5, workers=1)
    return out


def test_rendered_paths_become_videos_of_several_objects(rendered: Path) -> None:
    (found,) = find_sets(rendered, SETS)
    assert found.declaration is RENDERED_VIDEO
    videos = opened(found)
    assert videos.frames(0) == 4
    counts = set()
    for sequence in range(len(videos)):
        image, mask = videos.image(sequence, 0), marked(videos, sequence, 0)
        count = int(mask.max())
        counts.add(count)
        assert image.shape == (*mask.shape, 3) == (32, 32 + 24 * (count - 1), 3)
        assert np.unique(mask).tolist() == list(range(count + 1))
    assert counts == {2, 3}
    assert any((marked(videos, 0, 0) != marked(videos, 0, frame)).any() for frame in (1, 2, 3))


def test_an_object_covers_the_one_on_its_left(rendered: Path) -> None:
    videos = RenderedVideo(rendered)
    left, right = videos._sequences[0][1]
    masks = [np.load(path.folder / "dense.npz")[f"mask_path_{path.number}_1"] for path in (left, right)]
    pixels = np.array(Image.open(right.folder / f"path_{right.number}_image_1.jpg"))
    expected = np.zeros((32, 56), np.uint8)
    expected[:, :32] = masks[0]
    expected[:, 24:][masks[1] > 0] = 2
    assert (marked(videos, 0, 2) == expected).all()
    assert (videos.image(0, 2)[:, 24:][masks[1] > 0] == pixels[masks[1] > 0]).all()


def test_rendered_sets_without_paths_are_no_videos(rendered: Path, tmp_path: Path) -> None:
    render("procedural", tmp_path / "plain", views=2, size=32, objects=5, workers=1)
    assert find_sets(tmp_path / "plain", SETS) == []
    videos = RenderedVideo(rendered)
    dense = videos._sequences[0][1][0].folder / "dense.npz"
    whole = dense.read_bytes()
    dense.write_bytes(b"nothing")
    with pytest.raises(BadImage, match=r"dense\.npz: path_views cannot be read"):
        RenderedVideo(rendered)
    dense.write_bytes(whole)

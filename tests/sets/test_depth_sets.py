"""Depth sets are read in the layouts they are published in; what is missing or damaged is named."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equicoherence.data.source import BadImage
from equicoherence.rendering import render
from equicoherence.sets import DECLARATIONS, DepthSet, Found, find_sets
from tests.rendering.shapes import write_folder


def only(root: Path, name: str) -> Found:
    (found,) = (each for each in find_sets(root, DECLARATIONS) if each.declaration.name == name)
    return found


def opened(root: Path, name: str, split: str) -> DepthSet:
    found = only(root, name)
    opened = found.declaration.open(found.folder, split)  # type: ignore[arg-type]
    assert isinstance(opened, DepthSet)
    return opened


def write_image(path: Path, level: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 6, 3), level, dtype=np.uint8)).save(path)


def write_depth(path: Path, stored: int) -> None:
    """Write 4 x 6 numbers of 16 bits, all ``stored`` but one 0 at the start and one 65535 beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    depth = np.full((4, 6), stored, dtype=np.uint16)
    depth[0, :2] = 0, 65535
    Image.fromarray(depth).save(path)


def assert_depth(depth: np.ndarray, metres: float) -> None:
    """Assert that a map that `write_depth` wrote is read in metres, 0 where there is none."""
    assert depth.dtype == np.float32
    assert depth.shape == (4, 6)
    assert depth[0, :2].tolist() == [0, 0]
    np.testing.assert_allclose(depth.ravel()[2:], metres, rtol=1e-6)


@pytest.fixture
def seven_scenes(tmp_path: Path) -> Path:
    """The published layout of one scene: sequences, and two lists of them."""
    scene = tmp_path / "redkitchen"
    for sequence, count in ((1, 2), (2, 1), (14, 3)):
        for frame in range(count):
            stem = scene / f"seq-{sequence:02}" / f"frame-{frame:06}"
            write_image(stem.with_name(f"{stem.name}.color.png"), 10 * sequence + frame)
            write_depth(stem.with_name(f"{stem.name}.depth.png"), 1000 * sequence + frame)
    (scene / "TrainSplit.txt").write_text("sequence1\nsequence2\n")
    (scene / "TestSplit.txt").write_text("sequence14\n\n")
    return tmp_path


@pytest.fixture
def nyuv2(tmp_path: Path) -> Path:
    """The folders of BTS: two scenes below sync, one in the test split."""
    root = tmp_path / "nyu_depth_v2"
    for scene, count in (("sync/bathroom_0001", 2), ("sync/study_0003", 1), ("official_splits/test/bathroom", 2)):
        for frame in range(count):
            write_image(root / scene / f"rgb_{frame:05}.jpg")
            write_depth(root / scene / f"sync_depth_{frame:05}.png", 1500 + frame)
    return root


@pytest.fixture
def kitti(tmp_path: Path) -> Path:
    """KITTI's own folders: raw drives by date, depth maps by split; an image more than there are depth maps."""
    for split, drive, frames in (("train", "2011_09_26_drive_0001_sync", 2), ("val", "2011_10_03_drive_0047_sync", 1)):
        for frame in range(5, 5 + frames):
            write_depth(tmp_path / split / drive / f"proj_depth/groundtruth/image_02/{frame:010}.png", 2560 + frame)
        for frame in range(4, 5 + frames):
            write_image(tmp_path / drive[:10] / drive / f"image_02/data/{frame:010}.png", frame)
    return tmp_path


def test_a_scene_of_7_scenes_is_read_by_its_two_lists(seven_scenes: Path) -> None:
    train, val = (opened(seven_scenes, "7scenes", split) for split in ("train", "val"))
    assert [train.name(i) for i in range(len(train))] == [
        "seq-01/frame-000000",
        "seq-01/frame-000001",
        "seq-02/frame-000000",
    ]
    assert len(val) == 3
    assert (val.image(2) == 142).all()
    assert_depth(val.depth(2), 14.002)
    assert train.crop == ""


def test_frames_in_train_and_test_are_read_without_lists(tmp_path: Path) -> None:
    for folder, frames in (("train", (0, 4)), ("test", (8,))):
        for frame in frames:
            write_image(tmp_path / folder / f"frame-{frame:06}.color.jpg", frame)
            write_depth(tmp_path / folder / f"frame-{frame:06}.depth.png", 1250)
    train, val = (opened(tmp_path, "7scenes", split) for split in ("train", "val"))
    assert [train.name(i) for i in range(len(train))] == ["train/frame-000000", "train/frame-000004"]
    assert len(val) == 1
    assert_depth(val.depth(0), 1.25)


def test_a_list_of_7_scenes_that_cannot_be_used_is_named(seven_scenes: Path) -> None:
    path = seven_scenes / "redkitchen" / "TrainSplit.txt"
    path.write_text("seq-01\n")
    with pytest.raises(ValueError, match=r"TrainSplit.txt' holds 'seq-01': lines such as sequence1"):
        opened(seven_scenes, "7scenes", "train")
    path.write_text("sequence9\n")
    with pytest.raises(FileNotFoundError, match="seq-09"):
        opened(seven_scenes, "7scenes", "train")
    path.write_text("")
    with pytest.raises(ValueError, match="is empty"):
        opened(seven_scenes, "7scenes", "train")


def test_nyuv2_is_read_from_the_folders_of_bts(nyuv2: Path) -> None:
    train, val = (opened(nyuv2.parent, "nyuv2", split) for split in ("train", "val"))
    assert [train.name(i) for i in range(len(train))] == [
        "bathroom_0001/rgb_00000",
        "bathroom_0001/rgb_00001",
        "study_0003/rgb_00000",
    ]
    assert len(val) == 2
    assert val.image(1).shape == (4, 6, 3)
    assert_depth(val.depth(1), 1.501)
    assert (val.limits, val.crop) == ((0.001, 10.0), "eigen")


def test_nyuv2_without_sync_trains_on_the_official_images(nyuv2: Path) -> None:
    (nyuv2 / "sync").rename(nyuv2 / "official_splits" / "train")
    assert len(opened(nyuv2, "nyuv2", "train")) == 3
    (nyuv2 / "official_splits" / "train").rename(nyuv2 / "elsewhere")
    with pytest.raises(FileNotFoundError, match=r"rgb_\*\.png in .*train"):
        opened(nyuv2, "nyuv2", "train")


def test_an_image_without_its_depth_is_named(nyuv2: Path) -> None:
    (nyuv2 / "sync/study_0003/sync_depth_00000.png").unlink()
    with pytest.raises(ValueError, match=r"1 files are missing: .*sync_depth_00000.png"):
        opened(nyuv2, "nyuv2", "train")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: path.write_bytes(b"no image"), "not a PNG"),
        (lambda path: path.write_bytes(path.read_bytes()[:60]), "truncated|broken|image file"),
        (lambda path: Image.new("L", (6, 4)).save(path), "1 channels of 8 bits"),
        (lambda path: Image.new("RGB", (6, 4)).save(path), "3 channels of 8 bits"),
        (lambda path: path.unlink(), "cannot be read"),
    ],
)
def test_a_damaged_depth_map_is_named(nyuv2: Path, damage: Callable[[Path], object], says: str) -> None:
    val = opened(nyuv2, "nyuv2", "val")
    damage(nyuv2 / "official_splits/test/bathroom/sync_depth_00000.png")
    with pytest.raises(BadImage, match=f"sync_depth_00000.png: .*({says})"):
        val.depth(0)


def test_kitti_pairs_depth_maps_with_images_of_raw_drives(kitti: Path) -> None:
    train, val = (opened(kitti, "kitti_depth", split) for split in ("train", "val"))
    assert [train.name(i) for i in range(len(train))] == [
        "2011_09_26_drive_0001_sync/0000000005",
        "2011_09_26_drive_0001_sync/0000000006",
    ]
    assert (train.image(1) == 6).all()
    assert_depth(train.depth(1), 2566 / 256)
    assert len(val) == 1
    assert (val.limits, val.crop) == ((0.001, 80.0), "garg")


def test_kitti_follows_eigens_lists_where_they_are_there(kitti: Path) -> None:
    one, other = "2011_09_26_drive_0001_sync", "2011_10_03_drive_0047_sync"
    line = "2011_{}/{}/image_02/data/{:010}.png {} 721.5377\n"
    depth = "{}/proj_depth/groundtruth/image_02/{:010}.png"
    (kitti / "eigen_train_files_with_gt.txt").write_text(line.format("10_03", other, 5, depth.format(other, 5)))
    (kitti / "eigen_test_files_with_gt.txt").write_text(
        line.format("09_26", one, 4, "None") + line.format("09_26", one, 6, depth.format(one, 6))
    )
    train, val = (opened(kitti, "kitti_depth", split) for split in ("train", "val"))
    assert (train.name(0), len(train)) == (f"{other}/0000000005", 1)
    assert (val.name(0), len(val)) == (f"{one}/0000000006", 1)
    assert_depth(val.depth(0), 2566 / 256)
    (kitti / "eigen_train_files_with_gt.txt").write_text("only_an_image.png\n")
    with pytest.raises(ValueError, match=r"eigen_train.*: 1 of 1 lines cannot be used, .*'only_an_image.png'"):
        opened(kitti, "kitti_depth", "train")
    (kitti / "eigen_train_files_with_gt.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"0 files \*eigen_train_files_with_gt.txt"):
        opened(kitti, "kitti_depth", "val")


@pytest.mark.parametrize("split", ["", "/val"])
def test_kitti_is_read_as_bts_lays_it_out(tmp_path: Path, split: str) -> None:
    drive = "2011_09_26_drive_0001_sync"
    depth = f"{drive}/proj_depth/groundtruth/image_02/0000000005.png"
    write_image(tmp_path / "2011_09_26" / drive / "image_02/data/0000000005.png")
    write_depth(tmp_path / f"data_depth_annotated{split}" / depth, 2560)
    for name in ("train", "test"):
        line = f"2011_09_26/{drive}/image_02/data/0000000005.png {depth} 721.5377\n"
        (tmp_path / f"eigen_{name}_files_with_gt.txt").write_text(line)
    assert_depth(opened(tmp_path, "kitti_depth", "val").depth(0), 10)
    for name in ("train", "test"):
        (tmp_path / f"eigen_{name}_files_with_gt.txt").unlink()
    if split:
        assert_depth(opened(tmp_path, "kitti_depth", "val").depth(0), 10)
    with pytest.raises(FileNotFoundError, match=r"no files \*_sync.* in .*train' or .*data_depth_annotated/train'"):
        opened(tmp_path, "kitti_depth", "train")


def test_a_name_in_a_list_that_leads_out_of_the_folder_is_refused(kitti: Path) -> None:
    for name in ("train", "test"):
        (kitti / f"eigen_{name}_files_with_gt.txt").write_text("2011/../../secret.png depth.png 721\n")
    with pytest.raises(ValueError, match=r"names '2011/../../secret.png', which is not in"):
        opened(kitti, "kitti_depth", "val")


def test_kitti_without_its_raw_drives_is_incomplete(kitti: Path) -> None:
    (kitti / "2011_09_26").rename(kitti / "raw")
    with pytest.raises(ValueError, match=r"2 files are missing: .*image_02/data/0000000005.png"):
        opened(kitti, "kitti_depth", "train")


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Four images in MATLAB's file as it is published: axes the other way round; SPLITS.MAT counts from 1."""
    h5py, scipy = pytest.importorskip("h5py"), pytest.importorskip("scipy.io")
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "nyu_depth_v2_labeled.mat", "w") as file:
        file["images"] = rng.integers(0, 256, (4, 3, 6, 4), dtype=np.uint8)
        file["rawDepths"] = rng.uniform(1, 9, (4, 6, 4)).astype(np.float32)
        file["depths"] = np.ones((4, 6, 4), dtype=np.float32)
    split = {"trainNdxs": np.array([[3], [1]], dtype=np.uint16), "testNdxs": np.array([[2], [4]], dtype=np.uint16)}
    scipy.savemat(tmp_path / "splits.mat", split)
    return tmp_path


def test_labelled_nyuv2_is_read_from_its_one_file(labelled: Path) -> None:
    import h5py

    train, val = (opened(labelled, "nyuv2_labelled", split) for split in ("train", "val"))
    assert [train.name(i) for i in range(2)] == ["0001", "0003"]
    assert [val.name(i) for i in range(2)] == ["0002", "0004"]
    with h5py.File(labelled / "nyu_depth_v2_labeled.mat") as file:
        images, depths = np.asarray(file["images"]), np.asarray(file["rawDepths"])
    image, depth = train.image(1), train.depth(1)
    assert image.shape == (4, 6, 3)
    assert all(image[row, column, 1] == images[2, 1, column, row] for row in range(4) for column in range(6))
    assert all(depth[row, column] == depths[2, column, row] for row in range(4) for column in range(6))
    assert depth.dtype == np.float32


def test_the_split_of_labelled_nyuv2_may_be_two_lists(labelled: Path) -> None:
    (labelled / "splits.mat").unlink()
    with pytest.raises(FileNotFoundError, match=r"neither splits.mat .* nor train.txt and test.txt"):
        opened(labelled, "nyuv2_labelled", "train")
    (labelled / "train.txt").write_text("4\n1\n2\n")
    (labelled / "test.txt").write_text("5\n")
    assert [opened(labelled, "nyuv2_labelled", "train").name(i) for i in range(3)] == ["0001", "0002", "0004"]
    with pytest.raises(ValueError, match=r"names image 5, but .* holds 1 to 4"):
        opened(labelled, "nyuv2_labelled", "val")
    (labelled / "test.txt").write_text("one\n")
    with pytest.raises(ValueError, match=r"test.txt' holds 'one'"):
        opened(labelled, "nyuv2_labelled", "val")


def test_damaged_files_of_labelled_nyuv2_are_named(labelled: Path) -> None:
    splits = (labelled / "splits.mat").read_bytes()
    (labelled / "splits.mat").write_bytes(splits[:150])
    with pytest.raises(ValueError, match=r"splits.mat' cannot be read"):
        opened(labelled, "nyuv2_labelled", "train")
    (labelled / "splits.mat").write_bytes(splits)
    (labelled / "nyu_depth_v2_labeled.mat").write_bytes(b"MATLAB 7.3 MAT-file, cut short")
    with pytest.raises(ValueError, match=r"nyu_depth_v2_labeled.mat' cannot be used, fetch it again"):
        opened(labelled, "nyuv2_labelled", "train")


@pytest.mark.parametrize(
    ("module", "says"), [("h5py", r"equicoherence\[matlab\]"), ("scipy.io", r"equicoherence\[matlab\]")]
)
def test_what_labelled_nyuv2_needs_is_said(
    labelled: Path, monkeypatch: pytest.MonkeyPatch, module: str, says: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=says):
        opened(labelled, "nyuv2_labelled", "train")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendered")
    write_folder(folder / "meshes")
    render(folder / "meshes", folder / "set", views=2, size=16, workers=1)
    return folder / "set"


def test_depth_of_renders_is_in_radii(rendered: Path) -> None:
    train = opened(rendered, "rendered_depth", "train")
    depths = np.stack([train.depth(i) for i in range(len(train))])
    assert depths.dtype == np.float32
    assert depths.shape[1:] == (16, 16) == train.image(0).shape[:2]
    assert 2 < depths.min() < 3.2 < depths.max() < train.limits[1]  # the camera stands 3.2 radii away
    category, model, view = train.name(1).split("/")
    with np.load(rendered / category / model / "dense.npz") as dense:
        np.testing.assert_allclose(depths[1], dense[f"depth_{view}"] * float(dense["depth_step"]), rtol=1e-6)


def test_renders_whose_depth_is_missing_are_named(rendered: Path, tmp_path: Path) -> None:
    train = opened(rendered, "rendered_depth", "train")
    path = rendered / Path(train.name(0)).parent / "dense.npz"
    kept = path.read_bytes()
    try:
        with zipfile.ZipFile(path, "w") as dense, dense.open("boxes.npy", "w") as member:
            np.save(member, np.zeros(1))
        with pytest.raises(BadImage, match=r"dense.npz: depth_0 cannot be read"):
            train.depth(0)
    finally:
        path.write_bytes(kept)


def test_the_real_red_kitchen_is_found_in_its_archive(shared_data: Callable[[str], Path]) -> None:
    root = shared_data("sevenscenes_redkitchen")
    train, val = (opened(root, "7scenes", split) for split in ("train", "val"))
    assert (len(train), len(val)) == (175, 75)
    depth = val.depth(7)
    assert val.image(7).shape[:2] == depth.shape == (240, 320)
    assert 0.01 < (depth == 0).mean() < 0.4
    assert 0.5 < np.median(depth[depth > 0]) < 4

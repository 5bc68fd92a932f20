"""A rendered set has 3DIEBench's layout, is the same however it was made, and is never half there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from equicoherence.cli import main
from equicoherence.data import ThreeDIEBench
from equicoherence.drawing import ColouredMesh
from equicoherence.files import alone
from equicoherence.rendering import TooManyBadMeshes, render
from equicoherence.rendering import meshes as listing
from equicoherence.rendering import write as writing
from equicoherence.rendering.latent import interpolate, rotation_matrix
from equicoherence.rendering.mesh_file import BadMesh, read_mesh
from equicoherence.rendering.presets import PresetName

from .shapes import write_folder

SMALL = {"views": 3, "size": 32, "paths": 2, "states": 2, "workers": 1}


@pytest.fixture(scope="module")
def meshes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("meshes"))


@pytest.fixture(scope="module")
def rendered(meshes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sets") / "whole"
    render(meshes, out, **SMALL)
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_the_layout_is_that_of_3diebench(rendered: Path) -> None:
    folders = sorted(str(path.parent.relative_to(rendered)) for path in rendered.rglob("dense.npz"))
    assert folders == [f"{category}/box_{number}" for category in ("flat", "tall") for number in range(5)]
    for i in range(3):
        with Image.open(rendered / "tall" / "box_0" / f"image_{i}.jpg") as image:
            assert (image.size, image.mode, image.format) == ((32, 32), "RGB", "JPEG")
        latent = np.load(rendered / "tall" / "box_0" / f"latent_{i}.npy")
        assert latent.shape == (7,)
        assert np.abs(latent[:3]).max() <= np.pi / 2
    train, val = (np.load(rendered / f"{name}_images.npy").tolist() for name in ("train", "val"))
    assert val == ["/flat/box_4/", "/tall/box_4/"]
    assert train[:2] == ["/flat/box_0/", "/flat/box_1/"]
    assert np.load(rendered / "train_labels.npy").tolist() == [0] * 4 + [1] * 4
    assert np.load(rendered / "val_labels.npy").tolist() == [0, 1]


def test_dense_outputs_are_read_view_by_view(rendered: Path) -> None:
    with np.load(rendered / "flat" / "box_0" / "dense.npz", allow_pickle=False) as dense:
        assert (dense["depth_2"].dtype, dense["depth_2"].shape) == (np.uint16, (32, 32))
        assert (dense["normals_2"].dtype, dense["normals_2"].shape) == (np.int8, (32, 32, 3))
        mask, box = dense["mask_2"], dense["boxes"][2]
        rows, columns = np.nonzero(mask)
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert dense["intrinsics"].shape == (3, 3)
        assert dense["extrinsics"].shape == (4, 4)
        assert 2 < dense["depth_2"].min() * dense["depth_step"] < 3.3
        assert dense["depth_path_1_0"].shape == (32, 32)
        assert dense["path_boxes"].shape == (2, 2, 4)
        assert dense["floors"].shape == (3,)


def test_states_lie_between_their_views(rendered: Path) -> None:
    folder = rendered / "tall" / "box_3"
    with np.load(folder / "dense.npz") as dense:
        pairs = dense["path_views"]
    assert len({tuple(pair) for pair in pairs.tolist()}) == 2
    for j, (a, b) in enumerate(pairs):
        ends = [np.load(folder / f"latent_{view}.npy") for view in (a, b)]
        for k in range(2):
            state = np.load(folder / f"path_{j}_latent_{k}.npy")
            np.testing.assert_allclose(state, interpolate(ends[0], ends[1], (k + 1) / 3), atol=1e-12)
            with Image.open(folder / f"path_{j}_image_{k}.jpg") as image:
                assert image.size == (32, 32)


def test_workers_change_no_byte(meshes: Path, rendered: Path, tmp_path: Path) -> None:
    render(meshes, tmp_path / "two", **SMALL | {"workers": 2})
    assert contents(tmp_path / "two") == contents(rendered)


@pytest.mark.parametrize("stop", [1, 20, 47])
def test_an_interrupted_set_ends_as_an_uninterrupted_one(
    meshes: Path, rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    drawn, write = [], writing._write_jpeg

    def interrupted(*arguments) -> None:
        drawn.append(arguments)
        if len(drawn) == stop:
            raise KeyboardInterrupt
        write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(writing, "_write_jpeg", interrupted)
        with pytest.raises(KeyboardInterrupt):
            render(meshes, tmp_path / "set", **SMALL)
    assert len(list((tmp_path / "set").rglob("dense.npz"))) == (stop - 1) // 7, "only whole objects are there"
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "set").rglob("*.jpg")}
    render(meshes, tmp_path / "set", **SMALL)
    assert contents(tmp_path / "set") == contents(rendered)
    assert all(file.stat().st_mtime_ns == time for file, time in before.items()), "finished objects are kept"


@pytest.mark.parametrize(
    ("name", "reason"), [("dense.npz", "File is not a zip file"), ("image_1.jpg", "no whole image")]
)
def test_a_damaged_file_among_finished_objects_is_named_and_rendered_anew_as_the_message_says(
    name: str, reason: str, rendered: Path, meshes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shutil.copytree(rendered, tmp_path / "set")
    folder = out / "flat" / "box_2"
    (folder / name).write_bytes((folder / name).read_bytes()[:500])
    options = [f"--{option}={value}" for option, value in SMALL.items()]
    again = ["render", f"--meshes={meshes}", f"--out={out}", *options]
    assert main(again) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith(f"failed: {folder / name} is damaged (")
    assert line.endswith(f"{reason}): remove {folder} and give the same command again, which renders it anew")
    shutil.rmtree(folder)
    assert main(again) == 0
    assert contents(out) == contents(rendered)


def test_fewer_views_are_the_first_of_more(meshes: Path, rendered: Path, tmp_path: Path) -> None:
    render(meshes, tmp_path / "one", **SMALL | {"views": 1, "paths": 0, "objects": 1})
    found = contents(tmp_path / "one" / "tall" / "box_0")
    assert sorted(found) == ["dense.npz", "image_0.jpg", "latent_0.npy"]
    assert found["image_0.jpg"] == (rendered / "tall" / "box_0" / "image_0.jpg").read_bytes()


def test_another_seed_gives_other_views(meshes: Path, rendered: Path, tmp_path: Path) -> None:
    render(meshes, tmp_path / "other", **SMALL | {"seed": 1, "objects": 1})
    latents = [np.load(out / "flat" / "box_0" / "latent_0.npy") for out in (rendered, tmp_path / "other")]
    assert (latents[0] != latents[1]).all()


@pytest.mark.parametrize(("name", "value"), [("views", 4), ("size", 48), ("seed", 7), ("objects", 2)])
def test_a_set_made_otherwise_is_refused(meshes: Path, rendered: Path, name: str, value: int) -> None:
    with pytest.raises(ValueError, match=rf"{name} was .*, now {value}"):
        render(meshes, rendered, **SMALL | {name: value})


def test_other_meshes_are_refused(rendered: Path) -> None:
    with pytest.raises(ValueError, match="meshes_digest was"):
        render("procedural", rendered, **SMALL)


def test_a_folder_of_other_things_is_refused(meshes: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="not empty"):
        render(meshes, tmp_path, **SMALL)
    assert (tmp_path / "thesis.txt").exists()


def test_a_folder_that_another_process_renders_into_is_refused(meshes: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    with alone(out, "renders into"), pytest.raises(FileExistsError, match=r"another process renders into .*set: wait"):
        render(meshes, out, **SMALL)
    assert not out.exists()  # neither left anything in it


def test_a_set_of_which_nothing_was_finished_may_become_another(tmp_path: Path) -> None:
    meshes = write_folder(tmp_path / "meshes", objects=1)
    for path in (meshes / "flat" / "box_0.ply", meshes / "tall" / "box_0.glb"):
        path.write_bytes(b"no mesh")
    with pytest.raises(TooManyBadMeshes, match=r"none of 2 meshes can be drawn(.|\n)*Give other --meshes"):
        render(meshes, tmp_path / "set", **SMALL, bad_mesh_tolerance=1)
    shutil.rmtree(meshes)
    repaired = write_folder(meshes, objects=1)
    assert render(repaired, tmp_path / "set", **SMALL | {"views": 4}).is_file()


def test_the_share_that_is_advised_for_bad_meshes_is_enough(tmp_path: Path) -> None:
    meshes = write_folder(tmp_path / "meshes", objects=2)
    (meshes / "flat" / "box_1.ply").write_bytes(b"no mesh")
    with pytest.raises(TooManyBadMeshes) as refused:
        render(meshes, tmp_path / "set", **SMALL)
    share = re.search(r"--bad-mesh-tolerance (\S+);", str(refused.value))
    assert share is not None
    render(meshes, tmp_path / "set", **SMALL, bad_mesh_tolerance=float(share[1]))


@pytest.mark.parametrize("damage", [b"", b"\x00\xff binary", b"- a list\n", b"{views: [1", b"3"])
def test_a_damaged_manifest_is_named(meshes: Path, tmp_path: Path, rendered: Path, damage: bytes) -> None:
    out = shutil.copytree(rendered, tmp_path / "set")
    (out / "render.yaml").write_bytes(damage)
    with pytest.raises(ValueError, match=r"render\.yaml is damaged \(.*\): give another --out, or remove the folder$"):
        render(meshes, out, **SMALL)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"views": 0}, "views must be at least 1, got 0"),
        ({"size": 4}, "size must be between 16 and 2048, got 4"),
        ({"paths": 9}, "paths must be between 0 and 3, the number of pairs of 3 views, got 9"),
        ({"preset": "shapenet"}, "preset must be one of '3diebench', 'objects', got 'shapenet'"),
        ({"turn": 91.0}, "turn must be above 0 and at most 90 degrees, got 91"),
        ({"workers": 0}, "workers must be at least 1, got 0"),
        ({"objects": 0}, "objects must be at least 1"),
        ({"bad_mesh_tolerance": 2}, "got 2"),
    ],
)
def test_numbers_out_of_range_are_refused(meshes: Path, tmp_path: Path, options: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        render(meshes, tmp_path / "out", **SMALL | options)
    assert not (tmp_path / "out").exists()


def test_bad_meshes_are_named_and_left_out(tmp_path: Path) -> None:
    meshes = write_folder(tmp_path / "meshes")
    (meshes / "flat" / "box_1.ply").write_text("nonsense")
    with pytest.raises(TooManyBadMeshes, match="flat/box_1"):
        render(meshes, tmp_path / "set", **SMALL)
    render(meshes, tmp_path / "set", **SMALL, bad_mesh_tolerance=0.1)
    assert (tmp_path / "set" / "bad_meshes.txt").read_text().startswith("flat/box_1\tcannot be read")
    listed = np.load(tmp_path / "set" / "train_images.npy").tolist()
    assert "/flat/box_1/" not in listed
    assert len(listed) == 7
    assert np.load(tmp_path / "set" / "val_images.npy").tolist() == ["/flat/box_4/", "/tall/box_4/"]


def test_a_continued_set_lists_all_bad_meshes_and_none_where_all_can_be_read_at_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, out = write_folder(tmp_path / "meshes"), tmp_path / "set"

    def old_reader(path: Path, root: Path) -> ColouredMesh:
        if path.stem in unread:
            raise BadMesh("is of a kind that this reader does not know")
        return read_mesh(path, root)

    with monkeypatch.context() as patch:
        patch.setattr(listing, "read_mesh", old_reader)
        unread = {"box_1"}
        render(found, out, **SMALL, bad_mesh_tolerance=0.2)
        noted = (out / "bad_meshes.txt").read_text()
        assert [line.split("\t")[0] for line in noted.splitlines()] == ["flat/box_1", "tall/box_1"]
        shutil.rmtree(out / "flat" / "box_0")
        render(found, out, **SMALL, bad_mesh_tolerance=0.2)
        assert (out / "bad_meshes.txt").read_text() == noted
    render(found, out, **SMALL)
    assert not (out / "bad_meshes.txt").exists()
    assert len(np.load(out / "train_images.npy")) == 8


def test_a_mesh_edited_in_place_is_not_continued_with(tmp_path: Path) -> None:
    meshes = write_folder(tmp_path / "meshes", objects=1)
    render(meshes, tmp_path / "set", **SMALL)
    mesh = meshes / "flat" / "box_0.ply"
    data = bytearray(mesh.read_bytes())
    data[-1] ^= 1
    mesh.write_bytes(data)
    with pytest.raises(ValueError, match="meshes_digest was"):
        render(meshes, tmp_path / "set", **SMALL)


def test_the_contact_sheet_and_the_manifest_are_there(rendered: Path) -> None:
    with Image.open(rendered / "contact_sheet.png") as sheet:
        assert sheet.width > 10 * 128
        assert sheet.height > 10 * 128
        assert len(np.unique(np.asarray(sheet.resize((64, 64))).reshape(-1, 3), axis=0)) > 200
    manifest = yaml.safe_load((rendered / "render.yaml").read_text())
    assert manifest["views"] == 3
    assert manifest["meshes_listed"] == 10


def test_a_set_that_holds_no_object_out_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    render("procedural", tmp_path / "few", views=1, size=16, objects=1)
    assert "no object is held out" in capsys.readouterr().err
    render("procedural", tmp_path / "five", views=1, size=16, objects=5)
    assert "no object is held out" not in capsys.readouterr().err


def test_procedural_meshes_are_rendered(tmp_path: Path) -> None:
    render("procedural", tmp_path / "set", views=1, size=16, objects=1, workers=2)
    assert len(np.load(tmp_path / "set" / "train_images.npy")) == 20


def test_the_preset_objects_turns_about_the_vertical_under_a_sky(tmp_path: Path) -> None:
    render("procedural", tmp_path / "set", preset="objects", views=4, size=32, paths=2, objects=1, workers=1)
    folders = [path.parent for path in (tmp_path / "set").rglob("dense.npz")]
    latents = np.array([np.load(folder / f"latent_{i}.npy") for folder in folders for i in range(4)])
    assert not latents[:, [0, 2]].any()
    assert 0.45 * np.pi < np.abs(latents[:, 1]).max() <= np.pi / 2
    folder = tmp_path / "set" / "chair" / "0000"
    with np.load(folder / "dense.npz") as dense:
        assert (dense["depth_0"][0] == 65535).all()
        camera, place = dense["extrinsics"], dense["intrinsics"] @ dense["extrinsics"][:3, 3]
    assert np.linalg.norm(camera[:3, 3]) == pytest.approx(2.7)
    np.testing.assert_allclose(place[:2] / place[2], 16)
    state = rotation_matrix(np.load(folder / "path_1_latent_0.npy")[:3])
    np.testing.assert_allclose(state[1], [0, 1, 0], atol=1e-9, err_msg="states between stand upright too")
    with pytest.raises(ValueError, match="preset was 'objects', now None"):
        render("procedural", tmp_path / "set", views=4, size=32, paths=2, objects=1)
    with pytest.raises(ValueError, match="turn must be above 0 and at most 90 degrees, got 180"):
        render("procedural", tmp_path / "set", preset="objects", views=4, turn=180)


@pytest.mark.parametrize("preset", ["3diebench", "objects"])
def test_a_turn_of_30_degrees_gives_latents_within_that(meshes: Path, tmp_path: Path, preset: PresetName) -> None:
    render(meshes, tmp_path / "set", preset=preset, views=6, size=16, turn=30, workers=1)
    angles = np.array([np.load(file)[:3] for file in (tmp_path / "set").rglob("latent_*.npy")])
    assert np.radians(25) < np.abs(angles).max() <= np.radians(30)


def test_an_unfinished_set_is_no_data_set(meshes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*arguments) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("equicoherence.rendering.split._save", stopped)
        with pytest.raises(KeyboardInterrupt):
            render(meshes, tmp_path / "set", **SMALL)
    for split in ("train", "val"):
        with pytest.raises(FileNotFoundError, match="not been finished: run the same render again"):
            ThreeDIEBench(tmp_path / "set", split)
    render(meshes, tmp_path / "set", **SMALL)
    assert len(ThreeDIEBench(tmp_path / "set", "val")) == 2 * SMALL["views"]


def test_the_manifest_names_no_preset_where_the_scene_is_that_of_3diebench(rendered: Path) -> None:
    assert "preset" not in yaml.safe_load((rendered / "render.yaml").read_text())

"""Meshes are found in folders of any usual shape, with their colours; bad ones are named."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual.color import ColorVisuals

from equicoherence.rendering.mesh_file import BadMesh, fitted, read_mesh
from equicoherence.rendering.meshes import find_meshes
from equicoherence.rendering.split import write_splits

from .shapes import write_folder

QUAD = "v -1 0 -1\nv 1 0 -1\nv 1 0 1\nv -1 0 1\nvt 0.1 0.1\nvt 0.4 0.1\nvt 0.4 0.4\nvt 0.1 0.4\n"


def names(where: str | Path, **options: int) -> list[str]:
    return [entry.path for entry in find_meshes(where, **options).entries]


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_folder_of_categories(tmp_path: Path) -> None:
    write_folder(tmp_path, objects=2)
    assert names(tmp_path) == ["flat/box_0", "flat/box_1", "tall/box_0", "tall/box_1"]
    assert names(tmp_path, objects=1) == ["flat/box_0", "tall/box_0"]


def test_a_shapenet_tree(tmp_path: Path) -> None:
    for name in ("03001627/a1", "03001627/b2", "02691156/c3"):
        put(tmp_path / name / "models" / "model_normalized.obj", QUAD)
    assert names(tmp_path) == ["02691156/c3", "03001627/a1", "03001627/b2"]


def test_a_folder_of_several_files_gives_an_object_for_each(tmp_path: Path) -> None:
    for name in ("car/red/a.obj", "car/red/b.obj", "car/blue.obj", "loose.obj", "car/blue.ply", ".hidden/x/y.obj"):
        put(tmp_path / name, QUAD)
    assert names(tmp_path) == ["car/blue", "car/red-a", "car/red-b", "mesh/loose"]
    assert names(tmp_path / "loose.obj") == ["mesh/loose"]


def test_a_limit_counts_objects_with_all_their_meshes(tmp_path: Path) -> None:
    for name in ("car/blue/a.obj", "car/blue/b.obj", "car/red/a.obj", "car/red/b.obj", "car/z.obj", "hat/c.obj"):
        put(tmp_path / name, QUAD)
    assert names(tmp_path, objects=1) == ["car/blue-a", "car/blue-b", "hat/c"]
    assert names(tmp_path, objects=2) == ["car/blue-a", "car/blue-b", "car/red-a", "car/red-b", "hat/c"]


def test_several_meshes_of_an_object_are_on_one_side_of_the_split(tmp_path: Path) -> None:
    for number in range(10):
        for part in ("models/a", "models/b", "c")[: 1 + number % 3]:
            put(tmp_path / "meshes" / "car" / f"{number}" / f"{part}.obj", QUAD)
    for number in range(5):
        put(tmp_path / "meshes" / "hat" / f"{number}.obj", QUAD)
    write_splits(tmp_path, find_meshes(tmp_path / "meshes").entries, missing=["car/4-models-a"])
    train, val = (np.load(tmp_path / f"{name}_images.npy").tolist() for name in ("train", "val"))
    assert val == ["/car/4-models-b/", "/car/9/", "/hat/4/"]
    assert len(train) == 19 - 3 + 4
    assert "/car/4-models-a/" not in train


def test_procedural_objects_are_those_of_the_seed() -> None:
    one, two, other = (find_meshes("procedural", seed=seed, objects=1).entries[4].load() for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.vertices, two.vertices)
    assert one.vertices.shape != other.vertices.shape or (one.vertices != other.vertices).any()
    assert len(names("procedural")) == 20 * 75


def test_the_set_changes_its_digest_with_a_file(tmp_path: Path) -> None:
    put(tmp_path / "a" / "b.obj", QUAD + "f 1 2 3\n")
    before = find_meshes(tmp_path).digest
    assert find_meshes(tmp_path).digest == before
    put(tmp_path / "a" / "b.obj", QUAD + "f 1 2 3\nf 1 3 4\n")
    assert find_meshes(tmp_path).digest != before


def test_the_set_changes_its_digest_with_a_byte_of_a_mesh_or_of_a_material_and_not_with_its_place(
    tmp_path: Path,
) -> None:
    mesh = put(tmp_path / "here" / "a" / "b.obj", "mtllib b.mtl\n" + QUAD + "f 1 2 3\n")
    material = put(tmp_path / "here" / "a" / "b.mtl", "newmtl t\nKd 1 0 0\n")
    before = find_meshes(tmp_path / "here").digest
    shutil.copytree(tmp_path / "here", tmp_path / "there", copy_function=shutil.copyfile)
    assert find_meshes(tmp_path / "there").digest == before
    digests = {before}
    for file, old, new in ((mesh, "f 1 2 3", "f 1 2 4"), (material, "Kd 1 0 0", "Kd 0 1 0")):
        times = file.stat()
        file.write_text(file.read_text().replace(old, new))
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        digests.add(find_meshes(tmp_path / "here").digest)
    assert len(digests) == 3


def test_a_single_file_changes_its_digest_with_the_material_beside_it(tmp_path: Path) -> None:
    mesh = put(tmp_path / "a.obj", "mtllib m.mtl\n" + QUAD + "f 1 2 3\n")
    digests = set()
    for colour in ("1 0 0", "0 1 0"):
        put(tmp_path / "m.mtl", f"newmtl t\nKd {colour}\n")
        digests.add(find_meshes(mesh).digest)
    assert len(digests) == 2


def test_a_packed_set_with_its_split(tmp_path: Path) -> None:
    triangle = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    arrays = {"vertices": np.tile(triangle, (2, 1)), "faces": np.array([[0, 1, 2], [2, 1, 0]], np.int32)}
    arrays |= {"face_rgb": np.array([[255, 0, 0], [0, 0, 255]], np.uint8)}
    arrays |= {"vertex_offset": np.array([0, 3, 6]), "face_offset": np.array([0, 1, 2])}
    np.savez(tmp_path / "meshes.npz", **arrays, id=np.array(["a/one", "a/two"]))
    put(tmp_path / "index.csv", "id,split\na/one,val\na/two,train\n")
    one, two = find_meshes(tmp_path).entries
    assert (one.validation, two.validation) == (True, False)
    np.testing.assert_array_equal(two.load().face_colours, [[0, 0, 1]])
    np.savez(tmp_path / "meshes.npz", **arrays, id=np.array(["a/one", "../two"]))
    with pytest.raises(ValueError, match=r"'\.\./two'"):
        find_meshes(tmp_path)
    np.savez(tmp_path / "meshes.npz", **arrays, id=np.array(["a/one", "a/two"], dtype=object))
    with pytest.raises(ValueError, match="no packed set"):
        find_meshes(tmp_path)


def test_the_shared_meshes(shared_data) -> None:
    found = find_meshes(shared_data("lowpoly_meshes"))
    assert len(found.entries) == 1339
    assert sum(bool(entry.validation) for entry in found.entries) == 240
    assert found.digest == "04b85eb485df2702b1a59232a9612c7c"  # else sets that were rendered from them are refused


@pytest.mark.parametrize("where", ["nowhere", "empty"])
def test_nothing_there_is_refused(tmp_path: Path, where: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=where):
        find_meshes(tmp_path / where)


@pytest.mark.parametrize("suffix", ["ply", "glb"])
def test_vertex_colours_become_face_colours(tmp_path: Path, suffix: str) -> None:
    box = trimesh.creation.box()
    box.visual = ColorVisuals(box, vertex_colors=np.tile([200, 100, 50, 255], (8, 1)))
    box.export(tmp_path / f"box.{suffix}")
    mesh = read_mesh(tmp_path / f"box.{suffix}", tmp_path)
    np.testing.assert_allclose(mesh.face_colours * 255, np.tile([200, 100, 50], (12, 1)), atol=1)
    assert np.linalg.norm(mesh.vertices, axis=1).max() == pytest.approx(1)


def test_materials_of_an_obj_become_face_colours(tmp_path: Path) -> None:
    put(tmp_path / "m.mtl", "newmtl red\nKd 1 0 0\nnewmtl blue\nKd 0 0 1\n")
    path = put(tmp_path / "m.obj", "mtllib m.mtl\n" + QUAD + "usemtl red\nf 1/1 2/2 3/3\nusemtl blue\nf 1/1 3/3 4/4\n")
    assert sorted(read_mesh(path, tmp_path).face_colours.tolist()) == [[0, 0, 1], [1, 0, 0]]


def textured(folder: Path, reference: str) -> Path:
    put(folder / "m.mtl", f"newmtl t\nKd 1 1 1\nmap_Kd {reference}\n")
    return put(folder / "m.obj", "mtllib m.mtl\n" + QUAD + "usemtl t\nf 1/1 2/2 3/3\n")


def test_a_texture_is_read_at_the_centroid_from_beside_the_models_folder(tmp_path: Path) -> None:
    pixels = np.zeros((10, 10, 3), np.uint8)
    pixels[7:9, 2:4] = (0, 255, 0)  # the centroid has u = 0.3, and v = 0.2 from below
    (tmp_path / "c" / "o" / "images").mkdir(parents=True)
    Image.fromarray(pixels).save(tmp_path / "c" / "o" / "images" / "t.png")
    path = textured(tmp_path / "c" / "o" / "models", "../images/t.png")
    np.testing.assert_array_equal(read_mesh(path, tmp_path).face_colours, [[0, 1, 0]])


def test_a_texture_outside_the_given_folder_is_not_read(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), (0, 255, 0)).save(tmp_path / "secret.png")
    path = textured(tmp_path / "meshes", "../secret.png")
    assert read_mesh(path, tmp_path / "meshes").face_colours[0].tolist() != [0, 1, 0]
    assert read_mesh(path, tmp_path).face_colours[0].tolist() == [0, 1, 0]


def test_a_gltf_that_points_to_the_network_is_bad(tmp_path: Path) -> None:
    buffer = '{"uri": "http://localhost:9/x.bin", "byteLength": 36}'
    views = '[{"buffer": 0, "byteLength": 36}]'
    accessor = '{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}'
    path = put(
        tmp_path / "m.gltf",
        f'{{"asset": {{"version": "2.0"}}, "scene": 0, "scenes": [{{"nodes": [0]}}], "nodes": [{{"mesh": 0}}], '
        f'"meshes": [{{"primitives": [{{"attributes": {{"POSITION": 0}}}}]}}], "buffers": [{buffer}], '
        f'"bufferViews": {views}, "accessors": [{accessor}]}}',
    )
    with pytest.raises(BadMesh, match="cannot be read"):
        read_mesh(path, tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.obj", "not a mesh"), ("b.glb", "glTF?"), ("c.ply", "ply\nformat ascii 1.0\nend_header\n"), ("d.obj", QUAD)],
)
def test_files_without_a_mesh_are_bad(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(BadMesh):
        read_mesh(put(tmp_path / name, text), tmp_path)


@pytest.mark.parametrize(
    ("vertices", "faces", "reason"),
    [
        ([[0, 0, 0], [1, 0, 0], [0, np.nan, 0]], [[0, 1, 2]], "not finite"),
        ([[1, 1, 1]] * 3, [[0, 1, 2]], "one place"),
        ([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 7]], "vertex 7 of 3"),
        ([[0, 0, 0]], np.empty((0, 3), int), "no faces"),
    ],
)
def test_meshes_that_cannot_be_drawn_say_why(vertices: list, faces: list, reason: str) -> None:
    with pytest.raises(BadMesh, match=reason):
        fitted(np.array(vertices, float), np.array(faces), np.ones((len(faces), 3)))


def test_vertices_that_no_face_uses_do_not_count() -> None:
    mesh = fitted(np.array([[0.0, 0, 0], [2, 0, 0], [0, 2, 0], [99, 0, 0]]), np.array([[0, 1, 2]]), np.ones((1, 3)))
    np.testing.assert_allclose(mesh.vertices.max(0) + mesh.vertices.min(0), 0, atol=1e-6)
    assert len(mesh.vertices) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"face_rgb": np.zeros((1, 3), np.uint8)}, "shapes"),
        ({"faces": np.zeros((2, 3))}, "not of whole numbers"),
        ({"faces": np.zeros((1, 4), np.int32)}, "shapes"),
    ],
)
def test_arrays_of_a_packed_set_that_do_not_fit_are_a_bad_mesh(tmp_path, change, message):
    arrays = {
        "vertices": np.eye(3, dtype=np.float32),
        "faces": np.array([[0, 1, 2], [2, 1, 0]], np.int32),
        "face_rgb": np.zeros((2, 3), np.uint8),
        "vertex_offset": np.array([0, 3]),
        "face_offset": np.array([0, 2]),
        "id": np.array(["cube/one"]),
    }
    np.savez(tmp_path / "meshes.npz", **{**arrays, **change})
    (entry,) = find_meshes(tmp_path / "meshes.npz").entries
    with pytest.raises(BadMesh, match=message):
        entry.load()


def test_a_split_that_is_neither_train_nor_val_is_refused(tmp_path):
    arrays = {"vertices": np.eye(3, dtype=np.float32), "faces": np.array([[0, 1, 2]]), "id": np.array(["cube/one"])}
    arrays |= {
        "face_rgb": np.zeros((1, 3), np.uint8),
        "vertex_offset": np.array([0, 3]),
        "face_offset": np.array([0, 1]),
    }
    np.savez(tmp_path / "meshes.npz", **arrays)
    (tmp_path / "index.csv").write_text("id,split\ncube/one,test\n")
    with pytest.raises(ValueError, match="split of 'cube/one' is 'test', but must be train or val"):
        find_meshes(tmp_path / "meshes.npz")

"""Features of every image in a file: the encoder's own, in the data set's order, of no other image."""

import dataclasses
import json
import shutil
import sys
import zipfile

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from equicoherence.data import TooManyBadImages, open_images
from equicoherence.embedding import embed
from equicoherence.evaluation import load_model
from equicoherence.models import Encoder
from equicoherence.training import pretrain
from tests.small import picture_folder, small_config

MODEL = "timm:test_vit"  # 160 px, patches of 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return picture_folder(tmp_path_factory.mktemp("pictures") / "data", per_class=6)


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    config = small_config(folder, max_steps=1)
    config = dataclasses.replace(config, optim=dataclasses.replace(config.optim, batch_size=8))
    return pretrain(config, tmp_path_factory.mktemp("runs") / "run")


def read(path):
    if path.suffix == ".npz":
        return dict(np.load(path, allow_pickle=False).items())
    file = pq.ParquetFile(path)
    about = file.schema_arrow.metadata
    found = {"about": about[b"about"], "bad_images": file.metadata.metadata[b"bad_images"]}
    for field, column in zip(file.schema_arrow, file.read().columns):
        values = column.combine_chunks()
        if field.metadata:
            shape = json.loads(field.metadata[b"shape"])
            found[field.name] = values.flatten().to_numpy(zero_copy_only=False).reshape(len(values), *shape)
        else:
            found[field.name] = values.to_numpy(zero_copy_only=False)
    return found


def whole_images(folder, size):
    source = open_images(folder)
    pixels = np.stack([source.load(index, size).pixels for index in range(len(source))])
    return source, torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255


def test_data_in_two_folders_need_to_be_told_which(folder, tmp_path):
    for half in ("train", "val"):
        shutil.copytree(folder, tmp_path / "both" / half)
    with pytest.raises(ValueError, match=r"both' comes split, held out is folder 'val': give --split train or val"):
        embed(MODEL, tmp_path / "both", tmp_path / "f.npz", random_weights=True)
    embed(MODEL, tmp_path / "both", tmp_path / "f.npz", random_weights=True, split="val")
    assert len(read(tmp_path / "f.npz")["name"]) == len(open_images(tmp_path / "both", "val"))


@pytest.mark.parametrize("ending", [".npz", ".parquet"])
def test_each_row_holds_what_the_encoder_says_of_the_image_it_names(run, folder, tmp_path, ending):
    out = embed(run, folder, tmp_path / f"new/f{ending}", features="z_equi,patches,backbone,z_inv,z", batch=5)
    found, model = read(out), load_model(run)
    source, images = whole_images(folder, 32)  # pictures of 32 pixels, a model of 32: nothing is resampled
    with torch.no_grad():
        pooled, tokens = model.represent(images)
    for name, wanted in {**pooled, "patches": tokens["backbone"]}.items():
        assert found[name].dtype == np.float32
        assert found[name].shape == tuple(wanted.shape)
        assert np.allclose(found[name], wanted, atol=1e-5)
    assert list(found["name"]) == [source.name(index) for index in range(12)]
    assert np.array_equal(found["label"], source.labels)
    assert not found["bad"].any()
    about = json.loads(found["about"].item() if ending == ".npz" else found["about"])
    assert (about["classes"], about["grid"]) == (["disc", "square"], [4, 4])
    assert json.loads(found["bad_images"].item() if ending == ".npz" else found["bad_images"]) == {}
    assert [path.name for path in out.parent.iterdir()] == [out.name]  # nothing of its making stays


def test_both_kinds_of_file_hold_the_same_in_half_precision_too(folder, tmp_path):
    given = {"features": "cls,backbone", "dtype": "float16", "random_weights": True, "size": 32, "limit": 5}
    first, second = (read(embed(MODEL, folder, tmp_path / name, **given)) for name in ("f.npz", "f.parquet"))
    assert first["cls"].dtype == second["cls"].dtype == np.float16
    for name in ("name", "label", "bad", "cls", "backbone"):
        assert np.array_equal(first[name], second[name]), name
    assert len(first["name"]) == 5
    assert list(first["name"][[0, -1]]) == ["disc/000.png", "square/005.png"]


@pytest.mark.parametrize("ending", [".npz", ".parquet"])
def test_a_bad_image_has_no_features_and_never_those_of_its_substitute(folder, tmp_path, ending, capsys):
    shutil.copytree(folder, tmp_path / "data")
    (tmp_path / "data/disc/003.png").write_bytes(b"no picture")
    (tmp_path / "data/square/005.png").write_bytes(b"")
    given = {"random_weights": True, "size": 32, "batch": 4, "features": "backbone,patches"}
    found = read(embed(MODEL, tmp_path / "data", tmp_path / f"f{ending}", bad_image_tolerance=0.2, **given))
    whole = read(embed(MODEL, folder, tmp_path / f"whole{ending}", **given))
    assert np.array_equal(np.flatnonzero(found["bad"]), [3, 11])
    for name in ("backbone", "patches"):
        assert np.isnan(found[name][[3, 11]]).all()
        good = ~found["bad"]
        assert np.allclose(found[name][good], whole[name][good], atol=1e-5)
    assert found["name"][3] == "disc/003.png"
    bad = json.loads(found["bad_images"].item() if ending == ".npz" else found["bad_images"])
    assert sorted(bad) == ["disc/003.png", "square/005.png"]
    assert bad["square/005.png"] == "the file is empty"
    assert "2 of 12 images cannot be decoded" in capsys.readouterr().err
    with pytest.raises(TooManyBadImages, match=r"003\.png"):
        embed(MODEL, tmp_path / "data", tmp_path / f"none{ending}", **given)
    assert not list(tmp_path.glob("*none*"))  # nor half a file


def test_images_are_central_squares_as_evaluation_sees_them(folder, tmp_path):
    from PIL import Image

    (tmp_path / "data").mkdir()
    square = Image.open(folder / "disc/000.png")
    wide = Image.new("RGB", (64, 32))
    wide.paste(square, (16, 0))
    wide.save(tmp_path / "data/wide.png")
    square.save(tmp_path / "data/square.png")
    given = {"random_weights": True, "size": 32}
    square, wide = read(embed(MODEL, tmp_path / "data", tmp_path / "f.npz", **given))["backbone"]
    other = read(embed(MODEL, folder, tmp_path / "o.npz", **given))["backbone"][7]
    assert np.linalg.norm(square - wide) < 0.3 * np.linalg.norm(square - other)


def test_row_groups_are_bounded_and_values_lie_uncompressed(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("equicoherence.feature_files.ROW_GROUP", 1)
    given = {"random_weights": True, "size": 32, "batch": 5}
    file = pq.ParquetFile(embed(MODEL, folder, tmp_path / "f.parquet", **given))
    assert [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)] == [5, 5, 2]
    with zipfile.ZipFile(embed(MODEL, folder, tmp_path / "f.npz", **given)) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


def test_what_cannot_be_is_refused_before_anything_is_read(folder, run, tmp_path, monkeypatch):
    (tmp_path / "f.npz").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="--overwrite"):
        embed(run, folder, tmp_path / "f.npz")
    assert read(embed(run, folder, tmp_path / "f.npz", overwrite=True))["backbone"].shape == (12, 16)
    with pytest.raises(ValueError, match=r"must end in \.parquet or \.npz"):
        embed(run, folder, tmp_path / "f.csv")
    with pytest.raises(ValueError, match=r"feature 'cls' is none of .*: choose of backbone, z_inv, z_equi, z, patches"):
        embed(run, folder, tmp_path / "g.npz", features="backbone, cls")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'equicoherence\[parquet\]'"):
        embed(run, folder, tmp_path / "g.parquet")


def test_values_beyond_float16_are_no_infinities(folder, tmp_path):
    encoder = Encoder("test_vit", {"img_size": 32})
    encoder.model.norm.weight.data.fill_(1e6)  # type: ignore[union-attr]
    torch.save(encoder.model.state_dict(), tmp_path / "w.pt")
    given = {"arch": "test_vit", "size": 32}
    with pytest.raises(RuntimeError, match="backbone has values up to"):
        embed(tmp_path / "w.pt", folder, tmp_path / "f.npz", dtype="float16", **given)
    assert np.isfinite(read(embed(tmp_path / "w.pt", folder, tmp_path / "f.npz", **given))["backbone"]).all()

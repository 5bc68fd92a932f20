"""The layers task and ``--layer``: what an output scores by the other tasks, a layer scores by the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from equicoherence.coherence import CoherenceConfig
from equicoherence.evaluation import evaluate, load_model
from equicoherence.evaluation.frozen_model import at_layer, random_control
from equicoherence.evaluation.layers import every_layer as module
from equicoherence.evaluation.layers.every_layer import CLS, MEAN, OUTPUT, every_layer
from equicoherence.evaluation.layers.task import Layers
from equicoherence.evaluation.task import no_bar
from equicoherence.training import pretrain
from tests.evaluation.rows import QUICK, rows_of, values_of
from tests.small import picture_folder, small_config

SETTINGS: dict[str, dict[str, Any]] = {
    "layers": {"probes": ("linear",), "train": 30, "test": 9, "limit": 30},
    "transformation": QUICK["transformation"],
    "knn": {"limit": 30},
}


def scored(model: Any, folder: Path, *tasks: str, **more: Any) -> dict[str, Any]:
    settings = {task: SETTINGS[task] for task in tasks}
    given: dict[str, Any] = {"controls": False, "track": no_bar, "settings": settings}
    return evaluate(model, data=folder, tasks=tasks, **given | more)


def score_of(scores: dict[str, Any], metric: str, **fields: object) -> float:
    (value,) = values_of(scores, metric=metric, target="rotation" if metric == "r2" else "", **fields)
    return value


@torch.no_grad()
def test_representations_are_the_layers_pooled_a_few_images_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model("timm:vit_tiny_patch16_224", random_weights=True, size=32)
    images, blocks = torch.rand(5, 3, 32, 32), model.encoder.model.blocks
    seen: list[Tensor] = []
    hooks = [block.register_forward_hook(lambda block, given, output: seen.append(output)) for block in blocks]  # type: ignore[union-attr]
    output = model.represent(images)[0]["backbone"]
    for hook in hooks:
        hook.remove()
    monkeypatch.setattr(module, "CHUNK", 2)
    layered = every_layer(model)
    pooled, tokens = layered.represent(images)
    assert tokens == {}
    assert list(pooled) == [reading.name for reading in layered.readings()]
    norm: Any = model.encoder.model.norm
    for number, block in enumerate(seen):
        torch.testing.assert_close(pooled[f"layer {number}, {MEAN}"], norm(block)[:, 1:].mean(dim=1))
        torch.testing.assert_close(pooled[f"layer {number}, {CLS}"], norm(block)[:, 0])
    torch.testing.assert_close(pooled[f"{OUTPUT}, {CLS}"], output)
    depths = [reading.depth for reading in layered.readings()]
    assert depths == sorted(depths)
    assert (depths[0], depths[-2], depths[-1]) == (100 / 13, 1200 / 13, 100)


def test_each_layer_scores_what_it_scores_by_the_other_tasks(
    run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layers = scored(run, folder, "layers", out=tmp_path / "layers")
    assert "rotation r2: best at layer" in capsys.readouterr().err
    output = scored(run, folder, "transformation", "knn", out=tmp_path / "output")
    for metric in ("r2", "top1"):
        own = score_of(layers, metric, representation=OUTPUT)
        assert own == score_of(output, metric, representation="backbone")
        assert own == score_of(layers, metric, representation=MEAN, parameter=OUTPUT)
        target = "rotation" if metric == "r2" else ""
        points = rows_of(layers, metric=metric, target=target, representation=MEAN)
        assert [row["parameter"] for row in points] == [*(f"layer {n}" for n in range(5)), OUTPUT]
        assert [row["at"] for row in points] == pytest.approx([100 * n / 6 for n in range(1, 7)])
        best = max(row["value"] for row in points if row["parameter"] != OUTPUT)
        assert score_of(layers, metric, representation="best layer") == best
    for asked, number in ((1, 1), (-2, 3)):
        at = scored(run, folder, "transformation", "knn", layer=asked, out=tmp_path / str(asked))
        assert (at["layer"], at["name"]) == (number, f"small, layer {number}")
        for metric in ("r2", "top1"):
            point = score_of(layers, metric, representation=MEAN, parameter=f"layer {number}")
            assert score_of(at, metric, representation="backbone") == point
            assert {row["representation"] for row in rows_of(at)} == {"backbone"}, "heads behind it are left out"


def test_the_layers_of_a_run_whose_z_equi_reads_earlier_ones_are_scored_too(folder: Path, tmp_path: Path) -> None:
    task = CoherenceConfig(d_equi=8, decoder="render", layers=(2, 1), split="conv")
    run = pretrain(dataclasses.replace(small_config(folder, max_steps=1), coherence=task), tmp_path / "run")
    alone = scored(run, folder, "transformation", out=tmp_path / "alone")
    beside = scored(run, folder, "layers", "transformation", out=tmp_path / "beside")
    assert rows_of(beside, representation=OUTPUT)
    found, expected = (rows_of(scores, representation="z_equi", metric="r2") for scores in (beside, alone))
    assert found == expected != []


def test_each_image_passes_through_the_encoder_once(run: Path, folder: Path, tmp_path: Path) -> None:
    counts = []
    for tasks in (("transformation", "knn"), ("layers",)):
        model, seen = load_model(run), []
        model.encoder.model.conv1.register_forward_hook(lambda conv, given, output, seen=seen: seen.append(len(output)))  # type: ignore[union-attr]
        scored(model, folder, *tasks)
        counts.append(sum(seen))
    assert counts[0] == counts[1] >= 30 * 3 + 9 * 2 + 30


def test_what_the_output_tells_of_a_transformation_is_not_scored_again(run: Path, folder: Path) -> None:
    counts, found = [], []
    settings = {**SETTINGS, "transformation": SETTINGS["transformation"] | {"representations": ("backbone",)}}
    for tasks in (("transformation",), ("layers", "transformation"), ("layers",)):
        model, seen = load_model(run), []
        model.encoder.model.conv1.register_forward_hook(lambda conv, given, output, seen=seen: seen.append(len(output)))  # type: ignore[union-attr]
        own = {task: settings[task] for task in tasks}
        scores = scored(model, folder, *tasks, controls=True, settings=own)
        counts.append(sum(seen))
        found.append(rows_of(scores, task="transformation"))
    assert found[0] == found[1]
    assert {row["control"] for row in found[0]} == {"", "random"}
    assert counts[1] == counts[2] > counts[0]


def test_what_the_output_says_of_upright_images_is_not_encoded_again(run: Path, folder: Path) -> None:
    counts, found = [], []
    own = SETTINGS["transformation"] | {
        "transformations": ("rotation", "translation"),
        "representations": ("backbone",),
    }
    for tasks in (("layers", "transformation", "knn"), ("layers",), ("transformation", "knn")):
        model, seen = load_model(run), []
        model.encoder.model.conv1.register_forward_hook(lambda conv, given, output, seen=seen: seen.append(len(output)))  # type: ignore[union-attr]
        scores = scored(
            model,
            folder,
            *tasks,
            settings={task: own if task == "transformation" else SETTINGS[task] for task in tasks},
        )
        counts.append(sum(seen))
        found.append([*rows_of(scores, task="transformation"), *rows_of(scores, task="knn")])
    assert found[0] == found[2]
    assert {row["representation"] for row in found[0]} == {"backbone", "z_inv", "z_equi", "z"}
    assert counts[0] - counts[1] == 2 * (2 * 30 + 9), "of shifts the moved images alone, and those of noise"


def test_noise_is_read_at_the_output_and_the_best_layer_alone_as_it_is_by_the_other_task(
    run: Path, folder: Path, tmp_path: Path
) -> None:
    layers = scored(run, folder, "layers")
    assert {row["representation"] for row in rows_of(layers, metric="noise_r2")} == {OUTPUT, "best layer"}
    for target in ("rotation", "rotation, absolute"):
        points = rows_of(layers, metric="r2", target=target, representation=MEAN)
        best = max((row for row in points if row["parameter"] != OUTPUT), key=lambda row: row["value"])
        for title, layer in ((OUTPUT, None), ("best layer", int(best["parameter"].removeprefix("layer ")))):
            other = scored(run, folder, "transformation", layer=layer, out=tmp_path / f"{target}{title}")
            asked = {"metric": "noise_r2", "target": target, "parameter": ""}
            expected = values_of(other, representation="backbone", **asked)
            assert values_of(layers, representation=title, **asked) == expected != []


def test_the_output_is_read_by_several_probes_and_a_layer_by_one(run: Path, folder: Path) -> None:
    asked = SETTINGS["layers"] | {"probes": ("mlp",), "repeats": 2, "most": 2}
    layers = scored(run, folder, "layers", settings={"layers": asked})
    rows = rows_of(layers, metric="r2", target="rotation")
    assert [row["repeat"] for row in rows if row["representation"] == OUTPUT] == [0, 1]
    assert [row["repeat"] for row in rows if row["representation"] == "best layer"] == [0]
    assert [row["parameter"] for row in rows if row["representation"] == MEAN].count(OUTPUT) == 2
    settings = SETTINGS["transformation"] | {"probes": ("mlp",), "repeats": 2}
    output = scored(run, folder, "transformation", settings={"transformation": settings})
    own = values_of(output, metric="r2", target="rotation", representation="backbone", parameter="")
    assert own == [row["value"] for row in rows if row["representation"] == OUTPUT]


def test_a_constant_and_labels_that_are_missing(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = load_model(run)
    for weight in model.encoder.parameters():
        nn.init.zeros_(weight)
    plain = picture_folder(tmp_path / "labelled") / "disc"
    scores = scored(model, plain, "layers")
    assert "layers: k-NN is left out, for it needs labelled images" in capsys.readouterr().err
    assert rows_of(scores, metric="r2")
    assert not rows_of(scores, metric="top1")
    for row in rows_of(scores):
        assert row["value"] == pytest.approx(row["floor"], abs=1e-4)


def test_what_has_no_layers_and_what_needs_tokens_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="'attentive' reads patch tokens"):
        Layers(probes=("linear", "attentive"))
    with pytest.raises(ValueError, match="path 'rotaton' is unknown"):
        Layers(transformations=("rotaton",))
    flat: Callable[[], nn.Module] = lambda: nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())  # noqa: E731
    with pytest.raises(ValueError, match="Sequential is a module whose layers are not known"):
        scored(flat(), folder, "layers", size=32)
    with pytest.raises(ValueError, match="layer is 1, but Sequential is a module whose layers are not known"):
        scored(flat(), folder, "knn", size=32, layer=1)


def test_at_most_so_many_layers_are_given_at_equal_distances_the_last_among_them() -> None:
    model = load_model("timm:vit_tiny_patch16_224", random_weights=True, size=32)
    with torch.no_grad():
        whole = every_layer(model).represent(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))[0]
        some = every_layer(model, 3).represent(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))[0]
    assert list(some) == [f"layer {n}, {read}" for n in (3, 7, 11) for read in (MEAN, CLS)] + [f"{OUTPUT}, {CLS}"]
    assert all(torch.equal(some[name], whole[name]) for name in some)
    assert every_layer(model, 5).layers() == [2, 4, 7, 9, 11]
    assert every_layer(model, 20).layers() == [*range(12)]
    assert every_layer(model, 5, (3, 4, -4)).layers() == [2, 3, 4, 7, 8, 9, 11]
    assert {reading.depth for reading in every_layer(model, 2).readings()} == {600 / 13, 1200 / 13, 100}
    with pytest.raises(ValueError, match="most must be at least 1, got 0"):
        Layers(most=0)


def test_an_encoder_at_a_layer_keeps_its_class_token_and_its_random_weights_end_there_too() -> None:
    model = at_layer(load_model("timm:vit_tiny_patch16_224", random_weights=True, size=32), 4)
    assert (model.name, model.pool) == ("timm:vit_tiny_patch16_224, layer 4", "cls")
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(model.represent(images)[0]["backbone"], model.encoder(images).cls)  # type: ignore[arg-type]
    control = random_control(model)
    assert (control.encoder.ends_at, control.pool) == (4, "cls")
    assert len(every_layer(model).readings()) == 2 * 5 + 1
    assert every_layer(model, 2, (0,)).layers() == [0, 2, 4]
    with pytest.raises(ValueError, match=r"layer 7 comes after layer 4, which .*, layer 4 ends at"):
        every_layer(model, 2, (3, 7))
    with pytest.raises(ValueError, match="layer 12 does not exist in vit_tiny_patch16_224, which has 12"):
        load_model("timm:vit_tiny_patch16_224", random_weights=True, size=32, layer=12)


@pytest.mark.parametrize("arch", ["resnet10t", "vit_tiny_patch16_224"])
def test_tasks_on_data_sets_are_scored_at_a_layer(arch: str, camvid: Path, tmp_path: Path) -> None:
    settings = {"segmentation": {"pixels": 32, "steps": 2, "batch": 4, "lr": 1e-3}}
    given: dict[str, Any] = {"controls": False, "track": no_bar, "settings": settings, "random_weights": True}
    scores = evaluate(f"timm:{arch}", sets=camvid, tasks=["segmentation"], size=32, layer=1, out=tmp_path, **given)
    assert scores["layer"] == 1
    assert values_of(scores, metric="miou", parameter="")
    with pytest.raises(ValueError, match="holds scores for layer 1, these are for 2; give another --out"):
        evaluate(f"timm:{arch}", sets=camvid, tasks=["segmentation"], size=32, layer=2, out=tmp_path, **given)

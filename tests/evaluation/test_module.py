"""A module in memory: scored as the same network behind any other door, left as it is, and refused in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.downstream.correspondence.task import Correspondence, HomographyCorrespondence
from equicoherence.downstream.depth.task import Depth
from equicoherence.downstream.detection.task import Detection
from equicoherence.downstream.homography.task import HomographyEstimation
from equicoherence.downstream.hummingbird.task import Hummingbird
from equicoherence.downstream.keypoints.task import KeypointDetection
from equicoherence.downstream.localisation.task import Localisation
from equicoherence.downstream.looks.task import Looks
from equicoherence.downstream.segmentation.task import Segmentation
from equicoherence.downstream.spair.task import SemanticCorrespondence
from equicoherence.downstream.tokens import sized, stride
from equicoherence.downstream.video.task import VideoPropagation
from equicoherence.evaluation import evaluate, load_model
from equicoherence.evaluation.fingerprint import fingerprint
from equicoherence.evaluation.frozen_model import FrozenModel, random_control
from equicoherence.evaluation.module import as_frozen
from equicoherence.evaluation.task import Task, no_bar
from equicoherence.models import Encoder
from tests.downstream.bright_squares import SquareBoxes
from tests.downstream.colour_regions import ColourRegions
from tests.downstream.painted_spheres import MarkedNoise, PaintedSpheres
from tests.downstream.test_homography import Blobs
from tests.downstream.test_keypoints import Dots
from tests.evaluation.rows import QUICK, rows_of, values_of

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SEGMENTATION = Segmentation(pixels=32, steps=4, batch=4)


class Network(nn.Module):
    """A stem of stride 8, whose features are maps, their tokens or one vector."""

    def __init__(self, gives: str = "maps") -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.layers = nn.Sequential(nn.Conv2d(3, 12, 8, stride=8), nn.BatchNorm2d(12), nn.ReLU(), nn.Dropout(0.5))
        self.gives = gives

    def forward(self, images: Tensor) -> Any:
        maps = self.layers(images)
        tokens = maps.flatten(2).transpose(1, 2)
        return {
            "maps": maps,
            "tokens": tokens,
            "vectors": tokens.mean(dim=1),
            "a tuple": (maps, tokens),
            "one image": maps[:1],
            "class token": F.pad(tokens, (0, 0, 1, 0)),
            "48 tokens": tokens.repeat(1, 3, 1),
            "a number": maps.mean(),
        }[self.gives]


class ForwardFeatures(nn.Module):
    """A timm model whose forward gives the maps of its ``forward_features``."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.body = model

    def forward(self, images: Tensor) -> Tensor:
        return self.body.forward_features(images)  # type: ignore[operator]


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Path]:
    """Return a timm network and a file of its weights."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = timm.create_model("resnet10t", num_classes=0)
    path = tmp_path_factory.mktemp("weights") / "resnet10t.pt"
    torch.save(model.state_dict(), path)
    return model, path


@pytest.mark.usefixtures("in_float32")
def test_it_scores_what_the_same_network_scores_behind_another_door(
    resnet: tuple[nn.Module, Path], folder: Path, tmp_path: Path
) -> None:
    model, weights = resnet
    given: dict[str, Any] = {"data": folder, "tasks": ["transformation", "knn", "linear"], "settings": QUICK}
    given |= {"size": 64, "controls": False}
    file = evaluate(weights, arch="resnet10t", out=tmp_path / "file", **given)
    module = evaluate(ForwardFeatures(model), mean=MEAN, std=STD, out=tmp_path / "module", **given)
    encoder = Encoder("resnet10t")
    encoder.model.load_state_dict(model.state_dict())
    ours = evaluate(encoder, **given)
    assert len(rows_of(file)) == 7  # five of the transformation: the angle, its size, both on noise, and its side
    assert rows_of(ours) == rows_of(file)
    numbers = (
        "value",
        "floor",
        "interval",
    )  # in float32, the norms that an `Encoder` has in its convolutions change the last bits
    for one, other in zip(rows_of(module), rows_of(file), strict=True):
        assert {**one, **dict.fromkeys(numbers)} == {**other, **dict.fromkeys(numbers)}
        for name in numbers:
            known = other[name]
            assert one[name] == (None if known is None else pytest.approx(known, rel=1e-4))
    assert (module["model"], module["arch"], module["size"]) == ("ForwardFeatures", "ForwardFeatures", 64)
    assert (tmp_path / "module" / "scores.json").is_file()
    plain = evaluate(ForwardFeatures(model), **given)
    assert rows_of(plain) != rows_of(module), "without mean and std images are not normalised"


def test_maps_tokens_and_vectors_of_one_network_are_one_encoder(folder: Path, camvid: Path) -> None:
    given: dict[str, Any] = {"data": folder, "size": 32, "settings": QUICK, "controls": False}
    scores = [
        evaluate(Network(gives), tasks=["transformation", "knn"], **given) for gives in ("maps", "tokens", "vectors")
    ]
    assert rows_of(scores[0]) == rows_of(scores[1])
    assert values_of(scores[2]) == pytest.approx(values_of(scores[0]), abs=0.05)  # pooled in bfloat16
    dense = [
        evaluate(Network(gives), size=32, sets=camvid, tasks=[SEGMENTATION], controls=False, track=no_bar)
        for gives in ("maps", "tokens")
    ]
    assert rows_of(dense[0]) == rows_of(dense[1])
    assert {row["metric"] for row in rows_of(dense[0])} == {"miou", "accuracy", "iou"}


def test_nothing_is_written_and_the_module_left_as_it_was(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = Network().train()
    model.layers[0].weight.requires_grad_(False)  # type: ignore[union-attr]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(5)
    state = torch.get_rng_state()
    scores = evaluate(model, data=folder, size=32, tasks=["transformation", "knn"], settings=QUICK)
    assert list(tmp_path.iterdir()) == []
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [weight.requires_grad for weight in model.parameters()] == [False, True, True, True]
    assert torch.equal(torch.get_rng_state(), state)
    again = evaluate(model, data=folder, size=32, tasks=["knn"])
    assert values_of(again, task="knn", control="") == values_of(scores, task="knn", control=""), "in eval mode"


def test_the_random_control_is_the_module_with_its_layers_reset(folder: Path) -> None:
    model = Network()
    model.layers[1].running_mean += 3.0  # type: ignore[operator, union-attr]
    frozen = as_frozen(model, size=32)
    zero, again, one = (random_control(frozen, seed) for seed in (0, 0, 1))
    assert fingerprint(zero) == fingerprint(again) != fingerprint(one)
    assert fingerprint(frozen) == fingerprint(as_frozen(model, size=32)), "which it leaves as it was"
    assert not zero.encoder.model.layers[1].running_mean.any()  # type: ignore[index, operator, union-attr]
    given: dict[str, Any] = {"data": folder, "tasks": ["transformation"], "settings": QUICK, "size": 32}
    scores = evaluate(model, **given)
    own = evaluate(zero.encoder.model, controls=False, **given)  # type: ignore[arg-type]
    assert values_of(scores, control="random") == values_of(own) != values_of(scores, control="")


class Reset(nn.Module):
    """A module that begins one of its layers in its own way."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 8, stride=8)

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.layer.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images)


def test_a_module_is_reset_after_its_layers() -> None:
    assert not random_control(as_frozen(Reset(), size=32)).encoder.model.layer.bias.any()  # type: ignore[operator, union-attr]


class Positions(Network):
    """A network with a weight of its own, which no layer draws."""

    def __init__(self) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.randn(12, 4, 4))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images) + self.positions


def test_where_a_layer_cannot_draw_its_weights_there_is_no_control_and_a_line_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = evaluate(Positions(), data=folder, size=32, tasks=["knn"])
    assert [part["control"] for part in scores["parts"].values()] == [""]
    assert not scores["has_random_control"]
    assert "Positions: random weights are not scored" in capsys.readouterr().err
    evaluate(Positions(), data=folder, size=32, tasks=["knn"], controls=False)
    assert "random weights are not scored" not in capsys.readouterr().err
    assert evaluate(Network(), data=folder, size=32, tasks=["knn"], controls=False)["has_random_control"]


@pytest.mark.parametrize(
    ("gives", "quoted"),
    [
        ("a tuple", r"Network gives tuple for 2 images"),
        ("one image", r"Network gives \(1, 12, 4, 4\) for 2 images"),
        ("a number", r"Network gives \(\) for 2 images"),
        ("class token", r"\(2, 17, 12\), whose 17 tokens are no grid of square patches of an image of 32 x 32"),
        ("48 tokens", r"whose 48 tokens are no grid of square patches"),
    ],
)
def test_an_output_that_is_no_feature_of_images_is_quoted(gives: str, quoted: str, folder: Path) -> None:
    wanted = r": give a tensor \(B, C\), \(B, N, C\) of all patches without class token, or \(B, C, h, w\)$"
    with pytest.raises(ValueError, match=quoted + ".*" + wanted) as told:
        evaluate(Network(gives), data=folder, size=32, tasks=["knn"])
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("options", "quoted"),
    [
        ({"size": None}, r"size is None: say how many pixels on a side the module takes \(size=224\)"),
        ({"size": 0}, "size is 0"),
        ({"size": 4}, r"Network does not take images \(B, 3, 4, 4\): .*Kernel size"),
        ({"mean": (0.5,)}, r"mean must hold a number for each of the 3 channels, got \(0.5,\)"),
        ({"std": (0.5, 0.5, 0.0)}, "std must be above 0 in all channels"),
        ({"arch": "resnet18"}, "arch: given, but of no effect for Network; leave it out"),
        ({"random_weights": True}, "random_weights: given, but of no effect for Network"),
    ],
)
def test_options_that_cannot_be_or_do_nothing_are_quoted(options: dict[str, Any], quoted: str, folder: Path) -> None:
    with pytest.raises(ValueError, match=quoted):
        evaluate(Network(), data=folder, tasks=["knn"], **{"size": 32, **options})


def test_what_a_loaded_model_says_itself_is_not_said_again(run: Path, folder: Path) -> None:
    frozen = load_model(run)
    with pytest.raises(ValueError, match="size: given, but of no effect for FrozenModel"):
        evaluate(frozen, data=folder, tasks=["knn"], size=32)
    with pytest.raises(ValueError, match="resnet10t normalises images by its own"):
        evaluate(Encoder("resnet10t"), data=folder, tasks=["knn"], size=64, mean=MEAN)
    with pytest.raises(
        ValueError, match="vit_tiny_patch16_224 does not take images of 64 x 64 pixels, as it is built for 224 x 224"
    ):
        evaluate(Encoder("vit_tiny_patch16_224"), data=folder, tasks=["knn"], size=64)


def test_a_loaded_model_is_scored_on_one_data_set_after_another(run: Path, folder: Path, renders: Path) -> None:
    """What was read of the first is not taken for the second, even after an interruption."""
    frozen = load_model(run)

    def interrupted(sequence: Any, what: str) -> Any:
        if "training" in what or "neighbours" in what or interrupted.lines:  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        interrupted.lines += 1  # type: ignore[attr-defined]
        return sequence

    interrupted.lines = 0  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        evaluate(frozen, data=folder, tasks=["knn"], controls=False, track=interrupted)
    assert frozen.memo == {}
    found = [
        values_of(evaluate(model, data=renders, tasks=["knn"], controls=False)) for model in (frozen, load_model(run))
    ]
    assert found[0] == found[1]
    assert frozen.memo == {}


DENSE = [
    Segmentation(pixels=32, steps=1),
    Segmentation(encoder="fine-tuned", pixels=32, tuned_steps=1, tuned_batch=2),
    Depth(pixels=32, steps=1),
    Detection(pixels=32, steps=1),
    KeypointDetection(pixels=32, steps=1),
    HomographyEstimation(pixels=32, steps=1, pairs=4, test_pairs=4),
    Hummingbird(pixels=32),
    HomographyCorrespondence(tokens=2, pairs=4),
    Correspondence(tokens=2),
    SemanticCorrespondence(pixels=32),
    Localisation(pixels=32, steps=1),
    Looks(pixels=32, among=6, neighbours=2),
    VideoPropagation(pixels=32),
]


@pytest.mark.parametrize("task", DENSE, ids=lambda task: f"{task.name} {task.protocol}".split(",")[0])
def test_a_module_that_gives_one_vector_an_image_is_refused_by_every_task_on_patch_tokens(task: Task) -> None:
    model = as_frozen(Network("vectors"), size=32)
    sets = {"keypoints": Dots(4, 0), "detection": SquareBoxes(4, 0), "spair": MarkedNoise(2)}
    data = {**sets, "correspondence": PaintedSpheres(np.eye(3))}.get(task.name, ColourRegions(6, 0))
    with pytest.raises(
        ValueError, match=r"^Network gives one vector an image, but this task reads patch tokens"
    ) as told:
        task.score(model, data, data, no_bar)
    assert "\n" not in str(told.value)


class OneSize(Network):
    """A network that takes images of 32 pixels alone."""

    def forward(self, images: Tensor) -> Tensor:
        assert images.shape[2:] == (32, 32), "images of 32 x 32 alone"
        return super().forward(images)


class Averaged(Network):
    """A network whose last map is one, whatever the image."""

    def forward(self, images: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(super().forward(images), 1)


def frozen(model: nn.Module, size: int = 32) -> FrozenModel:
    return as_frozen(model, size=size)


def test_the_stride_of_a_module_is_told_from_its_grid(resnet: tuple[nn.Module, Path]) -> None:
    assert stride(frozen(Network()).encoder, 32) == 8
    assert stride(frozen(Network("tokens")).encoder, 32) == 8
    assert stride(frozen(OneSize()).encoder, 32) == 8
    assert stride(frozen(ForwardFeatures(resnet[0]), 48).encoder, 48) == 32, "48 pixels give 2 tokens"
    with pytest.raises(ValueError, match="Averaged gives one vector an image"):
        stride(frozen(Averaged()).encoder, 32)
    with pytest.raises(ValueError, match="OneSize takes images of 32 x 32 pixels, but not of 32 x 64 as asked"):
        sized(frozen(OneSize()).encoder, (32, 64))


def test_tokens_of_images_that_are_no_squares_lie_on_a_grid_of_their_aspect() -> None:
    images = torch.rand(2, 3, 24, 64)
    features = [frozen(Network(gives)).encoder(images) for gives in ("maps", "tokens")]
    assert [each.grid for each in features] == [(3, 8), (3, 8)]
    assert torch.equal(features[0].patches, features[1].patches)


def test_fine_tuning_trains_a_frozen_module_too_and_leaves_it_as_it_was() -> None:
    """Else the score called fine-tuned would be one of a frozen encoder."""
    model = frozen(Network().requires_grad_(False))
    before = fingerprint(model)
    few: dict[str, Any] = {"pixels": 32, "steps": 8, "batch": 8, "test_pairs": 8, "pairs": 8}
    still, moved = (
        HomographyEstimation(encoder="fine-tuned", encoder_lr=rate, **few).score(
            model, Blobs(4, 0), Blobs(4, 1), no_bar
        )
        for rate in (1e-12, 1e-1)
    )
    assert still.rows[0].value != moved.rows[0].value, "its rate makes a difference"
    assert fingerprint(model) == before
    assert not any(weight.requires_grad for weight in model.encoder.parameters())

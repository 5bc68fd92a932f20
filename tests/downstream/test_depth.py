"""The depth task: a head that learns depth from tokens, an encoder that learns with it, and what is reported."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from equicoherence.data.source import UnusableData
from equicoherence.downstream.depth.head import BINS, DepthHead, expected_depth
from equicoherence.downstream.depth.task import Depth
from equicoherence.downstream.depth.training import target
from equicoherence.downstream.tokens import Tokens
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.task import TaskScore, no_bar
from equicoherence.finite import NotFinite
from equicoherence.models import Encoder
from equicoherence.sets import DECLARATIONS, DepthSet, find_sets

SMALL = {"img_size": 32, "patch_size": 8, "depth": 2, "embed_dim": 48, "num_heads": 3}
QUICK = Depth(pixels=32, steps=60, batch=8, lr=3e-3, epochs=3, tuned_batch=4, tuned_lr=1e-3)


class Slopes(DepthSet):
    """Brightness says depth: dark is near. A band of each map is not measured."""

    limits = (0.5, 6.0)

    def __init__(self, count: int, seed: int, crop: str = "") -> None:
        rng = np.random.default_rng(seed)
        corners = rng.uniform(1, 5, (count, 2, 2)).astype(np.float32)
        self._depths = [np.array(Image.fromarray(each).resize((48, 36), Image.Resampling.BILINEAR)) for each in corners]
        self.crop = crop  # type: ignore[assignment]

    def __len__(self) -> int:
        return len(self._depths)

    def name(self, index: int) -> str:
        return f"slope {index}"

    def image(self, index: int) -> np.ndarray:
        return np.repeat((40 * self._depths[index]).astype(np.uint8)[..., None], 3, axis=2)

    def depth(self, index: int) -> np.ndarray:
        depth = self._depths[index].copy()
        depth[:, :5] = 0
        return depth


def model(name: str = "vit_tiny_patch16_224", **args: object) -> FrozenModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = Encoder(name, args or SMALL).eval()
    return FrozenModel("small", "small", encoder, 32, 36, None, None, encoder.pool)


def score(task: Depth, encoder: FrozenModel, train: int = 12) -> TaskScore:
    return task.score(encoder, Slopes(train, seed=0), Slopes(4, seed=1), no_bar)


def values(score: TaskScore) -> dict[str, float]:
    return {row.metric: row.value for row in score.rows}


def test_a_linear_head_tells_depth_better_than_a_constant() -> None:
    result = score(QUICK, model())
    assert [row.metric for row in result.rows] == list(Depth.metrics)
    for row in result.rows:
        assert row.floor is not None
        assert (row.value > row.floor) == Depth.metrics[row.metric], row
    assert result.counts == {"train": 12, "val": 4}
    assert QUICK.protocol == "frozen, linear"


def test_a_convolutional_encoder_without_a_class_token_is_scored_too() -> None:
    rmse = score(QUICK, model("resnet10t", output_stride=8)).rows[0]
    assert rmse.floor is not None
    assert rmse.value < 0.9 * rmse.floor


def test_fine_tuning_takes_ten_steps_as_any_number() -> None:
    task = dataclasses.replace(QUICK, encoder="fine-tuned", epochs=5, tuned_batch=4, train=8)
    assert all(math.isfinite(each) for each in values(score(task, model())).values())


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "resnet10t"])
def test_fine_tuning_trains_a_copy_of_the_encoder(name: str) -> None:
    encoder = model(name, output_stride=8) if name == "resnet10t" else model(name)
    before = {name: value.clone() for name, value in encoder.encoder.state_dict().items()}
    task = dataclasses.replace(QUICK, encoder="fine-tuned")
    state = torch.random.get_rng_state()
    result = score(task, encoder)
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in encoder.encoder.state_dict().items())
    assert not encoder.encoder.training
    assert all(parameter.grad is None for parameter in encoder.encoder.parameters())
    rows = {row.metric: row for row in result.rows}
    assert rows["rmse"].value < (rows["rmse"].floor or 0)
    assert values(result) != values(score(dataclasses.replace(task, tuned_lr=1e-9), encoder))
    assert task.protocol == "fine-tuned, linear head"


@pytest.mark.parametrize("encoder", ["frozen", "fine-tuned"])
def test_the_same_seed_gives_the_same_scores(encoder: str) -> None:
    task = dataclasses.replace(QUICK, encoder=encoder, steps=4, epochs=1)  # type: ignore[arg-type]
    assert values(score(task, model())) == values(score(task, model()))
    assert values(score(task, model())) != values(score(dataclasses.replace(task, seed=1), model()))


def test_floors_are_those_of_the_median() -> None:
    class Constant(Slopes):
        def depth(self, index: int) -> np.ndarray:
            return np.full((36, 48), 4.0 if index == 0 else 1.0, dtype=np.float32)

    task = dataclasses.replace(QUICK, steps=1)
    rows = {row.metric: row for row in task.score(model(), Constant(3, 0), Constant(2, 1), no_bar).rows}
    assert rows["abs_rel"].floor == pytest.approx(0.75 / 2)  # of 1 and 4 metres the median of training is 1
    assert rows["rmse"].floor == pytest.approx(1.5)
    assert rows["delta1"].floor == 0.5


def test_pixels_outside_the_crop_do_not_count() -> None:
    class Wrong(Slopes):
        def depth(self, index: int) -> np.ndarray:
            depth = np.full((36, 48), 2.0, dtype=np.float32)
            depth[: int(0.4 * 36)] = 5.0  # above Garg's crop
            return depth

    train = Slopes(4, seed=0)
    task = dataclasses.replace(QUICK, steps=1)
    whole, cropped = (task.score(model(), train, Wrong(2, 1, crop), no_bar) for crop in ("", "garg"))
    whole_rmse, cropped_rmse = (result.rows[0].floor or 0 for result in (whole, cropped))
    assert cropped_rmse < whole_rmse - 0.15


def test_images_without_depth_are_left_out_and_a_set_without_any_is_refused() -> None:
    class Gap(Slopes):
        def depth(self, index: int) -> np.ndarray:
            return np.zeros((36, 48), dtype=np.float32) if index in self.empty else super().depth(index)

        empty: tuple[int, ...] = (1,)

    class Void(Gap):
        empty = (0, 1, 2)

    task = dataclasses.replace(QUICK, steps=1)
    result = task.score(model(), Slopes(3, 0), Gap(3, 1), no_bar)
    assert result.counts["val"] == 2
    assert all(np.isfinite(row.value) for row in result.rows)
    with pytest.raises(UnusableData, match=r"no test image has a depth between 0.5 and 6.0"):
        task.score(model(), Slopes(3, 0), Void(3, 1), no_bar)
    with pytest.raises(UnusableData, match="no pixel of the training images has a depth"):
        task.score(model(), Void(3, 0), Slopes(3, 1), no_bar)


def test_depths_that_are_not_finite_are_an_error() -> None:
    with pytest.raises(NotFinite, match="weights of the head are not finite: the training diverged"):
        score(dataclasses.replace(QUICK, steps=4, lr=1e37), model())


def test_pictures_show_input_truth_and_prediction() -> None:
    result = score(dataclasses.replace(QUICK, steps=1), model())
    assert len(result.pictures) == 4
    picture = result.pictures["slope 0"]
    assert (picture.given["image"] == Slopes(4, seed=1).image(0)).all()
    for pixels in (picture.given["true depth"], picture.predicted):
        assert pixels.dtype == np.uint8
        assert pixels.shape == (36, 48, 3)
    assert (picture.given["true depth"][:, :5] == 0).all()  # not measured
    assert picture.predicted[:, :5].any()
    *depths, last = picture.legend
    assert (last.name, last.color) == ("not measured", "#000000")
    values = [float(depth.name.removesuffix(" m")) for depth in depths]
    assert values == sorted(values)
    assert [depth.color for depth in depths] == ["#440154", "#21918c", "#fde725"]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"encoder": "linear"}, "'frozen' or 'fine-tuned', got 'linear'"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(setting: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Depth(**setting)  # type: ignore[arg-type]


def test_bins_are_weighted_linearly() -> None:
    logits = torch.tensor([-5.0, 0.4, 0.9])
    assert float(expected_depth(logits, (1.0, 3.0))) == pytest.approx((0.1 * 1 + 0.5 * 2 + 1.0 * 3) / 1.6)


def test_a_head_begins_near_the_depths_of_the_training_images() -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = Tokens(torch.randn(3, 4, 5, 8, generator=generator).half(), torch.randn(3, 8, generator=generator).half())
    head = DepthHead(tokens, torch.tensor([0.0, 2.0, 2.2]), (0.001, 10.0), generator)
    with torch.no_grad():
        depth = head(tokens.patches, tokens.cls)
    assert depth.shape == (3, 16, 20)
    assert head.bias.shape == (BINS,)
    assert (depth - (10 * 2.1 + 5) / 11).abs().max() < 0.3


def test_targets_are_the_nearest_depths_within_limits() -> None:
    depth = np.arange(24, dtype=np.float32).reshape(4, 6)
    assert target(depth, (0.5, 20.0), (4, 6))[0].tolist() == [0, 1, 2, 3, 4, 5]
    assert target(depth, (0.5, 20.0), (2, 3)).tolist() == [[7, 9, 11], [19, 0, 0]]
    assert target(depth, (0.5, 100.0), (8, 12)).tolist() == depth.repeat(2, axis=0).repeat(2, axis=1).tolist()


def test_the_real_red_kitchen_is_scored(shared_data: Callable[[str], Path]) -> None:
    (found,) = (
        each
        for each in find_sets(shared_data("sevenscenes_redkitchen"), DECLARATIONS)
        if each.declaration.kind == "depth"
    )
    task = Depth(pixels=32, steps=20, train=16, test=8)
    train, test = found.open("train"), found.open("val")
    assert isinstance(train, DepthSet)
    assert isinstance(test, DepthSet)
    result = values(task.score(model(), train, test, no_bar))
    assert 0.1 < result["abs_rel"] < 1

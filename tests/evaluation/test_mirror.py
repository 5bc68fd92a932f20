"""What a mirror takes from features: the side of a turn, and not how far it goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from equicoherence.evaluation import evaluate
from equicoherence.evaluation.bootstrap import resampled
from equicoherence.evaluation.transformation.mirror import Figures, side_accuracy
from equicoherence.paths import ColorJitter, Rotation, Translation, named_path
from equicoherence.paths.transformation import Parameter
from tests.evaluation.rows import rows_of
from tests.small import picture_folder


class Thumbnail(nn.Module):
    """Six by six mean colors of an image: the horizon of a picture tells its angle, and to which side it falls."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(6)

    def forward(self, images: Tensor) -> Tensor:
        return self.pool(images).flatten(1)


class MirrorBlind(Thumbnail):
    """The mean of the features of an image and of its mirror image: the same of both."""

    def forward(self, images: Tensor) -> Tensor:
        return (super().forward(images) + super().forward(images.flip(-1))) / 2


class Constant(Thumbnail):
    """The same features whatever the image."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.ones_like(super().forward(images))


def _scored(kind: type[nn.Module], data: Path, transformation: str, probes: tuple[str, ...]) -> dict[str, Any]:
    """Return the scores of an encoder, of a transformation, by probes."""
    settings = {"transformations": (transformation,), "borders": ("content",), "probes": probes}
    settings |= {"train": 300, "test": 100}
    of_task = {"transformation": settings}
    return evaluate(kind(), tasks=["transformation"], data=data, size=24, settings=of_task, controls=False)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return pictures of a level horizon, whose mirror images are as likely as they are themselves."""
    return picture_folder(tmp_path_factory.mktemp("mirror") / "data", per_class=250)


@pytest.fixture(scope="module")
def turned(pictures: Path) -> dict[type[nn.Module], dict[str, Any]]:
    """Return the scores of each encoder on turned pictures."""
    return {kind: _scored(kind, pictures, "rotation", ("linear", "mlp")) for kind in (Thumbnail, MirrorBlind, Constant)}


def figures(scores: dict[str, Any], target: str, probe: str, parameter: str = "") -> list[float]:
    """Return the R2 of the value and of its absolute value, and the side; see that each has what a constant scores."""
    found = []
    for name, metric, floor in (
        (target, "r2", 0.0),
        (f"{target}, absolute", "r2", 0.0),
        (f"{target}, side", "accuracy", 0.5),
    ):
        (row,) = rows_of(scores, target=name, metric=metric, probe=probe, parameter=parameter)
        assert row["floor"] == pytest.approx(floor, abs=0.05)
        found.append(row["value"])
    return found


@pytest.mark.parametrize("probe", ["linear", "mlp"])
def test_an_encoder_that_sees_the_horizon_scores_high_in_all_three(turned, probe):
    signed, absolute, side = figures(turned[Thumbnail], "rotation", probe)
    assert signed > 0.9
    assert absolute > 0.8
    assert side > 0.95


@pytest.mark.parametrize("probe", ["linear", "mlp"])
def test_one_that_is_blind_to_the_mirror_keeps_how_far_a_turn_goes_and_loses_to_which_side(turned, probe):
    signed, absolute, side = figures(turned[MirrorBlind], "rotation", probe)
    assert abs(signed) < 0.06
    assert absolute > 0.8
    assert side == pytest.approx(0.5, abs=0.15)  # 39 draws of either side: two deviations


@pytest.mark.parametrize("probe", ["linear", "mlp"])
def test_a_constant_scores_0_0_and_a_half(turned, probe):
    assert figures(turned[Constant], "rotation", probe) == pytest.approx([0, 0, 0.5], abs=0.05)
    assert figures(turned[Constant], "rotation", probe)[2] == 0.5


def test_a_left_right_mirror_takes_the_side_of_a_shift_to_the_right_and_none_from_one_downwards(pictures):
    found = _scored(MirrorBlind, pictures, "translation", ("linear",))
    assert figures(found, "translation", "linear", "x") == pytest.approx([0, 0, 0.5], abs=0.15)
    signed, _, side = figures(found, "translation", "linear", "y")
    assert signed > 0.8
    assert side > 0.9


def test_the_probes_are_trained_on_the_value_its_size_and_its_side():
    asked = Figures([Parameter("hue", -1.0, 1.0), Parameter("angle", -45.0, 45.0, odd=("left-right",), side=10.0)])
    theta = torch.tensor([[0.5, 30.0], [-0.5, -10.5], [0.1, 10.0], [0.2, -4.0]])
    sides = torch.tensor([[1.0], [-1.0], [0.0], [0.0]])
    assert torch.equal(asked.targets(theta), torch.cat([theta, theta[:, 1:].abs(), sides], dim=1))
    floors = torch.tensor([0.0, 0.0, 0.0, 0.5])
    rows = list(asked.rows(torch.tensor([0.25, 0.75, 0.5, 0.9]), floors, "both", {"probe": "mlp"}))
    assert [(r.target, r.metric, r.parameter, round(r.value, 6), r.floor) for r in rows] == [
        ("both", "r2", "", 0.5, 0.0),
        ("both", "r2", "hue", 0.25, 0.0),
        ("both", "r2", "angle", 0.75, 0.0),
        ("both, absolute", "r2", "", 0.5, 0.0),
        ("both, side", "accuracy", "", pytest.approx(0.9), 0.5),
    ]


def test_what_no_mirror_turns_or_goes_to_one_side_alone_has_one_figure():
    assert Figures(ColorJitter().parameters).odd == []
    assert Figures(Translation().parameters).odd == [0, 1]
    assert Figures(Rotation((0.0, 90.0)).parameters).odd == Figures(Rotation((-5.0, 5.0)).parameters).odd == []
    assert [named_path("all").names[i] for i in Figures(named_path("all").parameters).odd] == ["angle", "x", "y"]


def test_the_side_counts_either_side_alike_and_is_not_known_where_one_is_missing():
    side = torch.tensor([[1.0, 1.0], [1.0, 1.0], [1.0, 0.0], [-1.0, 1.0], [0.0, 1.0]])
    predicted = torch.tensor([[0.2, 1.0], [3.0, 1.0], [-1.0, -1.0], [-0.1, 1.0], [-9.0, 1.0]])
    found = side_accuracy(predicted, side)
    assert float(found[0]) == pytest.approx((2 / 3 + 1) / 2)
    assert bool(found[1].isnan())
    for constant in (-1.0, 0.0, 1.0):
        assert float(side_accuracy(torch.full((5, 1), constant), side[:, :1])) == 0.5
    asked = Figures([Parameter("angle", -45.0, 45.0, odd=("left-right",), side=10.0)])
    truth = asked.targets(torch.tensor([[20.0], [30.0], [-5.0]]))
    scores = asked.scores(truth, truth)
    assert [row.target for row in asked.rows(scores, scores, "t", {})] == ["t", "t, absolute"]


def test_scores_of_images_drawn_anew_are_those_of_the_images_one_draw_after_the_other():
    asked = Figures([Parameter("hue", -1.0, 1.0), Parameter("angle", -45.0, 45.0, odd=("left-right",), side=10.0)])
    generator = torch.Generator().manual_seed(0)
    theta = torch.rand(40, 2, generator=generator) * torch.tensor([2.0, 90.0]) - torch.tensor([1.0, 45.0])
    truth = asked.targets(theta)
    for known in (truth, asked.targets(theta.abs())):  # of the latter no image is turned to one of the sides
        predicted = known + torch.randn(known.shape, generator=generator) * known.std(dim=0)
        expected = resampled(lambda rows, p=predicted, t=known: asked.scores(p[rows], t[rows]), len(known))
        torch.testing.assert_close(asked.anew(predicted, known), expected, atol=1e-5, rtol=1e-5, equal_nan=True)

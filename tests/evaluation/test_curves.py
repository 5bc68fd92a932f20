"""Similarity curves: as direct loops find them, and of features whose curves are known by construction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from equicoherence.data import Loader, open_images
from equicoherence.evaluation import evaluate
from equicoherence.evaluation.curves.scoring import PATHS, similarities
from equicoherence.evaluation.curves.task import RotationCurve, ScaleCurve, ShiftCurve
from equicoherence.evaluation.task import no_bar
from equicoherence.paths import named_path
from equicoherence.paths.central import base_state
from equicoherence.paths.pair_images import Photographs, draw_pair_image
from tests.evaluation.rows import rows_of, values_of

CURVES = {task.name: task for task in (RotationCurve, ScaleCurve, ShiftCurve)}
IMAGES = 8


class Thumbnail(nn.Module):
    """The pixels of a small picture of the image, centred: what a network could at least say."""

    def __init__(self, side: int = 4) -> None:
        super().__init__()
        self.small = nn.AdaptiveAvgPool2d(side)

    def forward(self, images: Tensor) -> Tensor:
        return self.small(images.float()).flatten(1) - 0.5


class Constant(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return torch.ones(len(images), 3, device=images.device)


def scored(model: nn.Module, folder: Path, *names: str) -> dict[str, Any]:
    settings = {name: {"images": IMAGES} for name in names}
    given: dict[str, Any] = {"size": 32, "controls": False, "track": no_bar, "settings": settings}
    return evaluate(model, data=folder, tasks=names, **given)


def test_similarities_are_those_of_a_loop_over_pairs() -> None:
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(6, 3, generator=generator)
    moved = base + 0.8 * torch.randn(6, 3, generator=generator)
    own, others, found = [], [], 0
    for i in range(6):
        cosines = [float(torch.dot(moved[i], base[j]) / moved[i].norm() / base[j].norm()) for j in range(6)]
        own.append(cosines[i])
        others += [cosine for j, cosine in enumerate(cosines) if j != i]
        found += cosines[i] == max(cosines)
    unit = [vectors / vectors.norm(dim=1, keepdim=True) for vectors in (base, moved)]
    wanted = {"cosine": sum(own) / 6, "others": sum(others) / 30, "retrieved": found / 6}
    assert similarities(*unit) == pytest.approx(wanted, abs=1e-6)
    assert 0 < wanted["retrieved"] < 1


@torch.no_grad()
@pytest.mark.parametrize("name", CURVES)
def test_a_curve_is_that_of_each_image_rendered_by_itself(folder: Path, name: str) -> None:
    task, network = CURVES[name](images=IMAGES), Thumbnail()
    source = open_images(str(folder), "val")
    picked = torch.linspace(0, len(source) - 1, IMAGES).round().long().numpy()
    batch = next(iter(Loader(source, 37).batches([picked])))
    path = PATHS[task.path](min(task.steps), max(task.steps))

    def feature(index: int, step: float) -> Tensor:
        theta = torch.zeros(1, len(path.parameters))
        theta[0, 0] = step
        rows = slice(index, index + 1)
        image = Photographs(batch.images[rows], batch.aspect[rows], batch.side[rows])
        view = draw_pair_image(image, path, theta, task.share, 32)
        return network(view.bfloat16())[0].float()  # in the precision that encoders are read in

    upright = torch.stack([feature(index, 0.0) for index in range(IMAGES)])
    scores = scored(network, folder, name)
    own, retrieved = [], []
    for step in task.steps:
        moved = torch.stack([feature(index, step) for index in range(IMAGES)])
        cosines = torch.cosine_similarity(moved[:, None], upright[None], dim=2)
        own.append(float(cosines.diagonal().mean()))
        retrieved.append(sum(int(row.argmax()) == index for index, row in enumerate(cosines)) / IMAGES)
    points = rows_of(scores, metric="cosine")[1:]
    assert [row["at"] for row in points] == list(task.steps)
    assert [row["value"] for row in points] == pytest.approx(own, abs=0.01)
    assert [row["value"] for row in rows_of(scores, metric="retrieved")[1:]] == pytest.approx(retrieved, abs=1 / IMAGES)


def test_a_whole_turn_changes_nothing_and_half_of_one_a_thumbnail(folder: Path) -> None:
    scores = scored(Thumbnail(), folder, "rotation-curve")
    cosine = {row["at"]: row["value"] for row in rows_of(scores, metric="cosine")[1:]}
    assert cosine[0] == cosine[360] == pytest.approx(1, abs=1e-3)
    assert cosine[180] < -0.3, "sky and ground have changed places"
    (main,) = values_of(scores, metric="cosine", parameter="")
    assert main == pytest.approx(sum(cosine[at] for at in range(15, 360, 15)) / 23)


def test_a_mean_colour_is_turned_by_nothing_and_a_constant_knows_no_image(folder: Path) -> None:
    """The mean of a disc does not change when it turns; a constant is the same for all images as well."""
    colours = scored(Thumbnail(1), folder, "rotation-curve")
    assert min(values_of(colours, metric="cosine")) > 0.8
    constant = scored(Constant(), folder, *CURVES)
    assert values_of(constant, metric="cosine") == pytest.approx([1.0] * len(rows_of(constant, metric="cosine")))
    for row in rows_of(constant, metric="retrieved"):
        assert row["value"] == row["floor"] == 1 / IMAGES


def test_positions_show_nothing_from_beyond_the_photograph() -> None:
    corners = torch.tensor([[-1.0, -1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, 1]]).T
    for kind in CURVES.values():
        task = kind()
        theta = torch.zeros(len(task.steps), len(named_path(task.path).parameters))
        theta[:, 0] = torch.tensor(list(task.steps))
        base = base_state(torch.full((len(theta),), 1.5), task.share)
        seen = base.then(named_path(task.path).state(theta)).geometry @ corners
        assert float(seen[:, :2].abs().max()) <= 1 + 1e-6

"""SPair: points are found where features of every pixel say, and PCK is as counted one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.downstream.spair import points as finding
from equicoherence.downstream.spair.points import features_at, nearest_pixels
from equicoherence.downstream.spair.scoring import pck_rows
from equicoherence.downstream.spair.task import SemanticCorrespondence
from equicoherence.downstream.tokens import resize_image
from equicoherence.evaluation.task import no_bar

from .colour_regions import small_model
from .painted_spheres import MarkedNoise

TASK = SemanticCorrespondence(pixels=64)


def _enlarged(tokens: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return the features (C, H, W) of all pixels."""
    return F.interpolate(tokens.permute(2, 0, 1)[None], shape, mode="bilinear")[0]


@pytest.mark.parametrize("shape", [(20, 31), (5, 4)])
def test_points_are_the_nearest_of_all_pixels(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    tokens, queries = torch.randn(4, 6, 70, generator=generator), torch.randn(9, 70, generator=generator)
    pixels = F.normalize(_enlarged(tokens, shape).flatten(1), dim=0)
    for most in (finding.MAPS, 2 * shape[0] * shape[1]):
        monkeypatch.setattr(finding, "MAPS", most)
        found = nearest_pixels(tokens, queries, shape)
        for query, (x, y) in zip(queries, found.tolist()):
            cosines = query @ pixels
            assert float(cosines[y * shape[1] + x]) == pytest.approx(float(cosines.max()), abs=1e-5), "or as near"


def test_features_at_a_pixel_are_those_of_the_enlarged_map() -> None:
    tokens = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(0))
    whole = _enlarged(tokens, (22, 17))
    points = torch.tensor([[0, 0], [16, 21], [3, 9], [8, 1]]).float()
    expected = torch.stack([whole[:, int(y), int(x)] for x, y in points])
    torch.testing.assert_close(features_at(tokens, points, (22, 17)), expected, atol=1e-5, rtol=0)


def test_scores_are_those_of_a_direct_implementation() -> None:
    data = MarkedNoise(7)
    score = TASK.score(small_model(), None, data, no_bar)
    model = small_model()
    encoder = _resized(model)
    per_image, flags = [], []
    for pair in data.pairs:
        images = [data.image(number) for number in (pair.source, pair.target)]
        maps = []
        for image in images:
            pixels = torch.from_numpy(resize_image(image, (64, 64))).permute(2, 0, 1)[None].float() / 255
            with torch.no_grad():
                tokens = encoder(pixels).patches[0].half().float().view(8, 8, -1)
            maps.append(_enlarged(tokens, image.shape[:2]))
        right = []
        for (x, y), target in zip(pair.source_points.astype(int), pair.target_points):
            query = F.normalize(maps[0][:, y, x], dim=0)
            cosines = (F.normalize(maps[1], dim=0) * query[:, None, None]).sum(dim=0)
            row, column = divmod(int(cosines.argmax()), images[1].shape[1])
            right.append(np.hypot(column - target[0], row - target[1]) / pair.length <= 0.1)
        per_image.append(np.mean(right))
        flags += right
    found = {(row.metric, row.parameter): row for row in score.rows}
    assert found["pck@0.1_image", ""].value == pytest.approx(np.mean(per_image))
    assert found["pck@0.1_point", ""].value == pytest.approx(np.mean(flags))
    assert found["pck@0.1_image", "cat"].value == pytest.approx(np.mean(per_image[::2]))
    assert 0 < np.mean(flags) < 1
    assert np.mean(per_image) != pytest.approx(np.mean(flags))
    assert score.counts == {"val": 14, "pairs": 7}
    assert len(score.pictures) == 6


def _resized(model: object) -> torch.nn.Module:
    from equicoherence.downstream.tokens import sized

    return sized(model.encoder, (64, 64)).eval()  # type: ignore[attr-defined]


def test_pck_per_image_and_per_point_differ_as_published() -> None:
    right = [torch.tensor([True, False]), torch.tensor([True, True, True, True]), torch.tensor([False])]
    still = [torch.zeros(2), torch.tensor([1.0, 0, 0, 0]), torch.ones(1)]
    rows = {(row.metric, row.parameter): row for row in pck_rows(right, still, ["cat", "dog", "cat"])}
    assert rows["pck@0.1_image", ""].value == pytest.approx((0.5 + 1 + 0) / 3)
    assert rows["pck@0.1_point", ""].value == pytest.approx(5 / 7)
    assert rows["pck@0.1_image", "cat"].value == pytest.approx(0.25)
    assert rows["pck@0.1_point", "cat"].value == pytest.approx(1 / 3)
    assert rows["pck@0.1_image", ""].floor == pytest.approx((0 + 0.25 + 1) / 3)
    assert rows["pck@0.1_point", "dog"].floor == pytest.approx(0.25)


def test_a_limit_of_pairs_is_kept_and_no_image_is_read_in_vain() -> None:
    score = SemanticCorrespondence(pixels=32, test=2).score(small_model(), None, MarkedNoise(6), no_bar)
    assert score.counts == {"val": 4, "pairs": 2}

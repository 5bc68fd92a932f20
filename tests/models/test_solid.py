"""The solid decoder: a rotation in space, the same path from either end, found without labels."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.coherence.task import averaged, squared_error
from equicoherence.models.decoders.solid import DEPTH, REACH, SolidDecoder, object_points, rotation
from tests.models.turned import TIMES, turned_objects, turned_spheres

GRID, SIZE = (4, 4), 32
BETWEEN = torch.tensor([TIMES])


class TrueRotation(nn.Module):
    """Predict the rotation vectors that tokens of `as_tokens` hold, and no change of color."""

    def forward(self, pooled: Tensor) -> Tensor:
        return F.pad(pooled[:, 8:11] - pooled[:, :3], (0, 24))


def as_tokens(poses: Tensor) -> Tensor:
    """Return tokens (N, 16, 8) whose first three features are rotation vectors (N, 3)."""
    return F.pad(poses, (0, 5))[:, None].expand(-1, 16, -1)


def random_decoder() -> SolidDecoder:
    torch.manual_seed(0)
    decoder = SolidDecoder(8, scales=(1,))
    for each in (last(decoder), decoder.shape):
        nn.init.normal_(each.weight, std=0.1)
    return decoder


def last(decoder: SolidDecoder) -> nn.Linear:
    """Return the layer that gives the numbers of the path, of which the first three are the rotation vector."""
    layer = decoder.mlp[2]
    assert isinstance(layer, nn.Linear)
    return layer


def test_a_rotation_is_one_and_has_a_gradient_at_angle_0() -> None:
    vectors = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    turns, eye = rotation(vectors), torch.eye(3)
    assert torch.allclose(turns @ turns.mT, eye.expand_as(turns), atol=1e-5)
    assert torch.allclose(torch.linalg.det(turns), torch.ones(64), atol=1e-5)
    assert torch.equal(rotation(torch.zeros(3)), eye)
    assert torch.allclose(rotation(0.3 * vectors) @ rotation(0.9 * vectors), rotation(1.2 * vectors), atol=1e-5)
    assert torch.allclose(turns @ vectors[..., None], vectors[..., None], atol=1e-5)
    quarter = rotation(torch.tensor([0.0, 0.0, torch.pi / 2]))
    assert torch.allclose(quarter @ torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0]), atol=1e-6)
    still = torch.zeros(3, requires_grad=True)
    rotation(still)[2, 1].backward()
    assert still.grad is not None
    assert torch.equal(still.grad, torch.tensor([1.0, 0.0, 0.0]))


def test_swapped_views_have_the_same_states_in_the_other_direction() -> None:
    decoder, generator = random_decoder(), torch.Generator().manual_seed(1)
    z1, z2 = torch.randn(2, 4, 16, 8, generator=generator).unbind()
    v1, v2 = torch.rand(2, 4, 3, SIZE, SIZE, generator=generator).unbind()
    times = torch.rand(4, 3, generator=generator)
    there = decoder(z1, z2, GRID, (v1, v2), times)
    assert torch.allclose(decoder(z2, z1, GRID, (v2, v1), 1 - times), there, atol=1e-5)
    assert not torch.allclose(decoder(z1, z2, GRID, (v1, v2), 1 - times), there, atol=0.1)
    ends = decoder(z1, z2, GRID, (v1, v2), torch.tensor([[0.0, 1.0]]).expand(4, -1))
    assert torch.allclose(ends, torch.stack([v1, v2], dim=1), atol=1e-4)


@pytest.mark.parametrize(("turn", "objects"), [(15, 2), (30, 8)])  # the larger, the more is hidden: many show it
def test_rendered_objects_turn_by_their_true_rotation_also_out_of_the_image_plane(turn: float, objects: int) -> None:
    renders = turned_objects(objects, turn)
    decoder = SolidDecoder(8)
    decoder.mlp = TrueRotation()  # type: ignore[assignment]
    views = tuple(averaged(torch.stack(renders.views), 2))

    def error(*signs: float) -> float:
        """Return the error with the true rotation vectors times signs, by the initial shape."""
        z2 = as_tokens(renders.vectors * torch.tensor(signs))
        out = decoder(torch.zeros_like(z2), z2, GRID, (views[0], views[1]), BETWEEN.expand(len(z2), -1))
        return float(squared_error(out, averaged(renders.states, 2)))

    decoder.eval()  # views and states have pixels of the smallest scale already
    with torch.no_grad():
        blend, in_plane, whole = error(0, 0, 0), error(0, 0, 1), error(1, 1, 1)
        assert whole < 0.98 * in_plane < 0.8 * blend
        assert in_plane < 0.98 * error(-1, -1, 1)
        assert error(-1, -1, -1) > 1.1 * blend


def test_it_finds_the_rotation_without_labels() -> None:
    spheres = turned_spheres(64)
    vectors, targets = spheres.vectors, averaged(spheres.states, 2)
    torch.manual_seed(0)
    mixed = torch.linalg.qr(torch.randn(8, 8)).Q  # features from which the pose is to be found
    z1, z2 = (as_tokens(poses) @ mixed for poses in (torch.zeros_like(vectors), vectors))
    decoder = SolidDecoder(8)
    optimizer = torch.optim.Adam(decoder.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        out = decoder(z1, z2, GRID, spheres.views, BETWEEN.expand(64, -1))
        loss = squared_error(out, targets, (1, 2))
        optimizer.zero_grad()
        loss.backward()
        gradients = [each.grad for each in (last(decoder).weight, *decoder.parameters()) if each.grad is not None]
        assert len(gradients) == 1 + len(list(decoder.parameters()))
        assert all(bool(each.isfinite().all()) for each in gradients)
        assert float(gradients[0][:3].abs().amax(dim=1).min()) > 0  # also where w is 0
        optimizer.step()
        losses.append(float(loss.detach()))
    pooled = [torch.cat(pair, dim=-1) for pair in ((z1[:, 0], z2[:, 0]), (z2[:, 0], z1[:, 0]))]
    predicted = ((decoder.mlp(pooled[0]) - decoder.mlp(pooled[1])) / 2)[:, :3].detach()
    correlations = torch.corrcoef(torch.cat([predicted, vectors], dim=1).T).diagonal(3)
    assert losses[-1] < 0.5 * losses[0]
    assert float(correlations.min()) > 0.8, correlations  # the size is found as far as the depth is


def test_the_depth_stays_near_the_initial_shape() -> None:
    far, near = (object_points(torch.full((1, 2, *GRID), value), SIZE)[0][:, 2] for value in (1e4, -1e4))
    initial = object_points(torch.zeros(1, 2, *GRID), SIZE)[0][:, 2]
    assert torch.allclose(far - initial, torch.tensor(REACH))
    assert torch.allclose(initial - near, torch.tensor(REACH))
    assert float(initial.min()) == pytest.approx(-DEPTH, rel=0.01)  # the middle is nearest
    assert float(initial.max()) == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_a_diverged_decoder_gives_no_finite_loss_and_no_crash(value: float) -> None:
    decoder = random_decoder()
    nn.init.constant_(last(decoder).weight, value)
    z1, z2 = torch.randn(2, 2, 16, 8, generator=torch.Generator().manual_seed(0)).unbind()
    views = torch.rand(2, 2, 3, SIZE, SIZE).unbind()
    assert not bool(decoder(z1, z2, GRID, views, BETWEEN.expand(2, -1)).square().mean().isfinite())


def test_mixed_precision_leaves_pixels_their_digits_and_other_channels_their_colors() -> None:
    decoder, views = random_decoder(), torch.rand(2, 2, 4, SIZE, SIZE).unbind()
    z = torch.randn(2, 2, 16, 8).unbind()
    with torch.autocast("cpu", torch.bfloat16):
        out = decoder(z[0], z[1], GRID, views, torch.tensor([[0.0, 1.0]]).expand(2, -1))
    assert out.dtype == torch.float32
    assert torch.allclose(out, torch.stack(views, dim=1), atol=1e-4)

"""A Mac's GPU, played by tensors without values: nothing asks it for float64, which it does not have."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from equicoherence.devices import with_float64
from equicoherence.downstream.homography.plane_maps import find_homography
from equicoherence.evaluation.bootstrap import times_drawn
from equicoherence.evaluation.poses.linear_map import _moments, _solve
from equicoherence.evaluation.poses.probes import standard
from equicoherence.evaluation.poses.renders import Renders, ViewPairs
from equicoherence.evaluation.transformation.mirror import Figures
from equicoherence.paths import named_path
from equicoherence.ridge import ridge_probe
from equicoherence.training.health import effective_rank


class NoFloat64(TorchDispatchMode):
    """Refuse what would make float64 on a Mac's GPU, as torch does there."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        for each in tree_leaves(found):
            if isinstance(each, torch.Tensor) and each.device.type == "mps" and each.dtype == torch.float64:
                raise TypeError("MPS has no float64")
        return found


@pytest.fixture
def mac():
    times_drawn(6)  # which is kept, so it needs values
    with FakeTensorMode(allow_non_fake_inputs=True), NoFloat64():
        yield


def test_the_stand_in_refuses_float64(mac):
    with pytest.raises(TypeError, match="MPS has no float64"):
        torch.ones(2, device="mps").double()
    assert with_float64(torch.ones(2, device="mps")).double().device.type == "cpu"
    assert with_float64(torch.ones(2, device="cuda")).device.type == "cuda"


@pytest.mark.parametrize("rows", [40, 8])
def test_rank_probes_and_intervals_are_computed_where_there_is_float64(mac, rows):
    features, target = torch.ones(rows, 12, device="mps"), torch.ones(rows, 2, device="mps")
    assert effective_rank(features).shape == ()
    predicted = ridge_probe(features, target, torch.ones(5, 12, device="mps"))
    assert (predicted.shape, predicted.device.type, predicted.dtype) == ((5, 2), "mps", torch.float32)
    asked = Figures(named_path("rotation").parameters)
    predicted, truth = (torch.ones(6, 3, device="mps") for _ in range(2))
    assert asked.anew(predicted, truth).shape[1] == 3


def test_maps_of_planes_and_poses_are_computed_where_there_is_float64(mac):
    corners = torch.ones(2, 4, 2, device="mps")
    matrix = find_homography(corners, 2 * corners)
    assert (matrix.shape, matrix.device.type, matrix.dtype) == ((2, 3, 3), "mps", torch.float32)
    mean, std = standard(torch.ones(6, 3, 4, device="mps"))
    assert (mean.device.type, std.device.type) == ("mps", "mps")
    weights = _solve(*_moments(_renders(), "features", ViewPairs(*torch.zeros(3, 2, dtype=torch.long)))[:2], 1.0)
    assert (weights.shape, weights.device.type) == ((25, 4), "cpu")


def _renders() -> Renders:
    """Make renders without what it checks, which would need values."""
    renders = object.__new__(Renders)
    vars(renders).update(
        features={"features": torch.ones(3, 2, 4, device="mps")}, rotations=torch.ones(3, 2, 4, device="mps")
    )
    return renders

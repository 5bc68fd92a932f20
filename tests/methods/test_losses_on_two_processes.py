"""Losses and targets on two processes are those of one process on the joined batch, value and gradient."""

from collections.abc import Callable

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from equicoherence.methods.barlow import cross_correlation_loss
from equicoherence.methods.dino import dino_loss
from equicoherence.methods.gather import gather, mean_over_processes
from equicoherence.methods.lejepa import random_directions, sigreg_loss
from equicoherence.methods.mocov3 import contrastive_loss
from equicoherence.methods.targets import centred, sinkhorn_knopp, update_centre
from tests.pool import on_two_processes

HALVES = [slice(0, 6), slice(6, 12)]  # the rows of a batch of 12 that each process has
UNEQUAL = [slice(0, 4), slice(4, 12)]


def _tensors() -> tuple[Tensor, Tensor, Tensor]:
    """Return a batch (12, 5), the teacher's logits for it (2, 12, 8) and the weights of a model of one layer."""
    generator = torch.Generator().manual_seed(0)
    shapes = (12, 5), (2, 12, 8), (5, 8)
    batch, teacher, weight = (torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes)
    return batch, teacher, weight.requires_grad_()


def _barlow(a: Tensor, b: Tensor, teacher: Tensor) -> Tensor:
    return cross_correlation_loss(a, b, 0.1)


def _mocov3(a: Tensor, b: Tensor, teacher: Tensor) -> Tensor:
    return contrastive_loss(a, b, 0.2)


def _dino(a: Tensor, b: Tensor, teacher: Tensor) -> Tensor:
    centre = update_centre(torch.zeros(8, dtype=torch.float64), teacher, 0.5)
    return dino_loss(torch.stack([a, b, a * b]), centred(teacher, centre, 0.1))


def _sinkhorn(a: Tensor, b: Tensor, teacher: Tensor) -> Tensor:
    probabilities = sinkhorn_knopp(teacher.flatten(0, 1), 0.3).unflatten(0, (2, -1))
    return dino_loss(torch.stack([a, b]), probabilities)


def _sigreg(a: Tensor, b: Tensor, teacher: Tensor) -> Tensor:
    directions = random_directions(8, 7, torch.Generator().manual_seed(1)).double()
    return sigreg_loss(torch.stack([a, b]), directions)


def _rows_and_mean(a: Tensor, b: Tensor, teacher: Tensor) -> Tensor:
    # + hands one gradient to both of its terms: neither may change what the other gets
    rows, mean = gather(a) + gather(b), mean_over_processes(a.mean(dim=0)) + mean_over_processes(b.mean(dim=0))
    return rows.square().mean() + (mean**4).sum()


LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "barlow": _barlow,
    "mocov3": _mocov3,
    "dino": _dino,
    "sinkhorn": _sinkhorn,
    "sigreg": _sigreg,
    "rows and mean": _rows_and_mean,
}


def _loss_and_gradient(name: str, rows: slice) -> list[Tensor]:
    batch, teacher, weight = _tensors()
    a, b = torch.tanh(batch[rows] @ weight), torch.cos(batch[rows] @ weight)
    loss = LOSSES[name](a, b, teacher[:, rows])
    return [loss.detach(), *torch.autograd.grad(loss, weight)]


def _targets(rows: slice) -> list[Tensor]:
    _, teacher, _ = _tensors()
    centre = update_centre(torch.ones(8, dtype=torch.float64), teacher[:, rows], 0.5)
    return [centre, sinkhorn_knopp(teacher[0, rows], 0.3)]


def _write(rank: int, folder: str) -> None:
    found = {name: _loss_and_gradient(name, HALVES[rank]) for name in LOSSES}
    for tensors in found.values():
        for tensor in tensors:  # what DDP does
            dist.all_reduce(tensor)
            tensor /= 2
    rows = {"unequal": _targets(UNEQUAL[rank]), "one empty": _targets([slice(0, 0), slice(0, 12)][rank])}
    torch.save({**found, **rows}, f"{folder}/{rank}.pt")


@pytest.fixture(scope="module")
def on_two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, list[Tensor]]]:
    folder = tmp_path_factory.mktemp("two")
    on_two_processes(_write, str(folder))
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("name", LOSSES)
def test_loss_and_gradient_are_those_of_the_joined_batch(name, on_two):
    loss, gradient = on_two[0][name]
    expected_loss, expected_gradient = _loss_and_gradient(name, slice(None))
    assert expected_gradient.abs().max() > 1e-3
    assert abs(loss - expected_loss) < 1e-10
    assert (gradient - expected_gradient).abs().max() < 1e-10


@pytest.mark.parametrize("split", ["unequal", "one empty"])
def test_targets_are_those_of_the_joined_batch_also_where_processes_have_unequal_rows(split, on_two):
    expected_centre, expected = _targets(slice(None))
    for process in on_two:
        assert (process[split][0] - expected_centre).abs().max() < 1e-10
    found = torch.cat([process[split][1] for process in on_two])
    assert (found - expected).abs().max() < 1e-10

"""Two processes have the loss and the gradient of one process on the joined batch."""

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from equicoherence.methods import Method, SimCLR, SimCLRConfig, VICReg, VICRegConfig
from tests.pool import on_two_processes


def _method(kind: str) -> Method:
    torch.manual_seed(0)
    method = VICReg(8, VICRegConfig(width=12)) if kind == "vicreg" else SimCLR(8, SimCLRConfig(width=12, output=6))
    return method.eval()  # BatchNorm's own statistics are not what is tested


def _views() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(16, 3, 8, generator=generator) for _ in range(2)]


def _write_joint(rank: int, kind: str, folder: str) -> None:
    model = DistributedDataParallel(_method(kind))
    loss = torch.stack(list(model([v.chunk(2)[rank] for v in _views()]).values())).sum()
    loss.backward()
    total = loss.detach().clone()
    dist.all_reduce(total)
    if rank == 0:
        torch.save([total / 2, *(p.grad for p in model.module.parameters())], f"{folder}/joint.pt")


@pytest.mark.parametrize("kind", ["vicreg", "simclr"])
def test_loss_and_gradient_on_two_processes_are_those_of_one(kind, tmp_path):
    on_two_processes(_write_joint, kind, str(tmp_path))
    loss, *gradients = torch.load(tmp_path / "joint.pt", weights_only=True)
    method = _method(kind)
    expected = torch.stack(list(method(_views()).values())).sum()
    expected.backward()
    assert abs(loss - expected) < 1e-5
    for found, parameter in zip(gradients, method.parameters()):
        assert torch.allclose(found, parameter.grad, atol=1e-5)

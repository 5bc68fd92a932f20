"""Two processes have the loss and the gradient of one process on the joined batch."""

import dataclasses

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from equicoherence.methods import METHODS, Encoded, Method
from equicoherence.methods.dino import DINO
from equicoherence.methods.dinov2 import DINOv2Config
from equicoherence.methods.ibot import IBOTConfig
from tests.encoded import encoded, rows_of, with_masks
from tests.pool import on_two_processes
from tests.small import METHOD_CONFIGS

CONFIGS = {METHODS[type(config)].__name__: config for config in METHOD_CONFIGS}
del CONFIGS["Anchor"]  # which has nothing to train of its own
IBOT = IBOTConfig(prototypes=20, hidden=12, bottleneck=6)
CONFIGS |= {  # but KoLeo, as published, is of each process's own rows
    "DINOv2": DINOv2Config(prototypes=20, hidden=12, bottleneck=6, koleo=0.0),
    "iBOT with two heads": dataclasses.replace(IBOT, shared_head=False),
    "iBOT with sinkhorn": dataclasses.replace(IBOT, centring="sinkhorn"),
}


def _method(kind: str) -> Method:
    torch.manual_seed(0)
    config = CONFIGS[kind]
    method_class = METHODS[type(config)]
    more = [3] if method_class.told else [5] if method_class.reads_layer else []
    method = method_class(8, config, *more)
    return method.train(isinstance(method, DINO))  # BatchNorm's own statistics are not what is tested, centres are


def _kept(method: Method) -> dict[str, torch.Tensor]:
    """Return what a checkpoint keeps beside the parameters: centres, temperatures, directions."""
    parameters = dict(method.named_parameters())
    return {name: tensor for name, tensor in method.state_dict().items() if name not in parameters}


def _views(kind: str, rows: slice = slice(None)) -> list[Encoded]:
    """Return what student and teacher say of the views, and the student of crops, of some rows of a batch of 16."""
    counts = (2, 2, 4 if kind == "ESSL" else 3)
    student, teacher, crops = (encoded(views, batch=16, seed=seed) for seed, views in enumerate(counts))
    return [rows_of(views, rows) for views in (with_masks(student, 0.4), teacher, crops)]


def _write_joint(rank: int, folder: str) -> None:
    joint = {}
    for kind in CONFIGS:
        model = DistributedDataParallel(_method(kind))
        loss = torch.stack(list(model(*_views(kind, slice(8 * rank, 8 * rank + 8))).values())).sum()
        loss.backward()
        total = loss.detach().clone()
        dist.all_reduce(total)
        gradients = {name: p.grad for name, p in model.module.named_parameters() if p.requires_grad}
        joint[kind] = {"loss": total / 2, **gradients, **_kept(model.module)}
    if rank == 0:
        torch.save(joint, f"{folder}/joint.pt")


@pytest.fixture(scope="module")
def joint(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, torch.Tensor]]:
    folder = tmp_path_factory.mktemp("joint")
    on_two_processes(_write_joint, str(folder))
    return torch.load(folder / "joint.pt", weights_only=True)


@pytest.mark.parametrize("kind", list(CONFIGS))
def test_loss_and_gradient_on_two_processes_are_those_of_one(kind, joint):
    found = joint[kind]
    method = _method(kind)
    expected = torch.stack(list(method(*_views(kind)).values())).sum()
    expected.backward()
    assert abs(found["loss"] - expected) < 1e-5
    for name, parameter in method.named_parameters():
        assert parameter.requires_grad == (name in found)
        if parameter.requires_grad:
            assert parameter.grad is not None
            assert parameter.grad.abs().max() > 0
            assert torch.allclose(found[name], parameter.grad, atol=1e-5)
    for name, buffer in _kept(method).items():
        assert torch.allclose(found[name], buffer, atol=1e-6)

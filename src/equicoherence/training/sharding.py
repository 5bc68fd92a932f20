"""FSDP2: parameters, gradients, optimiser state and teacher divided among the processes, checkpoints whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from equicoherence.models import Encoder
from equicoherence.training.learner import Learner


def shard(learner: Learner) -> None:
    """Divide the parameters of a learner, the same on all processes, in place, each along its first dimension.

    Every block of the encoder, and of the teacher's, is gathered for its own forward and backward; all else for those
    of the whole learner. The names of parameters stay. Raises ValueError for an encoder that is no row of blocks.
    """
    device = learner.encoder.mean.device
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    for parameter in learner.parameters():  # FSDP takes no others; convolutions are channels-last so far
        parameter.data = parameter.data.contiguous()
    for encoder in [part for part in (learner.encoder, *(learner.teacher or ())) if isinstance(part, Encoder)]:
        for block in _blocks(encoder):
            fully_shard(block, mesh=mesh)
    fully_shard(learner, mesh=mesh)


def _blocks(encoder: Encoder) -> list[nn.Module]:
    blocks = getattr(encoder.model, "blocks", None)
    if not isinstance(blocks, nn.Sequential | nn.ModuleList):
        raise ValueError(f"sharding fsdp2 divides transformer blocks, and {encoder.name} has none; give --sharding ddp")
    return list(blocks)


def whole(state: Any, keep: bool) -> Any:
    """Return nested ``state`` with its divided tensors whole, on the CPU, where ``keep``, else without them.

    All processes must call this together, with the same state.
    """
    if isinstance(state, DTensor):
        full = state.full_tensor()
        return full.cpu() if keep else None
    if isinstance(state, Mapping):
        return {name: whole(value, keep) for name, value in state.items()}
    if isinstance(state, list | tuple):
        return [whole(value, keep) for value in state]
    return state


def load_from_first(learner: Learner, weights: Mapping[str, Tensor]) -> None:
    """Give a learner, whole or divided, the whole ``weights`` of the first process; all call this together."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict  # takes half a second

    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    # memory is sent in the order it has, and that of convolutions is channels-last
    in_order: dict[str, Any] = {name: tensor.contiguous() for name, tensor in weights.items()}
    set_model_state_dict(learner, in_order, options=options)


def divide_like_parameters(state: dict[str, Any], optimizer: Optimizer) -> dict[str, Any]:
    """Return a whole optimiser state with what has a divided parameter's shape divided as that parameter is."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]

    def divided(value: Any, parameter: Tensor) -> Any:
        if not isinstance(parameter, DTensor) or getattr(value, "shape", None) != parameter.shape:
            return value
        value = value.contiguous().to(parameter.device)
        return distribute_tensor(value, parameter.device_mesh, parameter.placements, src_data_rank=None)

    of_each = {
        number: {name: divided(value, parameters[number]) for name, value in values.items()}
        for number, values in state["state"].items()
    }
    return {**state, "state": of_each}

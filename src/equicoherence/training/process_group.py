"""The processes of a job: joined for its first run, left when the process ends."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch.distributed as dist
from accelerate import Accelerator
from accelerate.utils import DistributedType, InitProcessGroupKwargs

from equicoherence.devices import chosen_device
from equicoherence.finite import NotFinite
from equicoherence.training.config import PretrainConfig

# for a process whose machine is gone without a word; one that merely dies is noticed at once. (Not 10 minutes: that is
# Accelerate's default, which it does not hand on to gloo.)
TIMEOUT = timedelta(minutes=15)
_broken = False  # whether the last run ended so that the process group is not left


def join_job(config: PretrainConfig) -> Accelerator:
    """Join the processes of a job, on the device of the configuration.

    Raises ValueError where accelerate is configured to divide the model by itself.
    """
    device, before = chosen_device(config.device), dist.is_available() and dist.is_initialized()
    # without cpu=True, processes without a GPU would not find each other; precision is a matter of each run
    joining = InitProcessGroupKwargs(timeout=TIMEOUT)
    accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision="no", kwargs_handlers=[joining])
    if accelerator.num_processes > 1 and not before:  # else it belongs to the caller, or to an earlier run
        atexit.register(leave)
    kind = accelerator.distributed_type
    if kind in (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM):
        raise ValueError(f"accelerate is configured to use {kind.value}; choose none there, and --sharding fsdp2 here")
    return accelerator


def leave() -> None:
    """Leave the process group, if there is one, as threads that outlive it can abort a process that has done its
    work.

    Called when the process ends, for a process may train several runs: the last of them says whether.
    """
    if dist.is_initialized() and not _broken:
        dist.destroy_process_group()


@contextmanager
def staying_if_broken() -> Iterator[None]:
    """Do not leave the process group where a run ends with an exception: another process may not have it, and NCCL
    would wait for that process. All processes have `NotFinite`."""
    global _broken
    _broken = True
    try:
        yield
    except NotFinite:
        _broken = False
        raise
    _broken = False

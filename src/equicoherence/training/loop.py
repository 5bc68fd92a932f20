"""The training loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from equicoherence.data import Batch
from equicoherence.errors import RefusedValue, refusing
from equicoherence.finite import NotFinite
from equicoherence.models import Encoder
from equicoherence.models.attention import plain_attention
from equicoherence.training.bad_images import advise_on_bad_images
from equicoherence.training.callbacks import Callback
from equicoherence.training.config import Precision, PretrainConfig
from equicoherence.training.interrupt import Interrupted, StopFlag
from equicoherence.training.keep import NotKept, last_good, measure
from equicoherence.training.learner import LearnerOutput
from equicoherence.training.lost import name_lost_processes
from equicoherence.training.optim import set_schedules
from equicoherence.training.parts import Parts
from equicoherence.training.process_group import staying_if_broken
from equicoherence.training.progress import TrainingProgress
from equicoherence.training.resume_command import resume_command
from equicoherence.training.seeds import seed_step
from equicoherence.training.setup import set_up
from equicoherence.training.watchable import watched_names

HALF: dict[str, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}


def pretrain(
    config: PretrainConfig,
    out: Path,
    *,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
    start: Encoder | None = None,
) -> Path:
    """Train a configuration into the run directory ``out``, and return it.

    Processes started by torchrun or accelerate train together (DDP or FSDP2).

    resume: continue an interrupted run; it ends with the same bits on the same machine. Fields that do not change these
        may differ (`run.FREE`), and the images may be in another place. After a loss that was not finite, `run.GENTLER`
        may differ, too.
    callbacks: called during training, in this order.
    start: the encoder of `start.started`, which gave ``config``; None: `EncoderConfig.weights` are read.

    Raises FileExistsError if another process uses ``out``; `Interrupted` after saving, on Ctrl-C or SIGTERM;
    `NotFinite`, naming the last checkpoint, if a loss is not finite, unless the run ends with its last good state
    (``keep`` of the configuration is above 0, or `adapt` began it and has a good checkpoint); `TooManyBadImages` for
    bad data; `LostProcess` if another process of the job ended.
    """
    with staying_if_broken(), name_lost_processes(out), advise_on_bad_images(out), ExitStack() as held:
        with refusing():
            parts = set_up(config, out, resume, held, callbacks, start)
        try:
            _train(parts)
        except (NotFinite, NotKept) as error:
            parts.return_to(last_good(parts, error))
        parts.finish()
        for callback in callbacks:
            callback.on_end(parts.moment(parts.metrics.step))
    return out


def _train(run: Parts) -> None:
    """Take all remaining steps, with metrics and checkpoints between them."""
    config, total = run.config, run.total
    shown = run.accelerator.is_main_process
    measured = bool(config.keep or watched_names(config.watch))
    for callback in run.callbacks:
        callback.on_start(run.moment(run.start))
    if measured and not run.start:
        try:
            measure(run, 0)
        except NotFinite as error:  # there is no good state to end with
            raise RefusedValue(f"{error}: the encoder cannot start from its weights; give others") from error
        if config.keep:
            run.save(0)
    with StopFlag() as stop, TrainingProgress(config.name, run.start, total, shown) as progress:
        for step, batch in run.batches():
            lr = set_schedules(run.optimizer, config.optim, step, total, run.per_epoch, run.world)
            seed_step(run.generator, config.seed, step, run.rank)
            output, losses, parts = _accumulate(run, batch)
            norm = run.clip_gradients()
            run.step()
            run.learner.update(step, total)
            run.metrics.add(losses, norm, config.optim.batch_size * run.world, parts)

            done = step + 1
            for callback in run.callbacks:
                callback.on_step(run.moment(done, losses | parts))
            noted = done % config.log_every == 0
            asked = run.any_process(stop.requested) if run.world == 1 or noted else False
            due = done % config.checkpoint_every == 0 or done == total or asked
            watched = measured and (done % config.watch_every == 0 or done == total)
            if noted or due or watched:
                line, collapse = run.note(done, lr, output)
                progress.show(line)
                if collapse:
                    progress.warn(collapse)
            if watched and measure(run, done):
                due = True  # a good state: what the run ends with, should it lose more
            if due:  # after the flush, so that a broken loss never reaches a checkpoint
                run.save(done)
            if asked and done < total:
                raise Interrupted(f"stopped at step {done} of {total}, saved; go on with: {resume_command(run.out)}")


def _accumulate(run: Parts, batch: Batch) -> tuple[LearnerOutput, dict[str, Tensor], dict[str, Tensor]]:
    """Run forward and backward over the parts of a batch; gradients, losses and their parts are means over these."""
    accelerator, config = run.accelerator, run.config
    batch = batch.to(accelerator.device)
    losses: dict[str, Tensor] = {}
    named: dict[str, Tensor] = {}
    output = None
    parts = config.optim.accumulation
    items = np.array_split(np.arange(config.optim.batch_size), parts)
    for number, part in enumerate(items):
        start, stop = int(part[0]) * run.feed.group, (int(part[-1]) + 1) * run.feed.group
        made = run.feed.views(batch.part(start, stop), run.generator)
        with accelerator.no_sync(run.model) if number + 1 < parts else nullcontext():
            with arithmetic(run.precision, accelerator.device.type):
                output = run.model(made)
            loss = torch.stack(list(output.losses.values())).sum() / parts
            with _attention(run.precision, accelerator.device.type):  # checkpointed layers are computed once more
                accelerator.backward(run.scaler.scale(loss))
        for sums, values in ((losses, output.losses), (named, output.parts)):
            for name, value in values.items():
                sums[name] = sums.get(name, torch.zeros_like(value)) + value.detach() / parts
    assert output is not None
    return output, losses, named


@contextmanager
def arithmetic(precision: Precision, device: str) -> Iterator[None]:
    """Run in a precision."""
    if precision == "fp32":
        yield
        return
    with torch.autocast(device, HALF[precision]), _attention(precision, device):
        yield


def _attention(precision: Precision, device: str) -> AbstractContextManager[Any]:
    """Leave out, on a CPU in half precision, the fused attention, whose backward is slow there."""
    return plain_attention() if precision in HALF and device == "cpu" else nullcontext()

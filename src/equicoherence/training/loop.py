"""The training loop."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import SyncBatchNorm

from equicoherence.data import Batch, Loader, batch_indices, open_images, steps_per_epoch
from equicoherence.paths import PathViews
from equicoherence.training.checkpoint import export_encoder, save_checkpoint, save_tensors, write_text
from equicoherence.training.config import PretrainConfig
from equicoherence.training.interrupt import Interrupted, StopFlag
from equicoherence.training.learner import LearnerOutput, build_learner, build_views
from equicoherence.training.metrics import Metrics
from equicoherence.training.optim import build_optimizer, learning_rate
from equicoherence.training.progress import TrainingProgress
from equicoherence.training.run import begin_run, check_same, resume_state
from equicoherence.training.samples import save_samples
from equicoherence.training.seeds import seed_step


def pretrain(config: PretrainConfig, out: Path, *, resume: bool = False) -> Path:
    """Train a configuration into the run directory ``out`` and return it.

    Processes started by torchrun or accelerate train together (DDP). A run that was interrupted is continued with
    ``resume`` and ends with the same bits on the same machine. Raises `Interrupted` after saving, on Ctrl-C or SIGTERM;
    `NotFinite` where a loss breaks; `TooManyBadImages` where the data does.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    # without cpu=True, processes without a GPU would not find each other; precision is a matter of each run
    accelerator = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision="no")
    source = open_images(config.data, "train")
    per_epoch = steps_per_epoch(len(source), config.optim.batch_size, accelerator.num_processes)
    total = config.optim.epochs * per_epoch
    total = min(total, config.max_steps) if config.max_steps else total
    torch.manual_seed(config.seed)
    learner, views = build_learner(config), build_views(config)
    if accelerator.is_main_process:
        begin_run(config, out, resume)
    accelerator.wait_for_everyone()
    if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
        SyncBatchNorm.convert_sync_batchnorm(learner)  # in place: the learner itself is no BatchNorm
    optimizer = build_optimizer(learner, config.optim)
    start = 0
    shape = {"processes": accelerator.num_processes, "images": len(source)}
    if resume and (state := resume_state(out)):
        check_same(state["shape"], shape, out)
        learner.load_state_dict(state["learner"])
        optimizer.load_state_dict(state["optimizer"])
        start = state["step"]
    if config.compile:
        learner.compile()
    model, optimizer = accelerator.prepare(learner, optimizer)
    loader = Loader(
        source,
        config.views.source,
        tolerance=config.bad_image_tolerance,
        cache_bytes=config.cache * 2**20,
        threads=config.threads or None,
    )
    rank, world = accelerator.process_index, accelerator.num_processes
    wanted = (
        batch_indices(len(source), config.optim.batch_size, config.seed, s, rank, world) for s in range(start, total)
    )

    generator = torch.Generator(accelerator.device)
    main = accelerator.is_main_process
    board = out / "tensorboard" if config.track == "tensorboard" and main else None
    metrics = Metrics(out / "metrics.jsonl" if main else None, board)

    def save(step: int) -> None:
        if main:
            state = {
                "step": step,
                "shape": shape,
                "learner": learner.state_dict(),
                "optimizer": optimizer.optimizer.state_dict(),
            }
            save_checkpoint(out, step, state)
        accelerator.wait_for_everyone()
        metrics.restart_clock()

    with StopFlag() as stop, TrainingProgress(config.name, start, total, main) as progress:
        for step, batch in enumerate(loader.batches(wanted), start=start):
            lr = learning_rate(config.optim, step, total, world)
            for group in optimizer.param_groups:
                group["lr"] = lr
            seed_step(generator, config.seed, step, rank)
            output, losses = _accumulate(accelerator, model, views, generator, batch, config)
            norm = accelerator.clip_grad_norm_(model.parameters(), config.optim.clip or float("inf"))
            optimizer.step()
            optimizer.zero_grad()
            learner.method.update(step, total)
            metrics.add(losses, torch.as_tensor(norm), config.optim.batch_size * world)

            done = step + 1
            asked = _anyone(accelerator, stop.requested) if world == 1 or done % config.log_every == 0 else False
            due = done % config.checkpoint_every == 0 or done == total or asked
            if done % config.log_every == 0 or due:
                progress.show(metrics.flush(done, done / per_epoch, lr, output))
            if due:  # after the flush, so that a broken loss never reaches a checkpoint
                save(done)
            if asked and done < total:
                raise Interrupted(f"stopped at step {done} of {total}, saved; continue with --resume --out {out}")
    metrics.close()
    if main:
        export_encoder(learner.encoder, out, config.views.size)
        heads = {k: v for k, v in learner.state_dict().items() if not k.startswith("encoder.")}
        save_tensors(heads, out / "heads.safetensors")
        save_samples(learner, views, loader, config, out / "samples.npz")
        if loader.bad:
            lines = "".join(f"{name}\t{reason}\n" for name, reason in sorted(loader.bad.items()))
            write_text(lines, out / "bad_images.txt")
    accelerator.wait_for_everyone()
    return out


def _accumulate(
    accelerator: Accelerator,
    model: torch.nn.Module,
    views: PathViews,
    generator: torch.Generator,
    batch: Batch,
    config: PretrainConfig,
) -> tuple[LearnerOutput, dict[str, Tensor]]:
    """Run forward and backward over the parts of a batch; gradients and losses are means over the parts."""
    batch = batch.to(accelerator.device)
    sums: dict[str, Tensor] = {}
    output = None
    parts = config.optim.accumulation
    rows = np.array_split(np.arange(len(batch.images)), parts)
    mixed = torch.autocast(accelerator.device.type, torch.bfloat16, enabled=config.precision == "bf16")
    for number, part in enumerate(rows):
        chosen = slice(int(part[0]), int(part[-1]) + 1)
        made = views(batch.images[chosen], generator, batch.aspect[chosen])
        with accelerator.no_sync(model) if number + 1 < parts else nullcontext():
            with mixed:
                output = model(made)
            loss = torch.stack(list(output.losses.values())).sum() / parts
            accelerator.backward(loss)
        for name, value in output.losses.items():
            sums[name] = sums.get(name, torch.zeros_like(value)) + value.detach() / parts
    assert output is not None
    return output, sums


def _anyone(accelerator: Accelerator, flag: bool) -> bool:
    """Return whether any process raised its flag."""
    if accelerator.num_processes == 1:
        return flag
    flags = accelerator.gather(torch.tensor([float(flag)], device=accelerator.device))
    assert isinstance(flags, Tensor)
    return bool(flags.sum() > 0)

"""The parts of a run, built or brought back to where it stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.utils import gather_object
from timm.layers import convert_sync_batchnorm
from torch import nn

from equicoherence.arithmetic import has_bfloat16
from equicoherence.data import Loader, open_images, say_images
from equicoherence.files import alone
from equicoherence.models import Encoder
from equicoherence.models.features import POOLS
from equicoherence.models.on_cpu import fast_on_cpu
from equicoherence.models.train_setting import HEAD
from equicoherence.models.trained import trained_parameters
from equicoherence.notice import say
from equicoherence.training.batch import check_batch
from equicoherence.training.build import build_feed, build_learner, fit_theta
from equicoherence.training.callbacks import Callback
from equicoherence.training.checkpoint import newest_whole_checkpoint
from equicoherence.training.comma_lists import listed
from equicoherence.training.config import Precision, PretrainConfig
from equicoherence.training.config_file import to_dict
from equicoherence.training.encoder_copy import EncoderCopy
from equicoherence.training.feed import Feed
from equicoherence.training.head_copy import HeadCopy
from equicoherence.training.learner import Learner
from equicoherence.training.metrics import Metrics
from equicoherence.training.online import LEAST, MOST, PER_BATCH, HeldOut, allowed
from equicoherence.training.optim import build_optimizer, rate_scales
from equicoherence.training.parts import Parts
from equicoherence.training.process_group import join_job
from equicoherence.training.run import (
    begin_run,
    check_run,
    check_same,
    check_shared,
    keep_threads,
    load_learner,
    shape_of,
)
from equicoherence.training.sharding import divide_like_parameters, shard
from equicoherence.training.start import begun_before, check_start, needs_start, started
from equicoherence.training.trackers import Trackers, need_trackers
from equicoherence.training.watch import Watch
from equicoherence.training.watchable import AUTO, watched_names


@dataclass(frozen=True)
class _Saved:
    """The state from which a run starts or continues.

    state: content of its newest checkpoint that is whole; None for a new run.
    precision: in which it computes.
    step: steps done.
    remark: a line about its checkpoints; "" for none.
    """

    state: Mapping[str, Any] | None
    precision: Precision
    step: int
    remark: str


def set_up(
    config: PretrainConfig,
    out: Path,
    resume: bool,
    held: ExitStack,
    callbacks: Sequence[Callback] = (),
    start: Encoder | None = None,
) -> Parts:
    """Build a run's parts, from its newest whole checkpoint on where ``resume`` and there is one.

    held: keeps the run directory for this job, and the trackers open, until it is closed.
    start: see `pretrain`.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    accelerator = join_job(config)
    main = accelerator.is_main_process
    config = begun_before(config, out) if resume else config
    check_start(config)
    if start is None and needs_start(config, out, resume):
        config, start = started(config)
    if main:
        held.enter_context(alone(out, "pretrains into"))
        check_run(config, out, resume)
        need_trackers(config.track)
    accelerator.wait_for_everyone()
    saved = _saved(config, out, resume, accelerator)
    learner, feed, per_epoch, shape = _built(config, out, saved, start, accelerator.num_processes)
    if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
        convert_sync_batchnorm(learner)  # in place: the learner itself is no BatchNorm
    learner.to(accelerator.device)
    loader = _loader(config, feed)
    watch = watch_of(config, learner, loader, saved.precision) if config.keep and main else None
    held_out = held_out_of(config, learner, watch, saved.precision) if watched_names(config.watch) and main else None
    model, optimizer, scaler = _trained(config, learner, accelerator, saved)
    total = config.max_steps or config.optim.epochs * per_epoch
    if main:  # after all that can refuse the configuration: a refused start leaves nothing behind
        begin_run(config, out, saved.step, saved.state.get("config") if saved.state else None)
        _say_start(config, learner, feed, saved)
    metrics = _metrics(config, learner, out if main else None, saved.step, total)
    if metrics.trackers is not None:
        held.callback(metrics.trackers.close)
    if watch is not None and saved.state and saved.step:
        watch.load(saved.state["watch"])
    accelerator.wait_for_everyone()
    return Parts(
        config,
        saved.precision,
        out,
        accelerator,
        learner,
        model,
        optimizer,
        scaler,
        feed,
        loader,
        metrics,
        torch.Generator(accelerator.device),
        saved.step,
        total,
        per_epoch,
        shape,
        watch,
        held_out,
        callbacks,
    )


def _saved(config: PretrainConfig, out: Path, resume: bool, accelerator: Accelerator) -> _Saved:
    """Read the newest whole checkpoint of a run that is resumed, and use as many threads as it did."""
    state, remark = newest_whole_checkpoint(out) if resume else (None, "")
    step = state["step"] if state else 0
    if state and not config.threads:
        keep_threads(state["threads"])
    precision = state["precision"] if state else precision_on(accelerator.device, config.precision)
    check_shared(gather_object([step]), out)
    return _Saved(state, precision, step, remark)


def _built(
    config: PretrainConfig, out: Path, saved: _Saved, start: Encoder | None, processes: int
) -> tuple[Learner, Feed, int, dict[str, Any]]:
    """Return the learner as it starts or was saved, its images and views, the steps of an epoch, and `shape_of`."""
    torch.manual_seed(config.seed)
    learner = build_learner(config, pretrained=False if saved.state else None, start=None if saved.state else start)
    feed = build_feed(config, learner.encoder)
    per_epoch = check_batch(config, feed.source, processes, len(feed))
    shape = shape_of(processes, feed.source)
    if saved.state:  # which holds what theta was fitted to
        check_same(saved.state["shape"], shape, out)
        load_learner(learner, saved.state["learner"], out)
    else:
        fit_theta(learner, feed)
    return learner, feed, per_epoch, shape


def _trained(
    config: PretrainConfig, learner: Learner, accelerator: Accelerator, saved: _Saved
) -> tuple[nn.Module, AcceleratedOptimizer, torch.amp.GradScaler]:
    """Return the learner, compiled and wrapped or sharded, its optimiser, and the scaler of the loss."""
    state, device = saved.state, accelerator.device.type
    if device == "cpu" and not config.compile:
        fast_on_cpu(learner)
    scales = rate_scales(learner, config.optim)
    sharded = accelerator.num_processes > 1 and config.sharding == "fsdp2"
    if sharded:
        shard(learner)
    optimizer = build_optimizer(learner, config.optim, scales)
    if state:
        optimizer.load_state_dict(divide_like_parameters(state["optimizer"], optimizer))
    if config.compile:
        learner.compile()
    prepared = accelerator.prepare(optimizer)
    scaler = torch.amp.GradScaler(device, enabled=saved.precision == "fp16")
    if state and scaler.is_enabled():
        scaler.load_state_dict(state["scaler"])
    return learner if sharded else accelerator.prepare(learner), prepared, scaler


def _loader(config: PretrainConfig, feed: Feed) -> Loader:
    """Return the loader of the images of a feed."""
    return Loader(
        feed.source,
        config.views.source,
        tolerance=config.bad_image_tolerance,
        cache_bytes=config.cache * 2**20,
        threads=config.threads or None,
    )


def watch_of(config: PretrainConfig, learner: Learner, loader: Loader, precision: Precision) -> Watch:
    """Return the measurement of how much the encoder has kept."""
    bfloat16 = precision == "bf16"
    return Watch(learner.encoder, learner.pool, loader, size=config.views.size, keep=config.keep, bfloat16=bfloat16)


def held_out_of(config: PretrainConfig, learner: Learner, watch: Watch | None, precision: Precision) -> HeldOut | None:
    """Return the measurement of an encoder, or of its head, on images that are held out of its training; None if that
    is left to the images, and these are too few."""
    source, most = open_images(config.data, "val"), min(MOST, PER_BATCH * config.optim.batch_size)
    names = allowed(np.asarray(source.labels), most) if config.watch == AUTO else watched_names(config.watch)
    if not names:
        say(f"nothing is watched during training: {len(source)} images are held out, fewer than {LEAST}")
        return None
    source.format.check(learner.encoder.channels, f"the held-out side of {config.data!r}", "the encoder")
    loader = Loader(
        source,
        config.views.source,
        tolerance=config.bad_image_tolerance,
        cache_bytes=0,
        threads=config.threads or None,
    )
    bfloat16 = precision == "bf16"
    if config.encoder.train == HEAD:
        copy = HeadCopy(learner.encoder, learner.head, learner.pool, bfloat16=bfloat16)
    else:
        copy = watch.copy if watch else EncoderCopy(learner.encoder, learner.pool, bfloat16=bfloat16)
    return HeldOut(names, copy, loader, size=config.views.size, most=most)


def _metrics(config: PretrainConfig, learner: Learner, out: Path | None, start: int, total: int) -> Metrics:
    """Return the metrics of a run from step ``start`` on. out: its directory; None on all processes but the first."""
    watched = learner.method.watched()
    path, trackers = None, None
    if out is not None:
        path = out / "metrics.jsonl"
        if names := listed(config.track):
            trackers = Trackers(names, out, to_dict(config), start)
    return Metrics(path, trackers, total, watched[1] if watched else 0, start)


def _say_start(config: PretrainConfig, learner: Learner, feed: Feed, saved: _Saved) -> None:
    """Print what is trained, on which images, and what is to be said of both."""
    say(described(config, learner, saved.precision))
    say_images(config.data, feed.source)
    for line in filter(None, (saved.remark, feed.remark)):
        say(line)


def precision_on(device: torch.device, asked: Precision) -> Precision:
    """Return the precision to compute in: as asked, auto being bf16 on devices that multiply it, else fp32."""
    return asked if asked != "auto" else "bf16" if has_bfloat16(device) else "fp32"


def described(config: PretrainConfig, learner: Learner, precision: Precision) -> str:
    """Return a run's first line: encoder, number of parameters, image representation and precision."""
    encoder = learner.encoder
    count, train = sum(parameter.numel() for parameter in encoder.model.parameters()) / 1e6, config.encoder.train
    trained = "" if train == "all" else f" ({train} trained: {trained_parameters(encoder) / 1e6:,.3g} million)"
    if train == HEAD:
        trained = f" (frozen; trained beside them: {trained_parameters(learner) / 1e6:,.3g} million)"
    return (
        f"{config.name}: encoder {encoder.architecture}, {count:,.2f} million parameters{trained}, images of "
        f"{config.views.size} px; {POOLS[learner.pool]} stands for an image; {precision}"
    )

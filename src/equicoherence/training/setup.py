"""The parts of a run, built or brought back to where it stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.utils import DistributedType, InitProcessGroupKwargs, gather_object
from timm.layers import convert_sync_batchnorm
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from equicoherence.arithmetic import has_bfloat16
from equicoherence.data import Batch, Loader, TooManyBadImages, describe_images, open_images
from equicoherence.devices import chosen_device
from equicoherence.errors import one_line
from equicoherence.files import alone
from equicoherence.finite import NotFinite, not_finite
from equicoherence.models.features import POOLS
from equicoherence.models.shared_conv import share_weight_gradients
from equicoherence.models.trained import HEAD, trained_parameters
from equicoherence.models.trained_lora import merge_lora
from equicoherence.notice import say
from equicoherence.training.bad_images import note_bad_images
from equicoherence.training.batch import check_batch
from equicoherence.training.build import build_feed, build_learner, fit_theta
from equicoherence.training.callbacks import Callback, Moment
from equicoherence.training.checkpoint import (
    checkpoint_of,
    export_encoder,
    newest_whole_checkpoint,
    not_in_timm,
    save_checkpoint,
    save_tensors,
)
from equicoherence.training.comma_lists import listed
from equicoherence.training.config import Precision, PretrainConfig
from equicoherence.training.config_file import to_dict
from equicoherence.training.encoder_copy import EncoderCopy
from equicoherence.training.feed import Feed
from equicoherence.training.films import film_strips
from equicoherence.training.health import REMEDY
from equicoherence.training.learner import Learner, LearnerOutput
from equicoherence.training.lost import TIMEOUT
from equicoherence.training.metrics import Metrics
from equicoherence.training.online import MOST, PER_BATCH, HeldOut
from equicoherence.training.optim import build_optimizer, rate_scales
from equicoherence.training.run import (
    begin_run,
    check_run,
    check_same,
    check_shared,
    heads_of,
    keep_threads,
    load_learner,
    shape_of,
)
from equicoherence.training.samples import save_samples, take_samples
from equicoherence.training.sharding import divide_like_parameters, shard, whole
from equicoherence.training.start import begun_before, check_start, needs_start, started
from equicoherence.training.trackers import Trackers, need_trackers
from equicoherence.training.watch import Watch


@dataclass(frozen=True)
class Parts:
    """What the loop works with. precision: that it computes in, not auto. model: the learner, wrapped for several
    processes (DDP), or itself, divided among them (FSDP2). scaler: of the loss in fp16, else one that does nothing.
    start, total: steps done, and of the whole run. generator: of the views. shape: what must stay the same for the run
    to be resumed. watch, held_out: what the encoder still knows, and figures of images that it is not trained on; None
    where nobody asks and on other processes than the first. callbacks: what else is called."""

    config: PretrainConfig
    precision: Precision
    out: Path
    accelerator: Accelerator
    learner: Learner
    model: nn.Module
    optimizer: AcceleratedOptimizer
    scaler: torch.amp.GradScaler
    feed: Feed
    loader: Loader
    metrics: Metrics
    generator: torch.Generator
    start: int
    total: int
    per_epoch: int
    shape: dict[str, Any]
    watch: Watch | None
    held_out: HeldOut | None
    callbacks: Sequence[Callback]

    @property
    def rank(self) -> int:
        """Number of this process."""
        return self.accelerator.process_index

    @property
    def world(self) -> int:
        """Number of processes."""
        return self.accelerator.num_processes

    def batches(self) -> Iterator[tuple[int, Batch]]:
        """Yield this process's remaining batches, each with its step, from 0."""
        size, seed = self.config.optim.batch_size, self.config.seed
        steps = range(self.start, self.total)
        wanted = (self.feed.indices(size, seed, step, self.rank, self.world) for step in steps)
        yield from enumerate(self.loader.batches(wanted), start=self.start)

    def any_process(self, flag: bool) -> bool:
        """Return whether any process raised its flag."""
        if self.world == 1:
            return flag
        flags = self.accelerator.gather(torch.tensor([float(flag)], device=self.accelerator.device))
        assert isinstance(flags, Tensor)
        return bool(flags.sum() > 0)

    @property
    def sharded(self) -> bool:
        """Whether the learner is divided among the processes."""
        return self.world > 1 and self.config.sharding == "fsdp2"

    def weights(self) -> Mapping[str, Tensor]:
        """Return the learner's weights, whole, on the first process; all processes call this together."""
        weights = self.learner.state_dict()
        return whole(weights, self.accelerator.is_main_process) if self.sharded else weights

    def clip_gradients(self) -> Tensor:
        """Scale the gradients down to the configured norm; return their norm before, over the whole model.

        In fp16 one that is not finite counts as 0: the scaler leaves such a step out, and lowers its scale.
        """
        if self.scaler.is_enabled():
            self.scaler.unscale_(self.optimizer.optimizer)
        limit = self.config.optim.clip or float("inf")
        norm = torch.as_tensor(self.accelerator.clip_grad_norm_(self.model.parameters(), limit))
        norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
        return norm.where(norm.isfinite(), 0) if self.scaler.is_enabled() else norm

    def step(self) -> None:
        """Change the weights by their gradients, and drop these."""
        self.scaler.step(self.optimizer.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()

    def save(self, step: int) -> None:
        """Write the checkpoint of ``step`` steps done, and the images that no process could decode so far.

        Raises `NotFinite` where the weights are not: such a checkpoint would be of no use.
        """
        bad = gather_object([dict(self.loader.bad)])
        needed: Sequence[int] = ()
        optimizer = self.optimizer.optimizer.state_dict()
        state = {"step": step, "shape": self.shape, "learner": self.learner.state_dict(), "optimizer": optimizer}
        state |= {"threads": torch.get_num_threads(), "precision": self.precision}
        if self.scaler.is_enabled():
            state["scaler"] = self.scaler.state_dict()
        if self.watch is not None:
            state["watch"], needed = self.watch.state(), self.watch.good_steps
        if self.sharded:
            state = whole(state, self.accelerator.is_main_process)
        name = not_finite(state["learner"]) if self.accelerator.is_main_process else None
        if self.any_process(name is not None):
            raise NotFinite(f"the weights {name or ''} are not finite after step {step}; {REMEDY}")
        if self.accelerator.is_main_process:
            save_checkpoint(self.out, step, state, needed)
            note_bad_images(self.out / "bad_images.txt", bad)
        self.accelerator.wait_for_everyone()
        self._show_films(step)
        moment, path = self.moment(step), checkpoint_of(self.out, step)
        for callback in self.callbacks:
            callback.on_checkpoint(moment, path)
        self.metrics.restart_clock()

    def moment(self, step: int, losses: Mapping[str, Tensor] | None = None) -> Moment:
        """Return where the run stands after ``step`` steps, for callbacks."""
        return Moment(
            step,
            self.total,
            self.config,
            self.out,
            self.learner,
            losses or {},
            self.accelerator.is_main_process,
            lambda values: self.metrics.note(step, values),
        )

    def _show_films(self, step: int) -> None:
        """Give the trackers pictures of what the task decodes now; a learner that is divided has none till its end.

        Only the first process gets here: what it cannot show does not end the run.
        """
        if self.metrics.trackers is None or self.sharded:
            return
        modes = [(module, module.training) for module in self.learner.modules()]
        try:
            samples = take_samples(self.learner, self.feed, self.loader, self.config)
        except (NotFinite, TooManyBadImages) as error:
            say(f"step {step}: the trackers get no pictures: {one_line(error)}")
            return
        finally:
            for module, mode in modes:
                module.training = mode
        self.metrics.trackers.show_films(step, film_strips(samples))

    def note(self, step: int, lr: float, output: LearnerOutput) -> tuple[dict[str, Any], str | None]:
        """Write the metrics of ``step`` steps done; return as `Metrics.flush` does.

        Raises `NotFinite` on all processes where a number of one of them is not.
        """
        broken, found = None, ({}, None)
        try:
            if self.scaler.is_enabled() and self.scaler.get_scale() < 1:
                raise NotFinite(f"gradients overflow fp16 at step {step}, however small the loss is scaled; {REMEDY}")
            watched = self.learner.method.watched()
            found = self.metrics.flush(step, step / self.per_epoch, lr, output, watched)
        except NotFinite as error:
            broken = error
        if self.any_process(broken is not None):
            raise broken or NotFinite(f"a loss or a feature of another process is not finite; {REMEDY}")
        return found

    def finish(self, weights: Mapping[str, Tensor] | None = None) -> None:
        """Write what a finished run holds beside its checkpoints; its LoRA is merged.

        weights: of another state than it is in.
        """
        other, weights = weights is not None, self.weights() if weights is None else weights
        if self.accelerator.is_main_process:
            learner = self.learner
            if self.sharded or other:
                learner = build_learner(self.config, pretrained=False)
                learner.load_state_dict(dict(weights))
                learner.to(self.accelerator.device)
            merge_lora(learner)
            samples = take_samples(learner, self.feed, self.loader, self.config)  # which first looks at the features
            if self.metrics.trackers is not None and (self.sharded or other):
                self.metrics.trackers.show_films(self.metrics.step, film_strips(samples))
            views, encoder = self.config.views, learner.encoder
            if sentence := not_in_timm(encoder, learner.pool):
                save_tensors(encoder.model.state_dict(), self.out / "model.safetensors")  # type: ignore[arg-type]
                say(f"{self.out}: {sentence}")
            else:
                export_encoder(encoder, self.out, views.size, pool=learner.pool, source=views.source)
            save_tensors(heads_of(learner.state_dict(), learner), self.out / "heads.safetensors")
            save_samples(samples, self.out / "samples.npz")
            note_bad_images(self.out / "bad_images.txt", [self.loader.bad])
        self.accelerator.wait_for_everyone()


def set_up(
    config: PretrainConfig, out: Path, resume: bool, held: ExitStack, callbacks: Sequence[Callback] = ()
) -> Parts:
    """Build a run's parts, from its newest whole checkpoint on where ``resume`` and there is one.

    held: keeps the run directory for this job, and the trackers open, until it is closed.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    accelerator = _accelerator(config)
    main, world = accelerator.is_main_process, accelerator.num_processes
    config = begun_before(config, out) if resume else config
    check_start(config)
    config, given = started(config) if needs_start(config, out, resume) else (config, None)
    if main:
        held.enter_context(alone(out, "pretrains into"))
        check_run(config, out, resume)
        need_trackers(config.track)
    accelerator.wait_for_everyone()
    state, remark = newest_whole_checkpoint(out) if resume else (None, "")
    start = state["step"] if state else 0
    if state and not config.threads:
        keep_threads(state["threads"])
    precision = state["precision"] if state else precision_on(accelerator.device, config.precision)
    check_shared(gather_object([start]), out)
    torch.manual_seed(config.seed)
    learner = build_learner(config, pretrained=False if state else None, start=None if state else given)
    feed = build_feed(config, learner.encoder)
    per_epoch = check_batch(config, len(feed), world)
    shape = shape_of(world, feed.source)
    if state:  # which holds what theta was fitted to
        check_same(state["shape"], shape, out)
        load_learner(learner, state["learner"], out)
    else:
        fit_theta(learner, feed)
    if world > 1 and accelerator.device.type == "cuda":
        convert_sync_batchnorm(learner)  # in place: the learner itself is no BatchNorm
    learner.to(accelerator.device)
    loader = _loader(config, feed)
    watch = _watch(config, learner, loader, precision) if config.keep and main else None
    held_out = _held_out(config, learner, watch, precision) if listed(config.watch) and main else None
    if accelerator.device.type == "cpu" and not config.compile:
        share_weight_gradients(learner)
    scales = rate_scales(learner, config.optim)
    sharded = world > 1 and config.sharding == "fsdp2"
    if sharded:
        shard(learner)
    optimizer = build_optimizer(learner, config.optim, scales)
    if state:
        optimizer.load_state_dict(divide_like_parameters(state["optimizer"], optimizer))
    if config.compile:
        learner.compile()
    prepared = accelerator.prepare(optimizer)
    scaler = torch.amp.GradScaler(accelerator.device.type, enabled=precision == "fp16")
    if state and scaler.is_enabled():
        scaler.load_state_dict(state["scaler"])
    model = learner if sharded else accelerator.prepare(learner)
    total = config.optim.epochs * per_epoch
    total = min(total, config.max_steps) if config.max_steps else total
    if main:  # after all that can refuse the configuration: a refused start leaves nothing behind
        begin_run(config, out, start)
        for line in (described(config, learner, precision), describe_images(feed.source), remark, feed.remark):
            if line:
                say(line)
    metrics = _metrics(config, learner, out if main else None, start, total)
    if metrics.trackers is not None:
        held.callback(metrics.trackers.close)
    if watch is not None and state and start:
        watch.load(state["watch"])
    accelerator.wait_for_everyone()
    return Parts(
        config,
        precision,
        out,
        accelerator,
        learner,
        model,
        prepared,
        scaler,
        feed,
        loader,
        metrics,
        torch.Generator(accelerator.device),
        start,
        total,
        per_epoch,
        shape,
        watch,
        held_out,
        callbacks,
    )


def _loader(config: PretrainConfig, feed: Feed) -> Loader:
    """Return what decodes the images of a feed."""
    return Loader(
        feed.source,
        config.views.source,
        tolerance=config.bad_image_tolerance,
        cache_bytes=config.cache * 2**20,
        threads=config.threads or None,
    )


def _watch(config: PretrainConfig, learner: Learner, loader: Loader, precision: Precision) -> Watch:
    """Return what measures what an encoder still knows."""
    bfloat16 = precision == "bf16"
    return Watch(learner.encoder, learner.pool, loader, size=config.views.size, keep=config.keep, bfloat16=bfloat16)


def _held_out(config: PretrainConfig, learner: Learner, watch: Watch | None, precision: Precision) -> HeldOut:
    """Return what measures an encoder on images that are held out of its training."""
    copy = watch.copy if watch else EncoderCopy(learner.encoder, learner.pool, bfloat16=precision == "bf16")
    source = open_images(config.data, "val")
    source.format.check(learner.encoder.channels, f"the held-out side of {config.data!r}", "the encoder")
    loader = Loader(
        source,
        config.views.source,
        tolerance=config.bad_image_tolerance,
        cache_bytes=0,
        threads=config.threads or None,
    )
    most = min(MOST, PER_BATCH * config.optim.batch_size)
    return HeldOut(listed(config.watch), copy, loader, size=config.views.size, most=most)


def _metrics(config: PretrainConfig, learner: Learner, out: Path | None, start: int, total: int) -> Metrics:
    """Return what notes the metrics of a run from its step ``start`` on; ``out`` is None but for the first process."""
    watched = learner.method.watched()
    path, trackers = None, None
    if out is not None:
        path = out / "metrics.jsonl"
        if names := listed(config.track):
            trackers = Trackers(names, out, to_dict(config), start)
    return Metrics(path, trackers, total, watched[1] if watched else 0, start)


def precision_on(device: torch.device, asked: Precision) -> Precision:
    """Return the precision to compute in: as asked, auto being bf16 on devices that multiply it, else fp32."""
    return asked if asked != "auto" else "bf16" if has_bfloat16(device) else "fp32"


def described(config: PretrainConfig, learner: Learner, precision: Precision) -> str:
    """Return a run's first line: which encoder it trains, with how many parameters, what stands for an image, and in
    which precision it computes."""
    encoder = learner.encoder
    count, train = sum(parameter.numel() for parameter in encoder.model.parameters()) / 1e6, config.encoder.train
    trained = "" if train == "all" else f" ({train} trained: {trained_parameters(encoder) / 1e6:,.3g} million)"
    if train == HEAD:
        trained = f" (which stand still; trained beside them: {trained_parameters(learner) / 1e6:,.3g} million)"
    return (
        f"{config.name}: encoder {encoder.architecture}, {count:,.2f} million parameters{trained}, images of "
        f"{config.views.size} px; {POOLS[learner.pool]} stands for an image; {precision}"
    )


def _accelerator(config: PretrainConfig) -> Accelerator:
    """Join the processes that were started together, on the device that is asked for."""
    device = chosen_device(config.device)
    # without cpu=True, processes without a GPU would not find each other; precision is a matter of each run
    joining = InitProcessGroupKwargs(timeout=TIMEOUT)
    accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision="no", kwargs_handlers=[joining])
    kind = accelerator.distributed_type
    if kind in (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM):
        raise ValueError(f"accelerate was told to use {kind.value}; choose none there, and --sharding fsdp2 here")
    return accelerator

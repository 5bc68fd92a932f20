"""The state of a run that the loop works with: its steps, metrics, checkpoints and final files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from equicoherence.data import Batch, Loader, TooManyBadImages
from equicoherence.errors import one_line
from equicoherence.finite import NotFinite, not_finite
from equicoherence.models.shared_files import HEADS
from equicoherence.models.trained_lora import merge_lora
from equicoherence.notice import say
from equicoherence.training.bad_images import note_bad_images
from equicoherence.training.build import build_learner
from equicoherence.training.callbacks import Callback, Moment
from equicoherence.training.checkpoint import checkpoint_of, export_encoder, not_in_timm, save_checkpoint, save_tensors
from equicoherence.training.config import Precision, PretrainConfig
from equicoherence.training.config_file import to_dict
from equicoherence.training.feed import Feed
from equicoherence.training.films import film_strips
from equicoherence.training.learner import Learner, LearnerOutput
from equicoherence.training.metrics import Metrics
from equicoherence.training.online import HeldOut
from equicoherence.training.run import heads_of
from equicoherence.training.samples import save_samples, take_samples
from equicoherence.training.sharding import load_from_first, whole
from equicoherence.training.watch import Watch


@dataclass(frozen=True)
class Parts:
    """The state of a run.

    precision: in which it computes; not auto.
    model: the learner, wrapped for several processes (DDP), or itself, sharded (FSDP2).
    scaler: of the loss in fp16; otherwise it does nothing.
    generator: of the views.
    start, total: steps done, and steps of the whole run.
    shape: what must not change when the run is resumed.
    watch: measures how much the encoder has kept; None if not configured, and on processes other than the first.
    held_out: measures it on images that it is not trained on; None as above.
    callbacks: called after steps, checkpoints and at the end.
    """

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
        """Return whether the flag of any process is true."""
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
        """Do a step of the optimiser, and delete the gradients."""
        self.scaler.step(self.optimizer.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()

    def save(self, step: int) -> None:
        """Write the checkpoint of ``step`` steps done, and the images that no process could decode so far.

        Raises `NotFinite` where the weights are not, and writes nothing.
        """
        bad = gather_object([dict(self.loader.bad)])
        needed: Sequence[int] = ()
        optimizer = self.optimizer.optimizer.state_dict()
        state = {"step": step, "shape": self.shape, "learner": self.learner.state_dict(), "optimizer": optimizer}
        state |= {"threads": torch.get_num_threads(), "precision": self.precision, "config": to_dict(self.config)}
        if self.scaler.is_enabled():
            state["scaler"] = self.scaler.state_dict()
        if self.watch is not None:
            state["watch"], needed = self.watch.state(), self.watch.good_steps
        if self.sharded:
            state = whole(state, self.accelerator.is_main_process)
        name = not_finite(state["learner"]) if self.accelerator.is_main_process else None
        if self.any_process(name is not None):
            raise NotFinite(f"the weights {name or ''} are not finite after step {step}")
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
        """Give the trackers pictures of the decoded states; a sharded learner has none before the end.

        Only the first process has trackers. A failure does not end the run. Bad images are not counted.
        """
        if self.metrics.trackers is None or self.sharded:
            return
        loader = Loader(
            self.feed.source,
            self.config.views.source,
            tolerance=self.config.bad_image_tolerance,
            cache_bytes=0,
            threads=self.loader.threads,
        )
        modes = [(module, module.training) for module in self.learner.modules()]
        try:
            samples = take_samples(self.learner, self.feed, loader, self.config)
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
                self.metrics.step = self.metrics.broken = step
                raise NotFinite(f"gradients overflow fp16 at step {step}, however small the loss is scaled")
            watched = self.learner.method.watched()
            found = self.metrics.flush(step, step / self.per_epoch, lr, output, watched)
        except NotFinite as error:
            broken = error
        if self.any_process(broken is not None):
            first = min(each for each in gather_object([self.metrics.broken]) if each is not None)
            self.metrics.broken = first
            raise broken or NotFinite(f"a loss or a feature of another process is not finite at step {first}")
        return found

    def return_to(self, weights: Mapping[str, Tensor]) -> None:
        """Give the learner, on all processes, the weights of an earlier state, which the first process has."""
        if self.world == 1:
            self.learner.load_state_dict(dict(weights))
        else:
            load_from_first(self.learner, weights)
        self._show_films(self.metrics.step)

    def finish(self) -> None:
        """Write the files of a finished run, except checkpoints; LoRA is merged."""
        weights = self.weights()
        if not self.sharded:
            merge_lora(self.learner)
        if self.accelerator.is_main_process:
            learner = self.learner
            if self.sharded:
                learner = build_learner(self.config, pretrained=False)
                learner.load_state_dict(dict(weights))
                merge_lora(learner.to(self.accelerator.device))
            samples = take_samples(learner, self.feed, self.loader, self.config)  # which checks the features first
            if self.metrics.trackers is not None and self.sharded:
                self.metrics.trackers.show_films(self.metrics.step, film_strips(samples))
            views, encoder = self.config.views, learner.encoder
            if sentence := not_in_timm(encoder, learner.pool):
                save_tensors(encoder.model.state_dict(), self.out / "model.safetensors")  # type: ignore[arg-type]
                say(f"{self.out}: {sentence}")
            else:
                export_encoder(encoder, self.out, views.size, pool=learner.pool, source=views.source)
            save_tensors(heads_of(learner.state_dict(), learner), self.out / HEADS)
            save_samples(samples, self.out / "samples.npz")
            note_bad_images(self.out / "bad_images.txt", [self.loader.bad])
        self.accelerator.wait_for_everyone()

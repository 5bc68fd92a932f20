"""This package's training step, timed from outside: what `pretrain` does between two checkpoints."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from step_setting import (
    GLOBAL_AREA,
    LOCAL_AREA,
    MASK_PROBABILITY,
    MASK_RATIO,
    MASKED,
    MOMENTUM,
    Setting,
)

from equicoherence.coherence import CoherenceConfig, CoherenceTask
from equicoherence.data import Batch, Loader
from equicoherence.methods.dino import DINOConfig
from equicoherence.methods.dinov2 import DINOv2Config
from equicoherence.methods.ibot import IBOTConfig
from equicoherence.methods.vicreg import VICRegConfig
from equicoherence.paths import PathViews
from equicoherence.training.config import PretrainConfig
from equicoherence.training.encoder_config import EncoderConfig
from equicoherence.training.learner import Learner
from equicoherence.training.loop import _accumulate
from equicoherence.training.metrics import Metrics
from equicoherence.training.optim import set_schedules
from equicoherence.training.optim_config import OptimConfig
from equicoherence.training.parts import Parts
from equicoherence.training.seeds import seed_step
from equicoherence.training.setup import set_up
from equicoherence.training.views_config import AugmentationConfig, ViewsConfig

WAITING = "waiting for images, and the rest"
DISTILLATION = {"dino": DINOConfig, "ibot": IBOTConfig, "dinov2": DINOv2Config}


def configuration(method: str, setting: Setting, task: CoherenceConfig | None) -> PretrainConfig:
    """Return the run: lightly's strengths of augmentation, this package's defaults otherwise."""
    hidden, bottleneck, prototypes = setting.head
    multicrop, area = method in DISTILLATION, GLOBAL_AREA[method]
    if multicrop:
        chosen = DISTILLATION[method](prototypes, hidden, bottleneck, momentum=MOMENTUM)
        first = AugmentationConfig(area=area, blur=1.0)
        second = AugmentationConfig(area=area, blur=0.1, solarize=0.2)
    else:
        chosen = VICRegConfig(width=setting.projector)
        first = second = AugmentationConfig(area=area, solarize=0.1)
    views = ViewsConfig(
        size=setting.size,
        source=setting.source,
        path="none" if task is None else "se2",
        first=first,
        second=second,
        crops=setting.crops if multicrop else 0,
        crop_size=setting.crop_size,
        crop=AugmentationConfig(area=LOCAL_AREA.get(method, (0.05, 0.25))),
        mask_probability=MASK_PROBABILITY if method in MASKED else 0.0,
        mask_ratio=MASK_RATIO,
    )
    return PretrainConfig(
        name=method,
        method=chosen,
        encoder=EncoderConfig(setting.model, setting.timm_args(method)),
        coherence=task,
        views=views,
        optim=OptimConfig(epochs=1000, batch_size=setting.batch),
        data=str(setting.data),
        precision=setting.dtype,
        compile=setting.compile,
        threads=setting.threads,
    )


class Ours:
    """A run of this package, and its steps."""

    def __init__(self, config: PretrainConfig, out: Path) -> None:
        self.held = ExitStack()  # keeps the folder while the run is there
        self.run, self.step = set_up(config, out, resume=False, held=self.held), 0

    def steps(self, keep: bool) -> Iterator[None]:
        """Take a step at each `next`; with ``keep``, all images are decoded before the first."""
        config = self.run.config
        if keep:
            self._fill()
            loader = self.run.loader
        else:
            loader = Loader(self.run.loader.source, config.views.source, threads=config.threads, cache_bytes=0)
        run = dataclasses.replace(self.run, loader=loader, start=self.step)
        for step, batch in run.batches():
            take_step(run, step, batch)
            self.step = step + 1
            yield

    def _fill(self) -> None:
        count, chunk = len(self.run.loader.source), self.run.config.optim.batch_size
        if self.step == 0:
            for _ in self.run.loader.batches(np.split(np.arange(count), range(chunk, count, chunk))):
                pass

    def stages(self, count: int) -> dict[str, float]:
        """Return seconds per step of its stages, images kept, eager; the device is waited for between them."""
        method = type(self.run.learner.method)
        spent = Spent(self.run.accelerator.device)
        places = [
            ("views", PathViews, "__call__"),
            ("global views through the student, and gathering", Learner, "forward"),
            ("local crops through the student", Learner, "_local"),
            ("global views through the teacher", Learner, "_teach"),
            ("heads and losses of the method", method, "forward"),
            ("decoder and loss of the task", CoherenceTask, "forward"),
            ("backward", Accelerator, "backward"),
            ("gradient norm", Parts, "clip_gradients"),
            ("optimiser", AcceleratedOptimizer, "step"),
            ("gradients to none", AcceleratedOptimizer, "zero_grad"),
            ("teacher's update", Learner, "update"),
            ("metrics, each step", Metrics, "add"),
            ("metrics, each tenth step", Metrics, "flush"),
        ]
        with ExitStack() as stack, torch.compiler.set_stance("force_eager"):
            for name, owner, attribute in places:
                stack.enter_context(patch.object(owner, attribute, spent.clock(name, getattr(owner, attribute))))
            steps = self.steps(keep=True)
            for _ in range(3):
                next(steps)
            spent.seconds.clear()
            taken = spent.clock(WAITING, lambda: next(steps))
            for _ in range(count):
                taken()
            steps.close()  # type: ignore[attr-defined]
        return {name: seconds / count for name, seconds in spent.seconds.items()}


class Spent:
    """Time by name; what is spent inside of another clock counts there alone."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds = device, dict[str, float]()
        self._inner = [0.0]

    def clock(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function``, noting its time."""

        def timed(*given: Any, **named: Any) -> Any:
            start = self._now()
            self._inner.append(0.0)
            try:
                return function(*given, **named)
            finally:
                whole = self._now() - start
                self.seconds[name] = self.seconds.get(name, 0.0) + whole - self._inner.pop()
                self._inner[-1] += whole

        return timed

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


def take_step(run: Parts, step: int, batch: Batch) -> None:
    """Do what the training loop does for a batch, between checkpoints and without its progress line."""
    config = run.config
    lr = set_schedules(run.optimizer, config.optim, step, run.total, run.per_epoch, run.world)
    seed_step(run.generator, config.seed, step, run.rank)
    output, losses, parts = _accumulate(run, batch)
    norm = run.clip_gradients()
    run.optimizer.step()
    run.optimizer.zero_grad()
    run.learner.update(step, run.total)
    run.metrics.add(losses, norm, config.optim.batch_size * run.world, parts)
    if (step + 1) % config.log_every == 0:
        run.metrics.flush(step + 1, (step + 1) / run.per_epoch, lr, output, run.learner.method.watched())

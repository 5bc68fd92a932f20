"""Recipes of `equicoherence adapt`: a pretrained encoder is trained with the task. By size: tiny, small, large.

The bits of the encoder do not change, and a small head computes z_equi from its middle layers, which still have what
its last layers discard; the result is [original | z_equi]. ``--encoder.train last:N``, ``lora:RANK`` or ``all`` train
the encoder as well, and the method Anchor keeps it near its start (docs/adapting.md).

None has its own encoder: `equicoherence adapt MODEL`, or ``--encoder.weights MODEL``, gives it.
"""

from __future__ import annotations

import dataclasses

from equicoherence.coherence import CoherenceConfig
from equicoherence.methods.anchor import AnchorConfig
from equicoherence.training.config import Precision, PretrainConfig
from equicoherence.training.encoder_config import PLACEHOLDER, EncoderConfig
from equicoherence.training.optim_config import OptimConfig
from equicoherence.training.views_config import AugmentationConfig, ViewsConfig

START = EncoderConfig("", weights=PLACEHOLDER, train="head", batch_norm="frozen")
# Both views are one crop, in its own colors: only the path differs between them, so all of it can be predicted.
PLAIN = AugmentationConfig(area=(0.5, 1.0), jitter_probability=0.0, grayscale=0.0, blur=0.0)


def _adapted(
    name: str, task: CoherenceConfig, optim: OptimConfig, precision: Precision, **views: int
) -> PretrainConfig:
    return PretrainConfig(
        name=name,
        method=AnchorConfig(),
        encoder=START,
        coherence=task,
        views=ViewsConfig(path="all", place="shared", first=PLAIN, second=PLAIN, **views),  # type: ignore[arg-type]
        optim=optim,
        precision=precision,
        checkpoint_every=100,
        watch="auto",
    )


def tiny() -> PretrainConfig:
    """Adapt an encoder on a CPU: views of about 96 px, 600 steps of 64 images, a head of 512 features.

    hardware: 2 CPU cores
    time: EfficientNet-Lite0 at 96 px: 300 steps in 4 minutes of one core with bfloat16 (docs/results/adapt.md)
    scores: EfficientNet-Lite0, 300 steps: rotation R2 .86 (z_equi), .75 (joined), before -.00; k-NN 50.9 % (50.6 %)
    """
    task = CoherenceConfig(d_equi=512, decoder="render", split="conv")
    optim = OptimConfig(epochs=10, batch_size=64, lr=4e-3, clip=1.0)
    adapted = _adapted("adapt-tiny", task, optim, "auto", size=96, source=110)
    return dataclasses.replace(adapted, max_steps=600)


def small() -> PretrainConfig:
    """Adapt an encoder on one GPU: views of its own size, 128 images a step, a head of 512 features.

    hardware: one GPU of 24 GB
    time: not measured yet
    scores: not measured yet
    """
    task = CoherenceConfig(d_equi=512, decoder="render", split="conv")
    optim = OptimConfig(epochs=10, batch_size=128, lr=2e-3, clip=1.0)
    return _adapted("adapt-small", task, optim, "bf16")


def large() -> PretrainConfig:
    """Adapt a large encoder on several GPUs: views of its own size, 64 images a step and GPU, a head of 1024 features.

    hardware: 8 GPUs of 80 GB
    time: not measured yet
    scores: not measured yet
    """
    task = CoherenceConfig(d_equi=1024, decoder="render", split="conv")
    optim = OptimConfig(epochs=10, batch_size=64, lr=1e-3, clip=1.0)
    return _adapted("adapt-large", task, optim, "bf16")

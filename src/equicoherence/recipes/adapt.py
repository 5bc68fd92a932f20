"""Recipes of `equicoherence adapt`: an encoder that exists gains the task. By size: tiny, small, large.

None has an encoder of its own: `equicoherence adapt MODEL`, or ``--encoder.weights MODEL``, says what to start from.
"""

from __future__ import annotations

from equicoherence.coherence import CoherenceConfig
from equicoherence.methods.vicreg import VICRegConfig
from equicoherence.training.config import AugmentationConfig, EncoderConfig, OptimConfig, PretrainConfig, ViewsConfig

START = EncoderConfig("", weights="MODEL")  # a placeholder, which training refuses
# Color, blur and turns are what is to be kept, so views differ in little else than the crop.
GENTLE = AugmentationConfig(area=(0.5, 1.0), blur=0.0, grayscale=0.0, jitter=(0.2, 0.2, 0.2, 0.05))


def _adapted(name: str, d_equi: int, views: ViewsConfig, optim: OptimConfig, width: int) -> PretrainConfig:
    return PretrainConfig(
        name=name,
        method=VICRegConfig(1.0, 1.0, 0.04, width=width),
        encoder=START,
        d=2 * d_equi,
        coherence=CoherenceConfig(d_equi=d_equi, decoder="render+cross-attention", share=0.5),
        views=views,
        optim=optim,
        precision="auto",
        checkpoint_every=100,
    )


def tiny() -> PretrainConfig:
    """Adapt an encoder on a CPU: views of about 96 px, 64 images a step.

    hardware: 2 CPU cores
    time: not measured yet
    scores: not measured yet
    """
    views = ViewsConfig(size=96, source=110, first=GENTLE, second=GENTLE, invariant="base")
    return _adapted("adapt-tiny", 128, views, OptimConfig(epochs=10, batch_size=64, lr=4e-4, clip=1.0), 512)


def small() -> PretrainConfig:
    """Adapt an encoder on one GPU: views of its own size, 128 images a step.

    hardware: one GPU of 24 GB
    time: not measured yet
    scores: not measured yet
    """
    views = ViewsConfig(first=GENTLE, second=GENTLE, invariant="base")
    return _adapted("adapt-small", 256, views, OptimConfig(epochs=10, batch_size=128, lr=2e-4, clip=1.0), 2048)


def large() -> PretrainConfig:
    """Adapt a large encoder on several GPUs: views of its own size, 64 images a step and GPU.

    hardware: 8 GPUs of 80 GB
    time: not measured yet
    scores: not measured yet
    """
    views = ViewsConfig(first=GENTLE, second=GENTLE, invariant="base")
    return _adapted("adapt-large", 256, views, OptimConfig(epochs=10, batch_size=64, lr=1e-4, clip=1.0), 4096)

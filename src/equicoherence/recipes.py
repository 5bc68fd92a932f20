"""Named configurations: ``METHOD-SIZE``. The docstring of each says hardware, time and expected scores.

``tiny`` runs on a laptop CPU, ``small`` on one GPU, ``paper`` is as published. All have the task on;
``PretrainConfig.plain`` (``--no-coherence``) gives the method alone.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

from equicoherence.coherence import CoherenceConfig
from equicoherence.methods import MethodConfig, SimCLRConfig, VICRegConfig
from equicoherence.training.config import AugmentationConfig, EncoderConfig, OptimConfig, PretrainConfig, ViewsConfig

# A residual network of four blocks, 0.6 million parameters, with a token for each 8 pixels:
# convolutions learn orientation from far fewer images than a transformer trained from scratch.
TINY_ENCODER = EncoderConfig("resnet18", {"layers": [1, 1, 1, 1], "channels": [32, 64, 128, 128], "output_stride": 8})
TINY_AUGMENTATION = AugmentationConfig(area=(0.3, 1.0), blur=0.0)


def _tiny(name: str, method: MethodConfig) -> PretrainConfig:
    return PretrainConfig(
        name=name,
        method=method,
        encoder=TINY_ENCODER,
        d=256,
        coherence=CoherenceConfig(d_equi=128, decoder="render"),
        views=ViewsConfig(size=32, source=64, first=TINY_AUGMENTATION, second=TINY_AUGMENTATION),
        optim=OptimConfig(epochs=20, batch_size=256, lr=2e-3),
        precision="bf16",
        checkpoint_every=100,
    )


def vicreg_tiny() -> PretrainConfig:
    """VICReg (weights 25, 25, 1 over 25, so that lambda = 1 weighs as one term) on 32 px views, render decoder.

    hardware: 2 CPU cores
    time: about 2 minutes on 'objects' (4,800 images)
    scores: docs/results/vicreg-tiny-imagenet.md (on photographs)
    """
    return _tiny("vicreg-tiny", VICRegConfig(1.0, 1.0, 0.04, width=512))


def simclr_tiny() -> PretrainConfig:
    """SimCLR on 32 px views, render decoder.

    hardware: 2 CPU cores
    time: about 2 minutes on 'objects' (4,800 images)
    scores: docs/results/quickstart.md
    """
    return _tiny("simclr-tiny", SimCLRConfig(temperature=0.2, width=512))


def _small(name: str, method: MethodConfig) -> PretrainConfig:
    return PretrainConfig(
        name=name,
        method=method,
        encoder=EncoderConfig("vit_small_patch16_224", {"class_token": False, "global_pool": "avg", "fc_norm": False}),
        d=512,
        coherence=CoherenceConfig(d_equi=256, decoder="render"),
        optim=OptimConfig(epochs=100, batch_size=256, lr=5e-4, clip=3.0),
        precision="bf16",
        compile=True,
    )


def vicreg_small() -> PretrainConfig:
    """VICReg (weights 25, 25, 1 over 25, so that lambda = 1 weighs as one term), ViT-S/16, 224 px, render decoder.

    hardware: one GPU of 24 GB
    time: not measured yet
    scores: not measured yet
    """
    return _small("vicreg-small", VICRegConfig(1.0, 1.0, 0.04))


def simclr_small() -> PretrainConfig:
    """SimCLR, ViT-S/16, two 224 px views, render decoder, 100 epochs of a folder of images.

    hardware: one GPU of 24 GB
    time: not measured yet
    scores: not measured yet
    """
    return _small("simclr-small", SimCLRConfig())


def vicreg_paper() -> PretrainConfig:
    """VICReg + task as published [P2]: ViT-S/16, 800 epochs of ImageNet-1k, batch 2048, conv decoders, SE(2), border
    zeros.

    hardware: 16 A100 (batch 128 each; set --optim.batch-size to 2048 / processes)
    time: 179 s an epoch, as published
    scores: rotation .998, color .916, blur .952, translation .974, as published; not reproduced yet
    """
    return dataclasses.replace(
        _small("vicreg-paper", VICRegConfig(width=8192)),
        coherence=CoherenceConfig(d_equi=256, states=2, decoder="conv"),
        views=ViewsConfig(
            path="se2",
            border="zeros",
            first=AugmentationConfig(area=(0.08, 1.0), blur=1.0),
            second=AugmentationConfig(area=(0.08, 1.0), blur=0.1, solarize=0.2),
        ),
        optim=OptimConfig(epochs=800, batch_size=128, lr=1e-4, warmup=0.0125),
    )


def simclr_paper() -> PretrainConfig:
    """SimCLR + task, ViT-S/16, 800 epochs of ImageNet-1k, conv decoders, SE(2), border zeros [P2, table 4; batch ours].

    hardware: 16 A100 (batch 128 each; set --optim.batch-size to 2048 / processes)
    time: not published
    scores: rotation .705, color .723, as published; not reproduced yet
    """
    strong = AugmentationConfig(area=(0.08, 1.0), jitter=(0.8, 0.8, 0.8, 0.2))
    return dataclasses.replace(
        vicreg_paper(),
        name="simclr-paper",
        method=SimCLRConfig(),
        views=ViewsConfig(path="se2", border="zeros", first=strong, second=strong),
    )


RECIPES: dict[str, Callable[[], PretrainConfig]] = {
    "vicreg-tiny": vicreg_tiny,
    "simclr-tiny": simclr_tiny,
    "vicreg-small": vicreg_small,
    "simclr-small": simclr_small,
    "vicreg-paper": vicreg_paper,
    "simclr-paper": simclr_paper,
}


def recipe(name: str) -> PretrainConfig:
    """Return the configuration of a recipe; a misspelt name raises ValueError with the known ones."""
    if name not in RECIPES:
        raise ValueError(f"recipe {name!r} is unknown; choose one of {', '.join(RECIPES)}")
    return RECIPES[name]()


def describe(name: str) -> dict[str, Any]:
    """Return what a recipe's docstring says: summary, hardware, time, scores."""
    lines = inspect.cleandoc(RECIPES[name].__doc__ or "").splitlines()
    fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    return {"name": name, "summary": lines[0], **fields}

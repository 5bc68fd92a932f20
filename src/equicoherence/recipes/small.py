"""Recipes for one GPU: ViT-S/16, two views of 224 px, 100 epochs of a folder of images.

As in the tiny recipes, all views of an image share one flip, and only the task sees its path, on half of the samples,
with two decoders, of which the second is narrow and decodes one view of each sample. None has been run to the end.
"""

from __future__ import annotations

import dataclasses

from equicoherence.coherence import CoherenceConfig
from equicoherence.methods import MethodConfig
from equicoherence.methods.barlow import BarlowTwinsConfig
from equicoherence.methods.byol import BYOLConfig
from equicoherence.methods.dino import DINOConfig
from equicoherence.methods.dinov2 import DINOv2Config
from equicoherence.methods.ibot import IBOTConfig
from equicoherence.methods.lejepa import LeJEPAConfig
from equicoherence.methods.mocov3 import MoCoV3Config
from equicoherence.methods.simclr import SimCLRConfig
from equicoherence.methods.simsiam import SimSiamConfig
from equicoherence.methods.vicreg import VICRegConfig
from equicoherence.training.config import PretrainConfig
from equicoherence.training.encoder_config import EncoderConfig
from equicoherence.training.optim_config import OptimConfig
from equicoherence.training.views_config import AugmentationConfig, ViewsConfig

AVERAGED = EncoderConfig("vit_small_patch16_224", {"class_token": False, "global_pool": "avg", "fc_norm": False})
WITH_CLASS = EncoderConfig("vit_small_patch16_224")
TASK = CoherenceConfig(
    d_equi=256, decoder="render+cross-attention", targets="cross-attention=either", width=128, share=0.5
)


def _two_views(name: str, method: MethodConfig, coherence: CoherenceConfig = TASK) -> PretrainConfig:
    return PretrainConfig(
        name=name,
        method=method,
        encoder=AVERAGED,
        d=512,
        coherence=coherence,
        views=ViewsConfig(invariant="base"),
        optim=OptimConfig(epochs=100, batch_size=256, lr=5e-4, clip=3.0),
        precision="bf16",
        compile=True,
    )


def _multi_crop(name: str, method: MethodConfig, masked: bool) -> PretrainConfig:
    return PretrainConfig(
        name=name,
        method=method,
        encoder=WITH_CLASS,
        coherence=TASK,
        views=ViewsConfig(
            invariant="base",
            first=AugmentationConfig(area=(0.32, 1.0), blur=1.0),
            second=AugmentationConfig(area=(0.32, 1.0), blur=0.1, solarize=0.2),
            crops=8,
            crop=AugmentationConfig(area=(0.05, 0.32)),
            mask_probability=0.5 if masked else 0.0,
        ),
        optim=OptimConfig(epochs=100, batch_size=128, lr=5e-4, weight_decay=0.04, weight_decay_end=0.4, clip=3.0),
        precision="bf16",
    )


def vicreg() -> PretrainConfig:
    """VICReg, ViT-S/16, two views.

    The published weights of its terms, 25, 25 and 1, are divided by 25, so that its largest terms weigh 1. The task
    weighs .3, as in `vicreg-tiny`.

    hardware: one GPU of 24 GB
    time: not measured yet
    scores: not measured yet
    """
    return _two_views("vicreg-small", VICRegConfig(1.0, 1.0, 0.04), dataclasses.replace(TASK, weight=0.3))


def simclr() -> PretrainConfig:
    """SimCLR, ViT-S/16, two views.

    hardware: one GPU of 24 GB
    time: not measured yet
    scores: not measured yet
    """
    return _two_views("simclr-small", SimCLRConfig())


def byol() -> PretrainConfig:
    """BYOL, ViT-S/16, two views.

    hardware: one GPU of 24 GB
    time: not measured yet
    scores: not measured yet
    """
    return _two_views("byol-small", BYOLConfig())


def barlow() -> PretrainConfig:
    """Barlow Twins, ViT-S/16, two views; lambda = 850, as the loss grows with the width of the projector.

    hardware: one GPU of 24 GB
    time: not measured yet
    scores: not measured yet
    """
    # The loss has a term for each feature of the projector: for 256 images with unrelated features it is about 4,450
    # with 4,096 of them, and 520 with the 512 of barlow-tiny, whose lambda is 100. 850 is in proportion; not yet tried.
    return _two_views("barlow-small", BarlowTwinsConfig(width=4096), dataclasses.replace(TASK, weight=850.0))


def simsiam() -> PretrainConfig:
    """SimSiam, ViT-S/16, two views.

    hardware: one GPU of 24 GB
    time: not measured yet
    scores: not measured yet
    """
    return _two_views("simsiam-small", SimSiamConfig())


def mocov3() -> PretrainConfig:
    """MoCo v3, ViT-S/16, two views.

    hardware: one GPU of 24 GB
    time: not measured yet
    scores: not measured yet
    """
    return _two_views("mocov3-small", MoCoV3Config())


def lejepa() -> PretrainConfig:
    """LeJEPA, ViT-S/16, two views.

    hardware: one GPU of 24 GB
    time: not measured yet
    scores: not measured yet
    """
    return _two_views("lejepa-small", LeJEPAConfig())


def dino() -> PretrainConfig:
    """DINO, ViT-S/16, 2 views and 8 local crops of 96 px.

    hardware: one GPU of 40 GB
    time: not measured yet
    scores: not measured yet
    """
    return _multi_crop("dino-small", DINOConfig(), False)


def ibot() -> PretrainConfig:
    """iBOT, ViT-S/16, 2 views, masked by half, and 8 local crops of 96 px.

    hardware: one GPU of 40 GB
    time: not measured yet
    scores: not measured yet
    """
    return _multi_crop("ibot-small", IBOTConfig(), True)


def dinov2() -> PretrainConfig:
    """DINOv2 (short recipe: EMA centring, shared heads), ViT-S/16, 2 views, masked by half, and 8 local crops of 96 px.

    hardware: one GPU of 40 GB
    time: not measured yet
    scores: not measured yet
    """
    return _multi_crop("dinov2-small", DINOv2Config(), True)

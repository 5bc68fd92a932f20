"""Recipes as published, with the task of [P2]: conv decoders, SE(2) paths, border zeros, ImageNet-1k; SIE on poses.

[P2] trains VICReg, SimCLR, iBOT and DINOv2 with the task; for the other methods the task's settings are those of its
VICReg, which is our choice (beside Barlow Twins it has another weight). The optimiser is AdamW throughout; where a
method was published with LARS or SGD, rate and decay are those its authors, or MoCo v3's, use for vision transformers.
The batch is per process: divide the global one by your number of processes. Each view has its own flip, as published
(``views.flip independent``), which costs the sign of the rotation, and the invariant loss sees g (``views.invariant
path``); the other recipes share the flip and keep g out of that loss.

Clipping uses the norm of all gradients together. Published DINO and iBOT clip each parameter separately, and DINOv2
each of its submodules, at the same 3; so ours clips more.
"""

from __future__ import annotations

import dataclasses

from equicoherence.coherence import CoherenceConfig
from equicoherence.data.poses.latents import change_names
from equicoherence.methods import MethodConfig
from equicoherence.methods.barlow import BarlowTwinsConfig
from equicoherence.methods.byol import BYOLConfig
from equicoherence.methods.dino import DINOConfig
from equicoherence.methods.dinov2 import DINOv2Config
from equicoherence.methods.ibot import IBOTConfig
from equicoherence.methods.lejepa import LeJEPAConfig
from equicoherence.methods.mocov3 import MoCoV3Config
from equicoherence.methods.sie import SIEConfig
from equicoherence.methods.simclr import SimCLRConfig
from equicoherence.methods.simsiam import SimSiamConfig
from equicoherence.methods.vicreg import VICRegConfig
from equicoherence.recipes.small import AVERAGED, WITH_CLASS
from equicoherence.training.config import PretrainConfig
from equicoherence.training.encoder_config import EncoderConfig
from equicoherence.training.optim_config import OptimConfig
from equicoherence.training.views_config import POSE_LATENTS, POSES, AugmentationConfig, ViewsConfig

FIRST = AugmentationConfig(area=(0.08, 1.0), blur=1.0)
SECOND = AugmentationConfig(area=(0.08, 1.0), blur=0.1, solarize=0.2)


def _two_views(name: str, method: MethodConfig, **optim: float) -> PretrainConfig:
    return PretrainConfig(
        name=name,
        method=method,
        encoder=AVERAGED,
        d=512,
        coherence=CoherenceConfig(d_equi=256, states=2, decoder="conv"),
        views=ViewsConfig(path="se2", border="zeros", flip="independent", first=FIRST, second=SECOND),
        optim=dataclasses.replace(
            OptimConfig(epochs=800, batch_size=128, lr=1e-4, warmup=0.0125, clip=3.0),
            **optim,  # type: ignore[arg-type]
        ),
        precision="bf16",
        compile=True,
    )


def _multi_crop(
    name: str, method: MethodConfig, area: float, d_equi: int, local: float, crops: int, optim: OptimConfig
) -> PretrainConfig:
    first = dataclasses.replace(FIRST, area=(area, 1.0))
    return PretrainConfig(
        name=name,
        method=method,
        encoder=WITH_CLASS,
        coherence=CoherenceConfig(d_equi=d_equi, states=2, decoder="conv", split="head"),
        views=ViewsConfig(
            path="se2",
            border="zeros",
            flip="independent",
            first=first,
            second=dataclasses.replace(SECOND, area=(area, 1.0)),
            crops=crops,
            crop=AugmentationConfig(area=(0.05, local)),
        ),
        optim=optim,
        precision="bf16",
    )


def vicreg() -> PretrainConfig:
    """VICReg + task as published [P2]: ViT-S/16, 800 epochs, batch 2048, lr 1e-4 per 256.

    hardware: 16 A100 (batch 128 each; set --optim.batch-size to 2048 / processes)
    time: 179 s an epoch, as published
    scores: rotation .998, color .916, blur .952, translation .974, as published; not reproduced yet
    """
    return _two_views("vicreg-paper", VICRegConfig(width=8192), clip=0.0)


def simclr() -> PretrainConfig:
    """SimCLR + task [P2, table 4; batch ours]: ViT-S/16, 800 epochs.

    hardware: 16 A100 (batch 128 each; set --optim.batch-size to 2048 / processes)
    time: not published
    scores: rotation .705, color .723, as published; not reproduced yet
    """
    strong = AugmentationConfig(area=(0.08, 1.0), jitter=(0.8, 0.8, 0.8, 0.2))
    views = ViewsConfig(path="se2", border="zeros", flip="independent", first=strong, second=strong)
    return dataclasses.replace(_two_views("simclr-paper", SimCLRConfig(), clip=0.0), views=views)


def byol() -> PretrainConfig:
    """BYOL + task: heads, momentum and views as published, ViT-S/16; AdamW 1.5e-4 per 256 (MoCo v3's, for LARS).

    hardware: 16 A100 (batch 256 each)
    time: not published
    scores: not published
    """
    return _two_views("byol-paper", BYOLConfig(), epochs=1000, batch_size=256, lr=1.5e-4, weight_decay=0.1)


def barlow() -> PretrainConfig:
    """Barlow Twins + task: loss, projector and views as published, ViT-S/16; AdamW 1.5e-4 per 256 (for LARS).

    [P2] does not train it. lambda = 1600 is our choice: that of `barlow-tiny`, 100, in proportion to the width, 8192 in
    place of 512, as the loss has a term for each feature of the projector.

    hardware: 16 A100 (batch 128 each)
    time: not published
    scores: not published
    """
    config = _two_views("barlow-paper", BarlowTwinsConfig(), epochs=1000, lr=1.5e-4, weight_decay=0.1)
    task = dataclasses.replace(config.coherence, weight=1600.0)  # type: ignore[type-var]
    return dataclasses.replace(config, coherence=task)


def simsiam() -> PretrainConfig:
    """SimSiam + task: heads as published, ViT-S/16, 100 epochs, batch 512; AdamW 1.5e-4 per 256 (for SGD).

    hardware: 8 A100 (batch 64 each)
    time: not published
    scores: not published
    """
    return _two_views("simsiam-paper", SimSiamConfig(), epochs=100, batch_size=64, lr=1.5e-4, weight_decay=0.1)


def mocov3() -> PretrainConfig:
    """MoCo v3 + task: ViT-S/16, 300 epochs, batch 4096, lr 1.5e-4 per 256, decay .1, as published.

    hardware: 16 A100 (batch 256 each)
    time: not published
    scores: not published
    """
    optim = {"epochs": 300, "batch_size": 256, "lr": 1.5e-4, "weight_decay": 0.1, "warmup": 40 / 300}
    return _two_views("mocov3-paper", MoCoV3Config(), **optim)


def lejepa() -> PretrainConfig:
    """LeJEPA + task: 100 epochs, lr 5e-4, decay .05, 2 global views and 6 local crops of 96 px, ViT-S/16.

    hardware: 8 A100 (batch 64 each)
    time: not published
    scores: not published
    """
    config = _two_views("lejepa-paper", LeJEPAConfig(), epochs=100, batch_size=64, lr=2.5e-4)
    crop = AugmentationConfig(area=(0.05, 0.3))
    return dataclasses.replace(config, views=dataclasses.replace(config.views, crops=6, crop=crop))


def dino() -> PretrainConfig:
    """DINO + task: ViT-S/16, 800 epochs, batch 1024, 10 local crops, 65,536 prototypes; a linear split (our choice).

    hardware: 16 A100 (batch 64 each)
    time: not published
    scores: not published
    """
    optim = OptimConfig(
        epochs=800,
        batch_size=64,
        lr=5e-4,
        weight_decay=0.04,
        weight_decay_end=0.4,
        warmup=10 / 800,
        clip=3.0,
        freeze_last_layer=1,
    )
    config = _multi_crop(
        "dino-paper",
        DINOConfig(prototypes=65536, temperature_warmup=0.0375, norm_last_layer=False),
        0.25,
        256,
        0.25,
        10,
        optim,
    )
    encoder = dataclasses.replace(config.encoder, drop_path=0.1, drop_path_uniform=False)
    task = dataclasses.replace(config.coherence, split="linear")  # type: ignore[type-var]
    return dataclasses.replace(config, encoder=encoder, coherence=task)


def ibot() -> PretrainConfig:
    """iBOT + task as published [P2]: ViT-S/16, 800 epochs, batch 1024, 2048 of 8192 head outputs equivariant.

    hardware: 64 A100 (batch 16 each)
    time: 249 s an epoch, as published
    scores: not reproduced yet
    """
    config = dino()
    views = dataclasses.replace(config.views, mask_probability=0.5, mask_ratio=(0.1, 0.5))
    task = dataclasses.replace(config.coherence, d_equi=2048, split="head")  # type: ignore[type-var]
    return dataclasses.replace(
        config,
        name="ibot-paper",
        method=IBOTConfig(temperature_warmup=0.0375, norm_last_layer=False),
        views=views,
        coherence=task,
        optim=dataclasses.replace(config.optim, batch_size=16),
    )


def dinov2() -> PretrainConfig:
    """DINOv2 + task as published [P2]: ViT-L/16, 100 epochs, batch 2048, 512 of 2048 head outputs equivariant.

    hardware: 64 A100 (batch 32 each)
    time: 804 s an epoch, as published
    scores: not reproduced yet
    """
    optim = OptimConfig(
        epochs=100,
        batch_size=32,
        lr=4e-3,
        lr_scaling="sqrt",
        weight_decay=0.04,
        weight_decay_end=0.4,
        warmup=0.1,
        clip=3.0,
        layer_decay=0.9,
        patch_embed_lr=0.2,
        freeze_last_layer=1,
    )
    config = _multi_crop("dinov2-paper", DINOv2Config(), 0.32, 512, 0.32, 8, optim)
    views = dataclasses.replace(config.views, mask_probability=0.5, mask_ratio=(0.1, 0.5))
    encoder = EncoderConfig("vit_large_patch16_224", {"init_values": 1e-5}, drop_path=0.3)
    return dataclasses.replace(config, encoder=encoder, views=views)


def sie() -> PretrainConfig:
    """SIE: ResNet-18, 2000 epochs, batch 1024, lr 1e-3, decay 1e-6, as published; conditioned on 3DIEBench's rotations.

    Give the data set with --data. The renders are of 256 px, normalised by its own mean and deviation. Unlike
    published, z is a linear map of the encoder's features, the predictor has a part that does not depend on the
    rotation, and the optimiser is AdamW, with decoupled weight decay and a cosine schedule.

    hardware: 8 A100 (batch 128 each)
    time: not published
    scores: rotation .721, top-1 82.65, MRR .411, H@1 .287, H@5 .490, as seq-JEPA reports; not reproduced yet
    """
    return PretrainConfig(
        name="sie-paper",
        method=SIEConfig(),
        encoder=EncoderConfig("resnet18", mean=(0.5016, 0.5037, 0.5060), std=(0.1030, 0.0999, 0.0969)),
        d=512,
        coherence=None,
        views=ViewsConfig(size=256, source=256, path=POSES, told=change_names(POSE_LATENTS)[:4]),
        optim=OptimConfig(epochs=2000, batch_size=128, lr=2.5e-4, weight_decay=1e-6, warmup=0.0),
        precision="bf16",
        compile=True,
    )

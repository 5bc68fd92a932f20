"""Recipes for a laptop CPU: images of 64 px, a few minutes on the embedded objects.

All views of an image share one flip (``views.flip``), so that features can distinguish left from right. Only the task
sees its path (``views.invariant base``), on half of the samples, with two decoders:
docs/results/vicreg-tiny-imagenet-1500-steps.md, docs/results/vicreg-tiny-imagenet-10000-steps.md and
docs/results/methods.md have the results. Times are estimated from the costs of a step on a server's CPU without
bfloat16 (benchmarks/results/task-cost-2026-11-28.md).
"""

from __future__ import annotations

import dataclasses
from typing import Any

from equicoherence.coherence import CoherenceConfig
from equicoherence.methods import MethodConfig
from equicoherence.methods.augself import AugSelfConfig
from equicoherence.methods.barlow import BarlowTwinsConfig
from equicoherence.methods.byol import BYOLConfig
from equicoherence.methods.dino import DINOConfig
from equicoherence.methods.dinov2 import DINOv2Config
from equicoherence.methods.equimod import EquiModConfig
from equicoherence.methods.essl import ESSLConfig
from equicoherence.methods.ibot import IBOTConfig
from equicoherence.methods.lejepa import LeJEPAConfig
from equicoherence.methods.mocov3 import MoCoV3Config
from equicoherence.methods.ser import SERConfig
from equicoherence.methods.sie import SIEConfig
from equicoherence.methods.simclr import SimCLRConfig
from equicoherence.methods.simsiam import SimSiamConfig
from equicoherence.methods.stl import STLConfig
from equicoherence.methods.vicreg import VICRegConfig
from equicoherence.training.config import PretrainConfig
from equicoherence.training.encoder_config import EncoderConfig
from equicoherence.training.optim_config import OptimConfig
from equicoherence.training.views_config import AugmentationConfig, ViewsConfig

# A residual network of four blocks, 0.6 million parameters, with a token for each 8 pixels:
# convolutions learn orientation from far fewer images than a transformer trained from scratch.
RESNET = EncoderConfig("resnet18", {"layers": [1, 1, 1, 1], "channels": [32, 64, 128, 128], "output_stride": 8})
# A vision transformer of six blocks, 1.2 million parameters, for masks need tokens. A convolution, a group norm and a
# max-pooling, with stride 4, come before its 16 patches of 8 px, as its features are better with them, after few
# images (docs/results/methods.md; Xiao et al., 2106.14881, for long trainings); the mean of the patches stands for the
# image, which learns sooner than a class token.
VIT = EncoderConfig(
    "vit_tiny_r_s16_p8_224",
    {
        "img_size": 32,
        "patch_size": 2,
        "embed_dim": 128,
        "depth": 6,
        "num_heads": 4,
        "class_token": False,
        "global_pool": "avg",
        "fc_norm": False,
    },
)
AUGMENTATION = AugmentationConfig(area=(0.3, 1.0), blur=0.0)
# Twice SimCLR's usual jitter: a transformer that meets few images otherwise learns to tell them by their colors alone.
COLORFUL = AugmentationConfig(area=(0.3, 1.0), blur=0.0, jitter=(0.8, 0.8, 0.8, 0.4))
# Of the two decoders one needs the angle, the other shift, scale and color. The second is narrow and decodes one view
# of each sample, which is cheaper (docs/speed.md).
TASK = CoherenceConfig(
    d_equi=128, decoder="render+cross-attention", targets="cross-attention=either", width=128, share=0.5
)

MASKED: dict[str, Any] = {"mask_probability": 0.5, "mask_ratio": (0.1, 0.4), "first": COLORFUL, "second": COLORFUL}


def _convolutional(
    name: str, method: MethodConfig, coherence: CoherenceConfig | None = TASK, **views: Any
) -> PretrainConfig:
    return PretrainConfig(
        name=name,
        method=method,
        encoder=RESNET,
        d=256,
        coherence=coherence,
        views=ViewsConfig(
            size=32,
            source=64,
            first=AUGMENTATION,
            second=AUGMENTATION,
            invariant="path" if coherence is None else "base",
            **views,
        ),
        optim=OptimConfig(epochs=20, batch_size=256, lr=2e-3),
        precision="auto",
        checkpoint_every=100,
    )


# Few prototypes, made equally likely, and a colder teacher: with the published .04, the targets of so small a head stay
# next to uniform and nothing is learned in minutes.
SELF_DISTILLATION: dict[str, Any] = {
    "hidden": 256,
    "bottleneck": 64,
    "prototypes": 128,
    "centring": "sinkhorn",
    "teacher_temperature": (0.02, 0.02),
    "momentum": 0.99,
}


def _distilled(
    name: str, method: MethodConfig, encoder: EncoderConfig, views: dict[str, Any], lr: float
) -> PretrainConfig:
    return PretrainConfig(
        name=name,
        method=method,
        encoder=encoder,
        coherence=dataclasses.replace(TASK, d_equi=64),
        views=ViewsConfig(
            **{"size": 32, "source": 64, "first": AUGMENTATION, "second": AUGMENTATION, "invariant": "base", **views}
        ),
        optim=OptimConfig(epochs=20, batch_size=128, lr=lr, weight_decay=0.04, clip=3.0),
        precision="auto",
        checkpoint_every=100,
    )


def vicreg() -> PretrainConfig:
    """VICReg on 32 px views, two decoders.

    The published weights of its terms, 25, 25 and 1, are divided by 25, so that its largest terms weigh 1. The task
    weighs .3: after 10,000 steps classes are kept so, and with 1 k-NN and linear accuracy were 1.1 points lower.

    hardware: 2 CPU cores
    time: about 5 minutes on 'objects' (4,800 images)
    scores: docs/results/methods.md, long: docs/results/vicreg-tiny-imagenet-10000-steps.md
    """
    return _convolutional("vicreg-tiny", VICRegConfig(1.0, 1.0, 0.04, width=512), dataclasses.replace(TASK, weight=0.3))


def simclr() -> PretrainConfig:
    """SimCLR on 32 px views, two decoders.

    hardware: 2 CPU cores
    time: about 5 minutes on 'objects' (4,800 images)
    scores: docs/results/quickstart.md and docs/results/methods.md
    """
    return _convolutional("simclr-tiny", SimCLRConfig(temperature=0.2, width=512))


def byol() -> PretrainConfig:
    """BYOL on 32 px views, two decoders.

    hardware: 2 CPU cores
    time: about 7 minutes on 'objects' (4,800 images)
    scores: docs/results/methods.md
    """
    return _convolutional("byol-tiny", BYOLConfig(width=512, output=128, momentum=0.98))


def barlow() -> PretrainConfig:
    """Barlow Twins on 32 px views, two decoders; lambda = 100, because the loss is about a hundred times a single term.

    hardware: 2 CPU cores
    time: about 5 minutes on 'objects' (4,800 images)
    scores: docs/results/methods.md
    """
    return _convolutional("barlow-tiny", BarlowTwinsConfig(width=512), dataclasses.replace(TASK, weight=100.0))


def simsiam() -> PretrainConfig:
    """SimSiam on 32 px views, two decoders.

    hardware: 2 CPU cores
    time: about 5 minutes on 'objects' (4,800 images)
    scores: docs/results/methods.md
    """
    return _convolutional("simsiam-tiny", SimSiamConfig(width=512, bottleneck=128))


def mocov3() -> PretrainConfig:
    """MoCo v3 on 32 px views, two decoders.

    hardware: 2 CPU cores
    time: about 7 minutes on 'objects' (4,800 images)
    scores: docs/results/methods.md
    """
    return _convolutional("mocov3-tiny", MoCoV3Config(width=512, output=128, momentum=0.98))


def lejepa() -> PretrainConfig:
    """LeJEPA on two 32 px views, without local crops, two decoders.

    hardware: 2 CPU cores
    time: about 7 minutes on 'objects' (4,800 images)
    scores: docs/results/methods.md
    """
    return _convolutional("lejepa-tiny", LeJEPAConfig(directions=256, width=512, output=64))


def dino() -> PretrainConfig:
    """DINO on 2 views of 32 px and 2 local crops of 16 px, Sinkhorn-Knopp, two decoders.

    hardware: 2 CPU cores
    time: about 8 minutes on 'objects' (4,800 images)
    scores: docs/results/methods.md
    """
    crops = {"crops": 2, "crop_size": 16, "crop": AugmentationConfig(area=(0.1, 0.3), blur=0.0)}
    return _distilled("dino-tiny", DINOConfig(**SELF_DISTILLATION), RESNET, crops, lr=2e-3)


def ibot() -> PretrainConfig:
    """iBOT, a small ViT, 2 views of 32 px, half of them masked, Sinkhorn-Knopp, two decoders.

    hardware: 2 CPU cores
    time: about 8 minutes on 'objects' (4,800 images)
    scores: docs/results/methods.md
    """
    return _distilled("ibot-tiny", IBOTConfig(**SELF_DISTILLATION), VIT, MASKED, lr=1e-3)


def dinov2() -> PretrainConfig:
    """DINOv2, a small ViT, 2 views of 32 px, half of them masked, Sinkhorn-Knopp, two decoders.

    hardware: 2 CPU cores
    time: about 8 minutes on 'objects' (4,800 images)
    scores: not measured yet
    """
    return _distilled("dinov2-tiny", DINOv2Config(**SELF_DISTILLATION), VIT, MASKED, lr=1e-3)


def sie() -> PretrainConfig:
    """SIE, conditioned on theta, on 32 px views.

    The published weights of its terms, 10, 4.5, 10, 10 and 1, are divided by 10, so that its largest terms weigh 1.

    hardware: 2 CPU cores
    time: not measured yet
    scores: not measured yet
    """
    return _convolutional("sie-tiny", SIEConfig(128, 1.0, 0.45, 1.0, 1.0, 0.1, width=512), None)


def equimod() -> PretrainConfig:
    """EquiMod on SimCLR, conditioned on theta, on 32 px views.

    hardware: 2 CPU cores
    time: not measured yet
    scores: not measured yet
    """
    return _convolutional("equimod-tiny", EquiModConfig(temperature=0.2, width=512, d_equi=128), None)


def augself() -> PretrainConfig:
    """AugSelf on SimCLR, which predicts theta, on 32 px views.

    hardware: 2 CPU cores
    time: not measured yet
    scores: not measured yet
    """
    return _convolutional("augself-tiny", AugSelfConfig(temperature=0.2, width=512), None)


def essl() -> PretrainConfig:
    """E-SSL on SimCLR, without theta or a path, on 32 px views, and one 16 px crop in four rotations.

    hardware: 2 CPU cores
    time: not measured yet
    scores: docs/results/methods.md
    """
    crops = {"crops": 4, "crop_size": 16, "crop": AUGMENTATION, "crop_rotations": True}
    return _convolutional("essl-tiny", ESSLConfig(temperature=0.2, width=512, hidden=512), None, path="none", **crops)


def ser() -> PretrainConfig:
    """SER on MoCo v3, without theta or a path, on 32 px views, one in a hundred rotated, and 8x8 early tokens.

    hardware: 2 CPU cores
    time: not measured yet
    scores: docs/results/methods.md
    """
    method = SERConfig(width=512, output=128, momentum=0.98, layer=1, hidden=128)
    return _convolutional("ser-tiny", method, None, path="none")


def stl() -> PretrainConfig:
    """STL on SimCLR, without theta, on 32 px views; two images each get the same transformation.

    hardware: 2 CPU cores
    time: not measured yet
    scores: docs/results/methods.md
    """
    return _convolutional("stl-tiny", STLConfig(width=512, hidden=256), None)

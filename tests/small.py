"""A configuration and a folder of pictures small enough for tests that train for real."""

import dataclasses
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from equicoherence.coherence import CoherenceConfig
from equicoherence.methods import MethodConfig
from equicoherence.methods.anchor import AnchorConfig
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
from equicoherence.models import Encoder
from equicoherence.training import AugmentationConfig, EncoderConfig, OptimConfig, PretrainConfig, ViewsConfig
from equicoherence.training.checkpoint import save_tensors

ENCODER = EncoderConfig("resnet18", {"layers": [1, 1, 1, 1], "channels": [8, 16, 16, 16], "output_stride": 8})
METHOD_CONFIGS: list[MethodConfig] = [
    VICRegConfig(width=12),
    SimCLRConfig(width=12, output=6),
    BYOLConfig(width=12, output=6),
    BarlowTwinsConfig(width=12),
    SimSiamConfig(width=12, bottleneck=4),
    MoCoV3Config(width=12, output=6),
    LeJEPAConfig(directions=16, width=12, output=6),
    DINOConfig(prototypes=20, hidden=12, bottleneck=6),
    IBOTConfig(prototypes=20, hidden=12, bottleneck=6),
    DINOv2Config(prototypes=20, hidden=12, bottleneck=6, shared_head=False, centring="sinkhorn"),
    SIEConfig(d_equi=6, width=12),
    EquiModConfig(width=12, output=6, d_equi=6, theta_width=5),
    AugSelfConfig(width=12, output=6, hidden=8),
    ESSLConfig(width=12, output=6, hidden=8),
    SERConfig(width=12, output=6, layer=1, hidden=8),
    STLConfig(width=12, output=6, hidden=8, transformation=5),
    AnchorConfig(),
]


def picture_folder(root: Path, per_class: int = 24) -> Path:
    """Write two classes of 32 px pictures: a bright sky over ground, with a disc or a square."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    for name in ("disc", "square"):
        folder = root / name
        folder.mkdir(parents=True)
        for number in range(per_class):
            pixels = np.where((y < 16)[..., None], rng.integers(150, 255, 3), rng.integers(0, 100, 3)).astype(np.uint8)
            cx, cy, r = rng.integers(8, 24), rng.integers(8, 24), rng.integers(4, 8)
            inside = (
                (x - cx) ** 2 + (y - cy) ** 2 < r**2 if name == "disc" else np.maximum(abs(x - cx), abs(y - cy)) < r
            )
            pixels[inside] = rng.integers(0, 255, 3)
            Image.fromarray(pixels).save(folder / f"{number:03}.png")
    return root


def small_config(data: Path, **changes: object) -> PretrainConfig:
    """Return a run of six steps on ``data``."""
    augment = AugmentationConfig(area=(0.4, 1.0), blur=0.2)
    config = PretrainConfig(
        name="small",
        method=SimCLRConfig(width=16, output=8),
        encoder=ENCODER,
        d=16,
        coherence=CoherenceConfig(d_equi=8, decoder="conv"),
        views=ViewsConfig(size=32, source=32, first=augment, second=augment),
        optim=OptimConfig(epochs=3, batch_size=16, lr=1e-2, clip=1.0),
        data=str(data),
        log_every=2,
        checkpoint_every=2,
        threads=1,
    )
    return dataclasses.replace(config, **changes)  # type: ignore[arg-type]


def head_config(data: Path, weights: Path, **changes: object) -> PretrainConfig:
    """Return the configuration of a head over a frozen encoder, whose weights are written to a file."""
    encoder = dataclasses.replace(with_weights(ENCODER, weights), train="head")
    task = CoherenceConfig(d_equi=8, decoder="render", layers=(2, 1), split="conv")
    return small_config(data, **{"method": AnchorConfig(), "encoder": encoder, "coherence": task} | changes)


def with_weights(encoder: EncoderConfig, file: Path) -> EncoderConfig:
    """Write weights of an encoder, other ones than a run with it begins with, and return it as it starts from them."""
    torch.manual_seed(3)
    model = Encoder(encoder.name, encoder.args).model
    for name, tensor in model.state_dict().items():
        if name.endswith("running_mean"):
            tensor.add_(0.1)  # which those of a fresh model are not
    save_tensors(model.state_dict(), file)
    return dataclasses.replace(encoder, weights=str(file))

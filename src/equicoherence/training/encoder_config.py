"""Settings of the encoder of a pretraining run."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from equicoherence.models.normalisation import Channels, check_normalisation
from equicoherence.models.train_setting import BatchNorm, read_train
from equicoherence.training.ranges import check

PLACEHOLDER = "MODEL"  # what recipes that start from an encoder that exists hold as its weights


@dataclass(frozen=True)
class EncoderConfig:
    """A timm model, what it starts from, and what of it is trained.

    Args:
        name: Any timm model; empty if encoder.weights says which one it is.
        args: Further arguments of `timm.create_model`, such as {"img_size": 64}.
        channels: Channels of the images: 3 for pictures, else as many as they have, 2 or more (docs/data.md). The
            first convolution gets as many input channels, and timm's weights of three are spread over them.
        pretrained: Start from timm's published weights of encoder.name.
        weights: Pretrained weights to start from, any MODEL of `equicoherence evaluate`: a run directory, timm:NAME,
            hf-hub:OWNER/NAME, a weights file (FILE@ARCH) or an export; empty for random weights. Architecture,
            arguments and normalisation are those of its model; what is given beside must fit.
        fingerprint: Short hash of the content of encoder.weights when it was read. Training writes it; empty if not
            yet read.
        mean: Mean of each channel of images in [0, 1], by which the encoder normalises them. None for the model's
            own; channels after the third get the mean of its three.
        std: Standard deviation of each channel, used with encoder.mean.
        drop_path: Share of the samples for which a branch of a block is skipped (stochastic depth), for vision
            transformers. The teacher skips none.
        drop_path_uniform: Whether drop_path is the same in all blocks (DINOv2), or rises linearly from 0
            (iBOT).
        train: What is trained of an encoder that starts from weights: all; head, nothing of it, so that it
            stays what it was bit for bit, and a head reads z_equi from it (coherence.layers); last:N, its last
            N layers (blocks of a vision transformer, stages of a convolutional network) and what follows them;
            lora:RANK, LoRA on the linear layers of attention, merged at the end; lora-all:RANK, on those of
            MLPs too. The rest is frozen.
        batch_norm: Whether the running statistics of BatchNorm layers that are trained are updated (train, as encoders
            from random weights need) or not (frozen).
        checkpointing: Store less of the forward pass, and compute it again in the backward pass: less memory, more
            time.
    """

    name: str = "vit_small_patch16_224"
    args: dict[str, Any] = field(default_factory=dict)
    channels: int = 3
    pretrained: bool = False
    weights: str = ""
    fingerprint: str = ""
    mean: Channels | None = None
    std: Channels | None = None
    drop_path: float = 0.0
    drop_path_uniform: bool = True
    train: str = "all"
    batch_norm: BatchNorm = "train"
    checkpointing: bool = False

    def __post_init__(self) -> None:
        """Refuse an encoder that is not named, two things to start from, and what no image can be normalised by."""
        if not self.name and not self.weights:
            raise ValueError("encoder.name is empty: give a timm model's name, or what to start from: encoder.weights")
        if self.weights and self.pretrained:
            raise ValueError(
                f"encoder.weights is {self.weights}, and encoder.pretrained asks for published weights: leave one out "
                "(timm:NAME names published ones)"
            )
        check(self.channels >= 2, "encoder.channels", "2 or more (gray images count as 3, all alike)", self.channels)
        if "in_chans" in self.args:
            raise ValueError("encoder.args holds in_chans: give --encoder.channels in its place")
        check_normalisation(self.mean, self.std, self.channels)
        read_train(self.train)

    @property
    def model_args(self) -> dict[str, Any]:
        """Arguments of `timm.create_model`, with those that other fields stand for."""
        return self.args if self.channels == 3 else {**self.args, "in_chans": self.channels}

    def starting_from(self, model: str) -> EncoderConfig:
        """Return what starts from MODEL, with its architecture, arguments and normalisation; all else is as here."""
        return dataclasses.replace(
            self, name="", args={}, pretrained=False, weights=model, fingerprint="", mean=None, std=None
        )

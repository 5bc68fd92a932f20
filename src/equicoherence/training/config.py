"""The configuration of a pretraining run: the settings of its components, side by side."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

from equicoherence.coherence import CoherenceConfig
from equicoherence.devices import Device
from equicoherence.methods import METHODS, MethodConfig
from equicoherence.methods.vicreg import VICRegConfig
from equicoherence.training.comma_lists import check_listed
from equicoherence.training.config_checks import check_together
from equicoherence.training.encoder_config import EncoderConfig
from equicoherence.training.optim_config import OptimConfig
from equicoherence.training.ranges import check, check_finite
from equicoherence.training.trackers import TRACKERS
from equicoherence.training.views_config import POSES, ViewsConfig
from equicoherence.training.watchable import AUTO, watchable

Precision = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class PretrainConfig:
    """Everything a run is made from; `config.yaml` of its directory.

    Args:
        name: Name of the run: its directory is runs/NAME, unless --out gives another.
        method: The joint-embedding method and its settings.
        encoder: The encoder.
        d: Number of features of z, for methods that read it.
        coherence: The auxiliary task; None for the plain method, and for methods that receive the parameters
            of the path, or have a layer of their own, and learn from those.
        views: The views of an image.
        optim: The optimiser.
        data: Images: a folder, tar shards, an archive, or objects (rendered, no file needed).
        seed: Seed of weights, views and order.
        max_steps: Steps of the run and its schedule, in place of its epochs; 0 for those of all epochs.
        precision: Precision of matrix products: fp32, bf16, fp16, or auto: bf16 on devices that multiply it (a CPU
            without AMX or AVX-512-BF16 is faster in fp32), else fp32. A resumed run keeps what it began with. fp16
            is for GPUs without bf16, and slow on a CPU; the loss is scaled, so that small gradients are not lost.
        device: Where to compute: cpu, cuda, mps (of a Mac), or auto, the first CUDA device where there is one.
        compile: Compile the encoder with torch.compile.
        sharding: What each of several processes holds: the whole model (ddp), or a part of its parameters, their
            gradients, optimiser state and teacher (fsdp2, for vision transformers). A run may be resumed with the
            other.
        threads: CPU threads of each process, for matrix products and for decoding images; 0 for as many as the
            machine has for it.
        cache: Memory for decoded images, in MiB.
        bad_image_tolerance: Share of the images that may be unreadable before the run stops.
        log_every: Steps between two lines of metrics.jsonl.
        checkpoint_every: Steps between two checkpoints.
        keep: Largest share, in [0, 1), of what the encoder knew at the start that may be lost; 0 to measure
            nothing. If more is lost, as measured every watch_every steps, the run ends with the last good state
            (docs/adapting.md).
        watch_every: Steps between two measurements for keep and for watch.
        watch: Scores of held-out images during training, with commas: knn, and paths such as rotation
            (docs/callbacks.md); auto for rotation and, with class labels, knn; none for none. If a frozen encoder
            has a head, they are of what the head gives.
        track: Trackers that get metrics, pictures and the configuration, with commas: tensorboard, trackio,
            wandb, mlflow; none for none. The extra track installs the first three; mlflow is installed by itself.
    """

    name: str = "custom"
    method: MethodConfig = field(default_factory=VICRegConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    d: int = 512
    coherence: CoherenceConfig | None = field(default_factory=CoherenceConfig)
    views: ViewsConfig = field(default_factory=ViewsConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    data: str = "objects"
    seed: int = 0
    max_steps: int = 0
    precision: Precision = "fp32"
    device: Device = "auto"
    compile: bool = False
    sharding: Literal["ddp", "fsdp2"] = "ddp"
    threads: int = 0
    cache: int = 1024
    bad_image_tolerance: float = 0.01
    log_every: int = 10
    checkpoint_every: int = 500
    keep: float = 0.0
    watch_every: int = 100
    watch: str = "none"
    track: str = "none"

    def __post_init__(self) -> None:
        """Refuse what could only fail later, quoting the value."""
        check_finite(self)
        for name in ("log_every", "checkpoint_every", "watch_every"):
            check(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        check(0 <= self.keep < 1, "keep", "a share in [0, 1)", self.keep)
        check_listed("track", self.track, TRACKERS)
        if self.watch != AUTO:
            check_listed("watch", self.watch, watchable())
        if self.seed < 0 or self.max_steps < 0:
            raise ValueError(f"seed and max_steps must be 0 or more, got {self.seed} and {self.max_steps}")
        check_together(self)

    @property
    def d_equi(self) -> int:
        """Features of z that are equivariant: the task's, or those of a method that receives its parameters."""
        return getattr(self.method, "d_equi", 0) if self.coherence is None else self.coherence.d_equi

    def plain(self) -> PretrainConfig:
        """Return the same run without the task and, but for poses, without its path: the base method.

        Raises ValueError for a method that receives the parameters of the path: without them it is another method.
        """
        method = METHODS[type(self.method)]
        if method.told:
            raise ValueError(
                f"{self.name} has no plain form: {method.__name__} receives the transformation, and there is no task "
                "to leave out; take the plain form of another method's recipe"
            )
        views = self.views if self.views.path == POSES else dataclasses.replace(self.views, path="none")
        return dataclasses.replace(self, coherence=None, views=views, name=f"{self.name}-plain")

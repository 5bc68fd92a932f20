"""The configuration of a pretraining run: the settings of its components, side by side."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, Literal

from equicoherence.coherence import CoherenceConfig
from equicoherence.data.poses.views import change_parameters
from equicoherence.devices import Device
from equicoherence.methods import METHODS, MethodConfig
from equicoherence.methods.vicreg import VICRegConfig
from equicoherence.models.decoders import DECODERS
from equicoherence.models.normalisation import Channels, check_normalisation
from equicoherence.models.trained import HEAD, BatchNorm, read_train
from equicoherence.paths import Between, named_path
from equicoherence.paths.between import BETWEEN
from equicoherence.paths.flips import Flip
from equicoherence.paths.places import Place
from equicoherence.paths.renderer import Border
from equicoherence.paths.transformation import Parameter
from equicoherence.training.comma_lists import NONE, check_listed, listed
from equicoherence.training.online import KNN, watchable
from equicoherence.training.trackers import TRACKERS

Precision = Literal["auto", "fp32", "bf16", "fp16"]
POSES = "poses"  # the path that leads from one render of an object to another
PLACEHOLDER = "MODEL"  # what recipes that start from an encoder that exists hold as its weights
LARGEST_TURN = 80.0  # degrees of each view; between crops of two aspects, 163 may have no logarithm
COLORED = ("brightness", "contrast", "saturation", "hue", "amount")  # parameters of paths that change colors
POSE_LATENTS = 7  # of each render: what 3DIEBench-T adds behind them is not part of the path


def _colored(parameters: tuple[Parameter, ...]) -> bool:
    """Say whether a path with these parameters changes colors."""
    return any(parameter.name.endswith(COLORED) for parameter in parameters)


def _check(holds: bool, name: str, wanted: str, value: object) -> None:
    if not holds:
        raise ValueError(f"{name} must be {wanted}, got {value}")


def _check_finite(value: object, where: str) -> None:
    """Refuse a number in nested settings that is NaN or infinite, quoting it with its place."""
    if isinstance(value, float):
        _check(math.isfinite(value), where, "a finite number", value)
    elif dataclasses.is_dataclass(value):
        for each in dataclasses.fields(value):
            _check_finite(getattr(value, each.name), f"{where}.{each.name}".lstrip("."))
    elif isinstance(value, tuple | list):
        for number, part in enumerate(value):
            _check_finite(part, f"{where}[{number}]")


@dataclass(frozen=True)
class EncoderConfig:
    """A timm model, what it starts from, and what of it is trained.

    Args:
        name: The model, any that timm has; empty where weights says which one it is.
        args: Further arguments of `timm.create_model`, such as {"img_size": 64}.
        channels: Of the images: 3 for pictures, else as many as they have, 2 or more (docs/data.md). The first
            convolution has as many; where there are weights of timm to start from, it spreads them over these.
        pretrained: Start from timm's published weights of that name.
        weights: What to start from, as `equicoherence evaluate` takes MODEL: a run directory, timm:NAME, a
            weights file (FILE@ARCH), an export, local-dir:FOLDER, hf-hub:NAME; empty for none. Architecture,
            arguments and normalisation are those of its model; what is given beside must fit.
        fingerprint: Short hash of what weights held when they were read. Training writes it; empty where not
            yet read.
        mean: Of the channels of images in [0, 1], by which the encoder normalises them; the model's own where
            None, and their mean for channels behind the third.
        std: As mean, the standard deviations.
        drop_path: Share of the samples that a block's branch leaves out, for vision transformers. The teacher
            leaves out none.
        drop_path_uniform: Whether drop_path is the same in all blocks (DINOv2), or rises linearly from 0
            (iBOT).
        train: What is trained of an encoder that starts from weights: all; head, nothing of it, so that it
            stays what it was bit for bit, and a head reads z_equi from it (coherence.layers); last:N, its last
            N layers (blocks of a vision transformer, stages of a convolutional network) and what follows them;
            lora:RANK, LoRA on the linear layers of attention, merged at the end; lora-all:RANK, on those of
            MLPs too. The rest stands still.
        batch_norm: Of BatchNorm layers that are trained, whether their statistics move (train, as encoders from
            random weights need), or not (frozen).
        checkpointing: Keep less of the forward pass for the backward pass, which computes it once more: less
            memory, more time.
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
        _check(self.channels >= 2, "encoder.channels", "2 or more (gray images count as 3, all alike)", self.channels)
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


@dataclass(frozen=True)
class AugmentationConfig:
    """Strengths of one set of augmentations; see `equicoherence.paths.augmentation`.

    Args:
        area: Smallest and largest share of the image that the crop holds.
        jitter: Largest change of brightness, contrast, saturation and hue.
        jitter_probability: Share of the views whose colors are changed.
        grayscale: Share of the views without color.
        blur: Share of the views that are blurred.
        sigma: Smallest and largest sigma of the blur, in pixels of the view.
        solarize: Share of the views whose bright pixels are inverted.
        flip: Share of the views that are mirrored.
        rotation: Degrees up to which a view is turned to either side, in [0, 180].
    """

    area: tuple[float, float] = (0.2, 1.0)
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.2, 0.1)
    jitter_probability: float = 0.8
    grayscale: float = 0.2
    blur: float = 0.5
    sigma: tuple[float, float] = (0.1, 2.0)
    solarize: float = 0.0
    flip: float = 0.5
    rotation: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a turn out of its range, quoting it."""
        _check(0 <= self.rotation <= 180, "rotation of views", "in [0, 180] degrees", self.rotation)


@dataclass(frozen=True)
class ViewsConfig:
    """The views of an image, and the path that the task sees.

    Args:
        size: Pixels of a view along a side.
        source: Pixels along a side that an image is kept at, from which the views are cut.
        path: Transformation g that leads from u to view 2, with states between: se2, rotation, all and others;
            none; between: no further transformation, and the states lie on the path from view 1 to view 2, so
            that all that the augmentations did is asked of the task (docs/between.md; border and invariant mean
            nothing there); poses: the two views are renders of an object, as they are, and the states those of
            its pose path (data: 3DIEBench, or what `equicoherence render` writes). Of a set with pose paths
            (`equicoherence render --paths`) only views at the ends of a path are paired.
        told: Names of the parameters of the path that a method gets which is told theta; all where empty.
        border: What lies beyond the crop: content, what the image shows there; reflection; zeros, which give
            the angle away.
        flip: Whether the views of an image (both, and local crops) are mirrored alike (shared), each by itself
            (independent, as most methods are published), or not at all (none). Flips of their own press
            features to be the same for an image and its mirror image, and such features cannot tell left from
            right (docs/transformation.md).
        place: Whether view 1 and u are the same box of the image (shared; the second view's place and size are
            unread, so that but for colors nothing lies between view 1 and view 2 but the path), or each has its
            own (independent), as joint-embedding methods need.
        invariant: Which two views the method's invariant loss is taken on, for methods with the task. path: v1
            and v2 = g(u), as published, so that the loss presses out what the task shall keep. base: v1 and u;
            the task alone sees v2, a third view, which costs its share (coherence.share) of an encoder's pass.
            Without a path both are the same, and without the task nothing sees the path of base
            (docs/transformation.md).
        first: Augmentations of view 1.
        second: Augmentations of u, and so of view 2.
        crops: Local crops of an image, for methods that read them.
        crop_size: Pixels of a local crop along a side.
        crop: Augmentations of local crops.
        crop_rotations: Whether the crops are one crop, turned by 0, 90, 180 and 270 degrees.
        mask_probability: Share of the global views in which patch tokens are masked, for methods that predict
            them.
        mask_ratio: Lowest and highest share of the tokens that are masked in those.
    """

    size: int = 224
    source: int = 256
    path: str = "se2"
    told: tuple[str, ...] = ()
    border: Border = "content"
    flip: Flip = "shared"
    place: Place = "independent"
    invariant: Literal["base", "path"] = "path"
    first: AugmentationConfig = AugmentationConfig()
    second: AugmentationConfig = AugmentationConfig()
    crops: int = 0
    crop_size: int = 96
    crop: AugmentationConfig = AugmentationConfig(area=(0.05, 0.25))
    crop_rotations: bool = False
    mask_probability: float = 0.0
    mask_ratio: tuple[float, float] = (0.1, 0.5)

    def __post_init__(self) -> None:
        """Refuse values out of their range, quoting them."""
        _check(self.crops >= 0, "views.crops", "0 or more", self.crops)
        for name in ("size", "source", "crop_size"):
            _check(getattr(self, name) >= 1, f"views.{name}", "at least 1 pixel", getattr(self, name))
        if self.crop_rotations:
            _check(self.crops == 4, "with views.crop_rotations, views.crops", "4", self.crops)
        if self.path == BETWEEN:
            self._check_between()
        _check(0 <= self.mask_probability <= 1, "views.mask_probability", "in [0, 1]", self.mask_probability)
        ratio = self.mask_ratio
        ordered = len(ratio) == 2 and 0 <= ratio[0] <= ratio[1] <= 1
        _check(ordered, "views.mask_ratio", "(lowest, highest) in [0, 1]", ratio)
        flips = {name: getattr(self, name).flip for name in ("first", "second", *(("crop",) if self.crops else ()))}
        if self.flip == "shared" and len(set(flips.values())) > 1:
            raise ValueError(
                f"views.flip is shared, but {', '.join(f'views.{name}.flip is {p}' for name, p in flips.items())}; "
                "give all of them one probability, or --views.flip independent"
            )
        if self.told:
            self._check_told()

    def _check_between(self) -> None:
        """Refuse views that may have no path between them."""
        if self.flip == "independent":
            raise ValueError(
                "views.path is between, but with views.flip independent one view may be the other's mirror image, to "
                "which no path leads; give --views.flip shared or none"
            )
        for name in ("first", "second"):
            turn = getattr(self, name).rotation
            if turn > LARGEST_TURN:
                raise ValueError(
                    f"views.path is between, but with views.{name}.rotation {turn:g} one view may be half a turn from "
                    f"the other, to which two paths lead; give {LARGEST_TURN:g} degrees at most"
                )

    def _check_told(self) -> None:
        known = [parameter.name for parameter in self.parameters]
        unknown = [name for name in self.told if name not in known]
        if unknown:
            raise ValueError(
                f"views.told {', '.join(map(repr, unknown))}: not among the parameters of path {self.path}, which are "
                f"{', '.join(known) or 'none'}"
            )
        _check(len(set(self.told)) == len(self.told), "views.told", "names, each once", self.told)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What theta holds; nothing without a path."""
        if self.path == POSES:
            return change_parameters(POSE_LATENTS)
        if self.path == BETWEEN:
            return Between.parameters
        return () if self.path == "none" else named_path(self.path).parameters

    @property
    def told_columns(self) -> list[int]:
        """Columns of theta that a method gets which is told it."""
        names = [parameter.name for parameter in self.parameters]
        return [names.index(name) for name in self.told] if self.told else list(range(len(names)))


@dataclass(frozen=True)
class OptimConfig:
    """AdamW with linear warm-up and cosine decay.

    Args:
        epochs: Passes over the images.
        batch_size: Images of a step, of each process.
        lr: Highest learning rate at a global batch of 256 images (with lr_scaling sqrt, of 1024).
        lr_scaling: How lr grows with the global batch: linearly, or with its root (sqrt).
        weight_decay: Of weights; biases and norms have none.
        weight_decay_end: Where a cosine takes weight_decay; None to keep it.
        warmup: Share of all steps in which the rate rises.
        clip: Largest norm of the gradient; 0 for none.
        accumulation: Parts that a step's batch is split into, to save memory.
        layer_decay: Factor of the rate from one layer of the encoder (block of a vision transformer, stage of a
            convolutional network) to the one before it; 1 for none.
        patch_embed_lr: Further factor of the rate of a patch embedding.
        freeze_last_layer: Epochs in which the method's last layer stays as it is.
    """

    epochs: int = 100
    batch_size: int = 256
    lr: float = 5e-4
    lr_scaling: Literal["linear", "sqrt"] = "linear"
    weight_decay: float = 0.05
    weight_decay_end: float | None = None
    warmup: float = 0.1
    clip: float = 0.0
    accumulation: int = 1
    layer_decay: float = 1.0
    patch_embed_lr: float = 1.0
    freeze_last_layer: int = 0

    def __post_init__(self) -> None:
        """Refuse values out of their range, quoting them."""
        for name in ("epochs", "batch_size", "accumulation"):
            _check(getattr(self, name) >= 1, f"optim.{name}", "at least 1", getattr(self, name))
        for name in ("lr", "layer_decay"):
            _check(getattr(self, name) > 0, f"optim.{name}", "above 0", getattr(self, name))
        for name in ("weight_decay", "clip", "patch_embed_lr", "freeze_last_layer"):
            _check(getattr(self, name) >= 0, f"optim.{name}", "0 or more", getattr(self, name))
        end = self.weight_decay_end
        _check(end is None or end >= 0, "optim.weight_decay_end", "0 or more, or none", end)
        _check(0 <= self.warmup <= 1, "optim.warmup", "a share of all steps, in [0, 1]", self.warmup)
        if self.accumulation > self.batch_size:
            raise ValueError(f"optim.accumulation {self.accumulation} is more than the batch of {self.batch_size}")


@dataclass(frozen=True)
class PretrainConfig:
    """Everything a run is made from; `config.yaml` of its directory.

    Args:
        name: Of the recipe; the run directory is runs/NAME where --out says no other.
        method: The joint-embedding method and its settings.
        encoder: The encoder.
        d: Features of z, for methods that read it.
        coherence: The auxiliary task; None for the plain method, and for methods that are told the parameters
            of the path, or have a layer of their own, and learn from those.
        views: The views of an image.
        optim: The optimiser.
        data: Images: a folder, tar shards, an archive, or objects (rendered, no file needed).
        seed: Of weights, views and order.
        max_steps: Steps after which the run, and its schedule, ends; 0 for those of all epochs.
        precision: Of the products: fp32, bf16, fp16, or auto: bf16 on devices that multiply it (a CPU without
            AMX or AVX-512-BF16 is faster in fp32), else fp32. A resumed run keeps what it began with. fp16 is for
            GPUs without bf16, and slow on a CPU; the loss is scaled, so that small gradients are not lost.
        device: Where to compute: cpu, cuda, mps (of a Mac), or auto, the first CUDA device where there is one.
        compile: Compile the encoder with torch.compile.
        sharding: Of several processes, each holds the whole model (ddp), or a part of its parameters, their
            gradients, optimiser state and teacher (fsdp2, for vision transformers); a run may be resumed with
            the other.
        threads: Threads of each process, for products and for decoding images; 0 for as many as the machine has
            for it.
        cache: MiB of decoded images that are kept in memory.
        bad_image_tolerance: Share of the images that may be unreadable before the run stops.
        log_every: Steps between two lines of metrics.jsonl.
        checkpoint_every: Steps between two checkpoints.
        keep: How much of what the encoder knew at the start may be lost, a share in [0, 1), 0 to measure
            nothing. Where more is lost, as measured every watch_every steps, the run ends with the last good
            state (docs/adapting.md).
        watch_every: Steps between two measurements of what is kept, and of what is watched.
        watch: Figures to take of images that are held out of training, with commas: knn, and paths such as
            rotation (docs/callbacks.md); none for none.
        track: Trackers that get metrics, pictures and the configuration, with commas: tensorboard, trackio,
            wandb, mlflow; none for none.
    """

    name: str = "custom"
    method: MethodConfig = field(default_factory=VICRegConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    d: int = 512
    coherence: CoherenceConfig | None = field(default_factory=CoherenceConfig)
    views: ViewsConfig = ViewsConfig()
    optim: OptimConfig = OptimConfig()
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
        _check_finite(self, "")
        for name in ("log_every", "checkpoint_every", "watch_every"):
            _check(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        _check(0 <= self.keep < 1, "keep", "a share in [0, 1)", self.keep)
        check_listed("track", self.track, TRACKERS)
        check_listed("watch", self.watch, watchable())
        if self.seed < 0 or self.max_steps < 0:
            raise ValueError(f"seed and max_steps must be 0 or more, got {self.seed} and {self.max_steps}")
        if self.precision == "fp16" and self.sharding == "fsdp2":
            raise ValueError(
                "precision fp16 needs the whole gradient on each process; give --precision bf16 with fsdp2"
            )
        self._check_fit()
        if self.encoder.channels < 3:
            self._check_colors()
        if self.encoder.train == HEAD:
            self._check_head()
        if METHODS[type(self.method)].told:
            self._check_told()
        if self.views.invariant == "base":
            self._check_base()
        if self.coherence is None:
            return
        needs_path = bool(self.coherence.positions()) or self.coherence.decoder == "oracle"
        if self.views.path == "none" and needs_path:
            raise ValueError(
                f"views.path is none, so there is nothing for the {self.coherence.decoder} decoder to learn: "
                "choose a path (--views.path se2), or --no-coherence"
            )
        self._check_decoders(self.coherence)

    def _check_decoders(self, task: CoherenceConfig) -> None:
        """Refuse decoders for which the views are not made."""
        both = [name for name in task.decoders if name in DECODERS and DECODERS[name].from_both]
        if both and self.views.path == POSES:
            raise ValueError(
                f"the {both[0]} decoder moves both views in the plane, but with views.path poses the object between "
                "them turns in space; give another decoder"
            )
        if both and self.views.path != BETWEEN:
            raise ValueError(
                f"the {both[0]} decoder reads both ends of the path, but with views.path {self.views.path} view 1 is "
                "not on it; give --views.path between, or another decoder"
            )
        if both and any(self.views.size % side for side in task.scales):
            raise ValueError(
                f"coherence.scales {task.scales} must divide the size of the views, {self.views.size} px; give others"
            )
        if self.views.path == POSES and task.spacing == "random":
            raise ValueError(
                "coherence.spacing is random, but with views.path poses there are only the states that were rendered; "
                "give --coherence.spacing even"
            )

    def _check_base(self) -> None:
        """Refuse to keep the path from the invariant loss where nothing else would read it."""
        method, views = METHODS[type(self.method)], self.views
        if method.told:
            reason = f"{method.__name__} is told the path between the views that it reads"
        elif views.path == POSES:
            reason = "with views.path poses, both views are renders and there is no base image apart"
        elif self.coherence is None or views.path in ("none", BETWEEN):  # both views are base views
            return
        elif not self.coherence.positions() and self.coherence.decoder != "oracle":
            reason = "without states (coherence.states 0) nothing reads view 2"
        else:
            return
        raise ValueError(f"views.invariant is base, but {reason}; give --views.invariant path")

    def _check_fit(self) -> None:
        """Refuse views and a split that the method does nothing with."""
        method, name = METHODS[type(self.method)], METHODS[type(self.method)].__name__
        if self.views.crop_rotations != method.rotated_crops:
            fits = "classifies rotated crops" if method.rotated_crops else "reads no rotated crops"
            raise ValueError(
                f"views.crop_rotations is {self.views.crop_rotations}, but {name} {fits}; "
                "give --views." + ("crop-rotations --views.crops 4" if method.rotated_crops else "no-crop-rotations")
            )
        if self.views.crops and not method.crops:
            raise ValueError(
                f"views.crops is {self.views.crops}, but {name} reads no local crops; give --views.crops 0"
            )
        if self.views.path == POSES and (method.rotated_crops or method.paired or method.symmetries):
            sees = (
                "classifies rotated crops, and poses have none"
                if method.rotated_crops
                else "transforms images itself, and poses are seen as they were rendered"
            )
            raise ValueError(f"{name} {sees}; give another path, --views.path se2")
        if method.paired and self.optim.batch_size % (2 * self.optim.accumulation):
            raise ValueError(
                f"{name} reads images in pairs, but optim.batch_size {self.optim.batch_size} in "
                f"{self.optim.accumulation} parts (optim.accumulation) gives odd ones; give a multiple of "
                f"{2 * self.optim.accumulation}"
            )
        if self.coherence is not None and (method.symmetries or method.reads_layer):
            raise ValueError(
                f"{name} has a layer and views of its own in place of the task, so coherence must be null, got "
                f"{self.coherence}"
            )
        if self.views.place == "shared" and self.views.path in (POSES, BETWEEN):
            raise ValueError(
                f"views.place is shared, but with views.path {self.views.path} the views are not two crops of one "
                "place; give --views.place independent"
            )
        if self.views.path == POSES and (self.views.crops or self.views.mask_probability):
            raise ValueError(
                f"with views.path poses, views are renders as they are, but views.crops is {self.views.crops} and "
                f"views.mask_probability {self.views.mask_probability}; give --views.crops 0 "
                "--views.mask-probability 0"
            )
        if self.views.mask_probability and not method.masks:
            raise ValueError(
                f"views.mask_probability is {self.views.mask_probability}, but {name} predicts no masked tokens; "
                "give --views.mask-probability 0"
            )
        if self.views.told and not method.told:
            raise ValueError(
                f"views.told is {self.views.told}, but {name} is told nothing of the path; leave --views.told out"
            )
        if self.coherence is not None and self.coherence.split == "head" and not method.splits_head:
            raise ValueError(f"coherence.split is head, but {name} has no head to split; give --coherence.split linear")

    def _check_colors(self) -> None:
        """Refuse to change the colors of images that have none."""
        views, changed = self.views, []
        for name in ("first", "second", *(("crop",) if views.crops else ())):
            each: AugmentationConfig = getattr(views, name)
            if each.jitter_probability and any(each.jitter):
                changed.append(f"--views.{name}.jitter-probability 0")
            changed += [f"--views.{name}.{what} 0" for what in ("grayscale", "solarize") if getattr(each, what)]
        drawn = () if views.path in (POSES, BETWEEN) else views.parameters
        if _colored(drawn):
            changed.append("--views.path se2")
        watched = listed(self.watch)
        plain = [name for name in watched if name == KNN or not _colored(named_path(name).parameters)]
        if len(plain) < len(watched):
            changed.append(f"--watch {','.join(plain) or NONE}")
        if changed:
            raise ValueError(
                f"encoder.channels is {self.encoder.channels}, but colors are changed in images of three channels or "
                f"more alone; give {' '.join(changed)}"
            )

    def _check_head(self) -> None:
        """Refuse an encoder that stands still where there is no head, or a method that would train it."""
        method = METHODS[type(self.method)]
        if not method.fixed_teacher:
            raise ValueError(
                f"encoder.train is head, so the encoder stands still, and {method.__name__} has nothing to train; take "
                "method Anchor (recipes adapt-*), or --encoder.train last:N"
            )
        if self.coherence is None:
            raise ValueError(
                "encoder.train is head, but without the task (coherence null) there is no head to train; give "
                "--encoder.train last:N"
            )
        if self.keep:
            raise ValueError(
                f"keep is {self.keep:g}, but with encoder.train head the encoder stands still, so all that it knows is "
                "kept; leave --keep out, or give --encoder.train last:N"
            )
        if self.watch != NONE:
            raise ValueError(
                f"watch is {self.watch}, but with encoder.train head the encoder stands still, so its figures do, too; "
                "leave --watch out, or give --encoder.train last:N"
            )

    def _check_told(self) -> None:
        """Refuse to tell a method nothing, or to give it the task beside what it is told."""
        name = METHODS[type(self.method)].__name__
        if self.coherence is not None:
            raise ValueError(f"{name} is told the transformation, so coherence must be null, got {self.coherence}")
        if self.views.path == "none":
            raise ValueError(
                f"views.path is none, so there is nothing that {name} could be told: choose a path (--views.path se2)"
            )

    @property
    def d_equi(self) -> int:
        """Features of z that are equivariant: the task's, or those of a method that is told the transformation."""
        return getattr(self.method, "d_equi", 0) if self.coherence is None else self.coherence.d_equi

    def plain(self) -> PretrainConfig:
        """Return the same run without the task and, but for poses, without its path: the base method.

        Raises ValueError for a method that is told the path: it would not be the same method without.
        """
        method = METHODS[type(self.method)]
        if method.told:
            raise ValueError(
                f"{self.name} has no plain form: {method.__name__} is told the transformation, and there is no task to "
                "leave out; take the plain form of another method's recipe"
            )
        views = self.views if self.views.path == POSES else dataclasses.replace(self.views, path="none")
        return dataclasses.replace(self, coherence=None, views=views, name=f"{self.name}-plain")

"""Checks between the settings of a pretraining run's components, each of which is fine by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from equicoherence.coherence.config import ORACLE
from equicoherence.methods import METHODS
from equicoherence.models.decoders import DECODERS
from equicoherence.models.train_setting import HEAD
from equicoherence.paths import named_path
from equicoherence.paths.between import BETWEEN
from equicoherence.paths.transformation import Parameter
from equicoherence.training.comma_lists import NONE
from equicoherence.training.views_config import POSES, AugmentationConfig
from equicoherence.training.watchable import KNN, watched_names

if TYPE_CHECKING:
    from equicoherence.coherence import CoherenceConfig
    from equicoherence.training.config import PretrainConfig

COLORED = ("brightness", "contrast", "saturation", "hue", "amount")  # parameters of paths that change colors


def check_together(config: PretrainConfig) -> None:
    """Raise ValueError where settings do not go together, quoting them, with what to give in their place."""
    if config.precision == "fp16" and config.sharding == "fsdp2":
        raise ValueError("precision fp16 needs the whole gradient on each process; give --precision bf16 with fsdp2")
    _check_poses(config)
    _check_views(config)
    _check_batch(config)
    _check_task(config)
    if config.encoder.channels < 3:
        _check_colors(config)
    if config.encoder.train == HEAD:
        _check_head(config)
    if METHODS[type(config.method)].told:
        _check_told(config)
    if config.views.invariant != "path":
        _check_base(config)
    if config.coherence is not None:
        _check_path(config, config.coherence)
        _check_decoders(config, config.coherence)


def _check_views(config: PretrainConfig) -> None:
    """Refuse views that the method does nothing with."""
    method, views = METHODS[type(config.method)], config.views
    name = method.__name__
    if views.crop_rotations != method.rotated_crops:
        fits = "classifies rotated crops" if method.rotated_crops else "reads no rotated crops"
        raise ValueError(
            f"views.crop_rotations is {views.crop_rotations}, but {name} {fits}; "
            "give --views." + ("crop-rotations --views.crops 4" if method.rotated_crops else "no-crop-rotations")
        )
    if views.crops and not method.crops:
        raise ValueError(f"views.crops is {views.crops}, but {name} reads no local crops; give --views.crops 0")
    if views.mask_probability and not method.masks:
        raise ValueError(
            f"views.mask_probability is {views.mask_probability}, but {name} predicts no masked tokens; "
            "give --views.mask-probability 0"
        )
    if views.told and not method.told:
        raise ValueError(
            f"views.told is {views.told}, but {name} receives nothing about the path; leave --views.told out"
        )
    if views.place == "shared" and views.path in (POSES, BETWEEN):
        raise ValueError(
            f"views.place is shared, but with views.path {views.path} the views are not two crops of one "
            "place; give --views.place independent"
        )


def _check_poses(config: PretrainConfig) -> None:
    """Refuse to change renders, which are seen as they are."""
    method, views = METHODS[type(config.method)], config.views
    if views.path != POSES:
        return
    if method.rotated_crops or method.paired or method.symmetries:
        sees = (
            "classifies rotated crops, and poses have none"
            if method.rotated_crops
            else "transforms images itself, and poses are seen as they were rendered"
        )
        raise ValueError(f"{method.__name__} {sees}; give another path, --views.path se2")
    if views.crops or views.mask_probability:
        raise ValueError(
            f"with views.path poses, views are renders as they are, but views.crops is {views.crops} and "
            f"views.mask_probability {views.mask_probability}; give --views.crops 0 "
            "--views.mask-probability 0"
        )


def _check_batch(config: PretrainConfig) -> None:
    """Refuse a batch whose images do not come in pairs where the method reads pairs."""
    method, optim = METHODS[type(config.method)], config.optim
    if method.paired and optim.batch_size % (2 * optim.accumulation):
        raise ValueError(
            f"{method.__name__} reads images in pairs, but optim.batch_size {optim.batch_size} in "
            f"{optim.accumulation} parts (optim.accumulation) gives odd ones; give a multiple of "
            f"{2 * optim.accumulation}"
        )


def _check_task(config: PretrainConfig) -> None:
    """Refuse the task, or its split, for a method that has no place for it."""
    method, task = METHODS[type(config.method)], config.coherence
    if task is None:
        return
    if method.symmetries or method.reads_layer:
        raise ValueError(
            f"{method.__name__} has a layer and views of its own in place of the task, so coherence must be null, got "
            f"{task}"
        )
    if task.split == "head" and not method.splits_head:
        raise ValueError(
            f"coherence.split is head, but {method.__name__} has no head to split; give --coherence.split linear"
        )


def _check_colors(config: PretrainConfig) -> None:
    """Refuse to change the colors of images that have none."""
    views, changed = config.views, []
    for name in ("first", "second", *(("crop",) if views.crops else ())):
        each: AugmentationConfig = getattr(views, name)
        if each.jitter_probability and any(each.jitter):
            changed.append(f"--views.{name}.jitter-probability 0")
        changed += [f"--views.{name}.{what} 0" for what in ("grayscale", "solarize") if getattr(each, what)]
    drawn = () if views.path in (POSES, BETWEEN) else views.parameters
    if _colored(drawn):
        changed.append("--views.path se2")
    watched = watched_names(config.watch)
    plain = [name for name in watched if name == KNN or not _colored(named_path(name).parameters)]
    if len(plain) < len(watched):
        changed.append(f"--watch {','.join(plain) or NONE}")
    if changed:
        raise ValueError(
            f"encoder.channels is {config.encoder.channels}, but colors are changed in images of three channels or "
            f"more alone; give {' '.join(changed)}"
        )


def _check_head(config: PretrainConfig) -> None:
    """Refuse a frozen encoder without a head, or with a method that trains the encoder."""
    method = METHODS[type(config.method)]
    if not method.fixed_teacher:
        raise ValueError(
            f"encoder.train is head, so the encoder is frozen, and {method.__name__} has nothing to train; take "
            "method Anchor (recipes adapt-*), or --encoder.train last:N"
        )
    if config.coherence is None:
        raise ValueError(
            "encoder.train is head, but without the task (coherence null) there is no head to train; give "
            "--encoder.train last:N"
        )
    if config.keep:
        raise ValueError(
            f"keep is {config.keep:g}, but with encoder.train head the encoder is frozen, so all that it knows is "
            "kept; leave --keep out, or give --encoder.train last:N"
        )
    if config.encoder.checkpointing:
        raise ValueError(
            "encoder.checkpointing is on, but with encoder.train head the encoder is frozen, so nothing is computed "
            "twice; give --encoder.no-checkpointing, or --encoder.train last:N"
        )


def _check_told(config: PretrainConfig) -> None:
    """Refuse the task beside a method that receives theta, and a path without parameters for it."""
    name = METHODS[type(config.method)].__name__
    if config.coherence is not None:
        raise ValueError(f"{name} receives the transformation, so coherence must be null, got {config.coherence}")
    if config.views.path == "none":
        raise ValueError(
            f"views.path is none, so there is nothing that {name} could receive: choose a path (--views.path se2)"
        )


def _check_base(config: PretrainConfig) -> None:
    """Refuse to leave the path out of the invariant loss if nothing else reads it."""
    method, views = METHODS[type(config.method)], config.views
    if method.told:
        reason = f"{method.__name__} receives the path between the views that it reads"
    elif views.path == POSES:
        reason = "with views.path poses, both views are renders and there is no base image apart"
    elif config.coherence is None or views.path in ("none", BETWEEN):  # both views are base views
        return
    elif not config.coherence.positions() and ORACLE not in config.coherence.decoders:
        reason = "without states (coherence.states 0) nothing reads view 2"
    elif views.invariant == "others" and method.paired:
        raise ValueError(
            f"views.invariant is others, but {method.__name__} reads pairs of samples, which the task would part;"
            " give --views.invariant base"
        )
    elif views.invariant == "others" and config.coherence.share == 1:
        raise ValueError(
            "views.invariant is others, but with coherence.share 1 all samples have the task, and none is left for the "
            "invariant loss; give a smaller --coherence.share, or --views.invariant base"
        )
    else:
        return
    raise ValueError(f"views.invariant is {views.invariant}, but {reason}; give --views.invariant path")


def _check_path(config: PretrainConfig, task: CoherenceConfig) -> None:
    """Refuse decoders without a path to decode."""
    if config.views.path == "none" and (task.positions() or ORACLE in task.decoders):
        raise ValueError(
            f"views.path is none, so there is nothing for the {task.decoder} decoder to learn: "
            "choose a path (--views.path se2), or --no-coherence"
        )


def _check_decoders(config: PretrainConfig, task: CoherenceConfig) -> None:
    """Refuse decoders for which the views are not made."""
    now, needed = config.views.path, {name: DECODERS[name].path for name in task.decoders if name in DECODERS}
    for name, path in needed.items():
        if path and path != now:
            apart = " --views.place independent" if config.views.place == "shared" else ""
            others = [f"--coherence.decoder {other}" for other, kind in DECODERS.items() if kind.path == now]
            raise ValueError(
                f"the {name} decoder warps both ends of views.path {path}, but views.path is {now}; "
                f"give --views.path {path}{apart}, or {' or '.join(others) or 'another decoder'}"
            )
    if any(needed.values()) and any(config.views.size % side for side in task.scales):
        raise ValueError(
            f"coherence.scales {task.scales} must divide the size of the views, {config.views.size} px; give others"
        )
    if config.views.path == POSES and task.spacing == "random":
        raise ValueError(
            "coherence.spacing is random, but with views.path poses there are only the states that were rendered; "
            "give --coherence.spacing even"
        )


def _colored(parameters: tuple[Parameter, ...]) -> bool:
    """Say whether a path with these parameters changes colors."""
    return any(parameter.name.endswith(COLORED) for parameter in parameters)

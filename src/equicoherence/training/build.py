"""From a configuration to the learner and its views."""

from __future__ import annotations

import dataclasses

import timm
import torch
from torch import nn

from equicoherence.coherence import CoherenceTask, CoherenceTasks, ThetaRegression
from equicoherence.coherence.config import CONVOLUTIONAL, ORACLE
from equicoherence.coherence.task import Orders
from equicoherence.data import ImageSource, open_images
from equicoherence.methods import METHODS, Method
from equicoherence.models import Encoder, SplitHead
from equicoherence.models.foreign import copy_weights
from equicoherence.models.layered_head import LayeredHead
from equicoherence.models.lean_block import drop_samples
from equicoherence.models.train_setting import HEAD
from equicoherence.models.trained import moving_statistics, train_parts
from equicoherence.paths import Between, PathViews, Transformation, augmentation, named_path
from equicoherence.paths.between import BETWEEN
from equicoherence.paths.masks import Masking
from equicoherence.paths.standard import ChosenTheta, FittedTheta, StandardTheta
from equicoherence.training.config import PretrainConfig
from equicoherence.training.config_file import plain_values
from equicoherence.training.encoder_config import EncoderConfig
from equicoherence.training.feed import Feed, ImageFeed, PoseFeed
from equicoherence.training.learner import Learner
from equicoherence.training.views_config import POSES

ORDERS: dict[str, Orders] = {"views": "both", "either": "alternate"}  # of targets; of all others "one"


def build_learner(config: PretrainConfig, *, pretrained: bool | None = None, start: Encoder | None = None) -> Learner:
    """Build the learner of a configuration, initialised from torch's global generator.

    pretrained: whether the encoder starts from pretrained weights; as the configuration says if None.
    start: what the encoder starts from, where `EncoderConfig.weights` names it: of `start.started`.
    Raises ValueError for a configuration that does not fit together, or whose weights are not given.
    """
    if pretrained is None and config.encoder.weights and start is None:
        raise ValueError(f"encoder.weights is {config.encoder.weights}: read it first, with training.start.started")
    encoder = _build_encoder(config, pretrained, start)
    head = _build_head(config, encoder)
    method, scaling = _build_method(config, encoder)
    weight = config.coherence.weight if config.coherence else 1.0
    return Learner(encoder, head, method, _build_task(config, encoder), weight, scaling)


def _build_encoder(config: PretrainConfig, pretrained: bool | None, start: Encoder | None) -> Encoder:
    """Build the encoder with the weights that it starts from, and freeze what is not trained."""
    task, views, method = config.coherence, config.views, METHODS[type(config.method)]
    own_layers = (config.method.layer,) if method.reads_layer else ()  # type: ignore[attr-defined]
    encoder = Encoder(
        config.encoder.name,
        config.encoder.model_args,
        pretrained=config.encoder.pretrained if pretrained is None else pretrained,
        mean=config.encoder.mean,
        std=config.encoder.std,
        layers=task.layers if task else own_layers,
        masked=views.mask_probability > 0,
        any_size=views.crops > 0 and views.crop_size != views.size,
        read="tokens" if method.reads == "z" else "all",
    )
    check_fit(config, encoder)
    if start is not None:
        copy_weights(encoder.model, start.model, config.encoder.weights)
    if config.encoder.drop_path:
        try:
            drop_samples(encoder.model, config.encoder.drop_path, uniform=config.encoder.drop_path_uniform)
        except TypeError as error:
            raise ValueError(f"encoder.drop_path is {config.encoder.drop_path}, but {error}; set it to 0") from error
    _choose_trained(config.encoder, encoder)
    return encoder


def _build_head(config: PretrainConfig, encoder: Encoder) -> SplitHead:
    """Build the maps of the tokens to z_inv, if the method reads it, and to z_equi, if no head of the method does."""
    split = config.coherence.split if config.coherence else ""
    return SplitHead(
        encoder.width,
        config.d if METHODS[type(config.method)].reads == "z" else None,
        0 if split == "head" else config.d_equi,
        encoder.tapped_widths[0] if encoder.layers else None,
        _layered_head(encoder, config.d_equi, moments=split == "moments") if split in CONVOLUTIONAL else None,
    )


def _build_method(config: PretrainConfig, encoder: Encoder) -> tuple[Method, nn.Sequential | None]:
    """Build the method and, if it receives theta, the scaling of theta."""
    views, method = config.views, METHODS[type(config.method)]
    width = config.d - config.d_equi if method.reads == "z" else encoder.pooled_width
    more: list[int] = []
    scaling = None
    if config.coherence is not None and config.coherence.split == "head":
        more = [config.d_equi]
    if method.reads_layer:
        more = encoder.tapped_widths
    if method.told:
        columns = views.told_columns
        more, scaling = [len(columns)], nn.Sequential(ChosenTheta(columns))
        if views.path == BETWEEN:
            scaling.insert(0, FittedTheta(len(views.parameters)))
        elif views.path != POSES:
            scaling.append(StandardTheta([views.parameters[column] for column in columns]))
        elif method.predicts_theta:
            scaling.insert(0, FittedTheta(len(views.parameters)))
    return method(width, config.method, *more), scaling  # type: ignore[call-arg]


def _layered_head(encoder: Encoder, d_equi: int, *, moments: bool) -> LayeredHead:
    """Return the convolutional head over the layers that an encoder taps, over its output where it taps none."""
    if not encoder.layers:
        return LayeredHead([encoder.width], [1], d_equi, tapped=False, moments=moments)
    return LayeredHead(encoder.tapped_widths, encoder.tapped_reductions, d_equi, tapped=True, moments=moments)


def build_whole(config: PretrainConfig) -> Learner:
    """Build the learner of a configuration to load the weights of a finished run: no part is frozen."""
    whole = dataclasses.replace(config.encoder, train="all", batch_norm="train", checkpointing=False)
    return build_learner(dataclasses.replace(config, encoder=whole), pretrained=False)


def _choose_trained(config: EncoderConfig, encoder: Encoder) -> None:
    if config.train != "all" and not (config.weights or config.pretrained):
        raise ValueError(
            f"encoder.train is {config.train}, but the encoder starts from random weights, and what is not trained "
            "would stay random; give --encoder.weights MODEL, or --encoder.train all"
        )
    train_parts(encoder, config.train, config.batch_norm)
    if not config.checkpointing:
        return
    if moving_statistics(encoder):
        raise ValueError(
            "encoder.checkpointing computes layers twice, so that the statistics of BatchNorm layers would move twice "
            "a step; give --encoder.batch-norm frozen, or --encoder.no-checkpointing"
        )
    try:
        encoder.checkpoint()
    except ValueError as error:
        raise ValueError(f"encoder.checkpointing is on, but {error}; give --encoder.no-checkpointing") from error


OTHER_CROPS = "give another --views.crop-size, or --views.crops 0"


def check_fit(config: PretrainConfig, encoder: Encoder) -> None:
    """Raise ValueError for views that do not fit the encoder, or a method that cannot use its features."""
    views, method = config.views, METHODS[type(config.method)]
    asked = {"views.size": views.size} | ({"views.crop_size": views.crop_size} if views.crops else {})
    for name, side in asked.items():
        try:
            encoder.check_size(side)
        except ValueError as error:
            advice = _other_size(encoder, side) if name == "views.size" else OTHER_CROPS
            raise ValueError(f"{name} is {side}, but {error}; {advice}") from error
    in_head = config.coherence is not None and config.coherence.split == "head"
    both = in_head or (method.reads_tokens and not method.any_widths)
    if method.reads == "features" and both and encoder.pooled_width != encoder.width:
        raise ValueError(
            f"{method.__name__} reads patch tokens and the image representation, but of {encoder.name} they have "
            f"{encoder.width} and {encoder.pooled_width} channels: choose another encoder or method"
        )


def _other_size(encoder: Encoder, size: int) -> str:
    """Return what to do about views of a size that does not fit."""
    built = f" or --encoder.args.img-size {size}" if _built_for(encoder, size) else ""
    return f"give --views.size {encoder.own_size[0]}{built}"


def _built_for(encoder: Encoder, size: int) -> bool:
    """Return whether timm builds the architecture of an encoder for images of a size, where each has one."""
    known = timm.get_pretrained_cfg(encoder.architecture)
    if known is None or not known.fixed_input_size:
        return False
    try:
        Encoder(encoder.architecture, encoder.args | {"img_size": size})
    except ValueError:
        return False
    return True


def _build_task(config: PretrainConfig, encoder: Encoder) -> CoherenceTask | CoherenceTasks | ThetaRegression | None:
    task = config.coherence
    if task is None:
        return None
    grid, of_each, every = token_grid(encoder, config.views.size), task.positions_of(), task.positions()
    built: dict[str, CoherenceTask | ThetaRegression] = {
        name: CoherenceTask(
            task.d_equi,
            len(positions),
            config.views.size,
            grid,
            decoder=name,
            parts=task.parts,
            width=task.width,
            scales=task.scales,
            any_time=task.spacing == "random" and any(0 < t < 1 for t in positions),
            orders=ORDERS.get(task.targets_of()[name], "one"),
            mean=encoder.mean.flatten().tolist(),
            std=encoder.std.flatten().tolist(),
        )
        for name, positions in of_each.items()
    }
    if ORACLE in task.decoders:
        fitted = config.views.path in (POSES, BETWEEN)
        built[ORACLE] = ThetaRegression(task.d_equi, config.views.parameters, fitted=fitted)
    if len(built) == 1:
        return built[task.decoder]
    return CoherenceTasks(
        built, {name: [every.index(place) for place in of_each.get(name, ())] for name in task.decoders}
    )


def build_feed(config: PretrainConfig, encoder: Encoder, images: ImageSource | None = None) -> Feed:
    """Open a configuration's images; return the images and views of each step.

    images: those of training, if they are open already; poses are opened here.
    """
    if config.views.path == POSES:
        positions = config.coherence.positions() if config.coherence else ()
        share = config.coherence.share if config.coherence else 1.0
        feed: Feed = PoseFeed(config.data, config.views.size, positions, share)
    else:
        images = open_images(config.data, "train") if images is None else images
        feed = ImageFeed(images, build_views(config, encoder))
    held = feed.source.format
    held.check(encoder.channels, repr(config.data), "the encoder", f"give --encoder.channels {held.channels}")
    return feed


def fit_theta(learner: Learner, feed: Feed) -> None:
    """Fit the scaling of theta as a label to the pairs of ``feed``; does nothing if the learner has none."""
    fitted = [module for module in learner.modules() if isinstance(module, FittedTheta)]
    if fitted:
        mean, deviation = feed.scale()
        for module in fitted:
            module.fit(mean, deviation)


def build_views(config: PretrainConfig, encoder: Encoder) -> PathViews:
    """Build the views of a configuration, with masks over the tokens of ``encoder`` where it asks for them."""
    views = config.views
    outside = views.invariant != "path" and config.encoder.train != HEAD  # else no method reads u
    masked = views.mask_probability > 0
    unread = outside and config.coherence is None  # nothing sees the path
    method = METHODS[type(config.method)]
    return PathViews(
        augmentation(**plain_values(views.first)),
        augmentation(**plain_values(views.second)),
        None if unread else _path(views.path),
        size=views.size,
        positions=config.coherence.positions() if config.coherence else (),
        spacing=config.coherence.spacing if config.coherence else "even",
        border=views.border,
        flip=views.flip,
        place=views.place,
        crops=views.crops,
        crop_size=views.crop_size,
        crop=augmentation(**plain_values(views.crop)),
        crop_rotations=views.crop_rotations,
        base=outside and not unread,
        share=config.coherence.share if config.coherence else 1.0,
        others=views.invariant == "others",
        masking=Masking(token_grid(encoder, views.size), views.mask_probability, views.mask_ratio) if masked else None,
        paired=method.paired,
        symmetric=config.method.share if method.symmetries else 0.0,  # type: ignore[attr-defined]
    )


def _path(name: str) -> Transformation | Between | None:
    """Return the path of a name in a configuration."""
    if name == BETWEEN:
        return Between()
    return None if name == "none" else named_path(name)


@torch.no_grad()
def token_grid(encoder: Encoder, size: int) -> tuple[int, int]:
    """Return the grid of the tokens that the task reads, from one forward of a blank image."""
    training = encoder.training
    features = encoder.eval()(torch.zeros(1, encoder.channels, size, size, device=encoder.mean.device))
    encoder.train(training)
    return features.tapped_grid

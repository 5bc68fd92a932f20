"""The pretrained encoder that a run starts from: `EncoderConfig.weights`, read, and recorded in the configuration."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError

from equicoherence.errors import one_line
from equicoherence.files import sha256_of
from equicoherence.finite import not_finite
from equicoherence.methods import METHODS
from equicoherence.models import Encoder
from equicoherence.models.encoder import sized
from equicoherence.models.foreign import copy_weights, foreign_encoder, read_exported
from equicoherence.models.missing import PRETRAINED, no_kind
from equicoherence.models.model_folder import with_source
from equicoherence.models.names import folder_of, split_file
from equicoherence.models.normalisation import Channels
from equicoherence.models.prefixes import SOURCES
from equicoherence.models.published import GIVE_A_FILE
from equicoherence.models.weights import load_weights
from equicoherence.tensor_files import digest_of
from equicoherence.training.checkpoint import saved_source
from equicoherence.training.config import PretrainConfig
from equicoherence.training.config_file import load_config, plain_values
from equicoherence.training.encoder_config import PLACEHOLDER
from equicoherence.training.new_run import checkpoints
from equicoherence.training.run import is_finished, load_run

DIGEST = 16  # letters of a fingerprint


@dataclass(frozen=True, eq=False)
class Start:
    """An encoder to start from.

    encoder: with its weights, for images of the size asked for as far as it has one.
    fingerprint: short hash of its file, or of its weights where they are no one file of the user's.
    size: pixels of the images that it is used on.
    source: pixels that images are read at for these, None if nothing says it.
    """

    encoder: Encoder
    fingerprint: str
    size: int
    source: int | None = None


def begun_before(config: PretrainConfig, run: Path) -> PretrainConfig:
    """Return a configuration with what ``run`` wrote of the same `EncoderConfig.weights`, which are not read again."""
    if not config.encoder.weights or not (run / "config.yaml").is_file():
        return config
    given, before = config.encoder, load_config(run / "config.yaml").encoder
    if given.weights != before.weights:
        return config
    encoder = dataclasses.replace(
        given,
        name=given.name or before.name,
        args=before.args | given.args,
        channels=before.channels if given.channels == 3 else given.channels,
        mean=given.mean or before.mean,
        std=given.std or before.std,
        fingerprint=given.fingerprint or before.fingerprint,
    )
    return dataclasses.replace(config, encoder=encoder)


def needs_start(config: PretrainConfig, run: Path, resume: bool) -> bool:
    """Return whether a run reads the weights that it starts from: a resumed one has them in its checkpoint."""
    return bool(config.encoder.weights) and not (resume and config.encoder.fingerprint and checkpoints(run))


def check_start(config: PretrainConfig) -> None:
    """Raise ValueError for a method, or ``keep``, that needs a pretrained encoder, without pretrained weights."""
    method = METHODS[type(config.method)]
    held_by = method.__name__ if method.fixed_teacher else f"keep {config.keep:g}" if config.keep else ""
    if held_by and not (config.encoder.weights or config.encoder.pretrained):
        raise ValueError(
            f"{held_by} holds an encoder near its start, but {config.encoder.name} starts from random weights; give "
            f"pretrained weights: --encoder.weights MODEL ({PRETRAINED})"
        )


def started(config: PretrainConfig, read: Start | None = None) -> tuple[PretrainConfig, Encoder]:
    """Read `EncoderConfig.weights`; return the configuration with architecture, arguments, normalisation and
    fingerprint of what it starts from, and that encoder.

    read: these weights, where they are read already; read again for views that need an encoder of another size.

    Torch's global generators are left as they were. Raises FileNotFoundError or ValueError, in one sentence, for what
    is missing, damaged, does not fit the views or the name that is given, or is not what the fingerprint says.
    """
    given, size = config.encoder, config.views.size
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        start = read
        if start is None or sized(start.encoder.architecture, _resized(start.encoder, size)):
            start = read_start(given.weights, size, given.name, given.args)
        encoder = start.encoder
        if given.name not in ("", encoder.architecture):
            raise ValueError(
                f"encoder.name is {given.name}, but encoder.weights {given.weights} is of {encoder.architecture}; "
                "leave --encoder.name out"
            )
        if given.channels not in (3, encoder.channels):
            raise ValueError(
                f"encoder.channels is {given.channels}, but encoder.weights {given.weights} is of {encoder.channels} "
                "channels; leave --encoder.channels out, or start from timm's weights with --encoder.pretrained"
            )
        if given.fingerprint not in ("", start.fingerprint):
            raise ValueError(
                f"encoder.weights {given.weights} has the fingerprint {start.fingerprint}, but the configuration says "
                f"{given.fingerprint}: its weights are others now; give --encoder.weights {given.weights} to start "
                "from these"
            )
        if name := not_finite(encoder.model.state_dict()):
            raise ValueError(f"encoder.weights {given.weights}: its {name} is not finite; give other weights")
        args = encoder.args | sized(encoder.architecture, _resized(encoder, size)) | given.args
        mean, std = given.mean or _channels(encoder.mean), given.std or _channels(encoder.std)
        if args != encoder.args:
            try:
                other = Encoder(encoder.architecture, args, mean=mean, std=std)
            except ValueError as error:
                raise ValueError(f"encoder.weights {given.weights} with views.size {size}: {error}") from error
            copy_weights(other.model, encoder.model, given.weights, whole=True)
            encoder = other
    found = dataclasses.replace(
        given,
        name=encoder.architecture,
        args={name: value for name, value in plain_values(args).items() if name != "in_chans"},
        channels=encoder.channels,
        mean=mean,
        std=std,
        fingerprint=start.fingerprint,
    )
    return dataclasses.replace(config, encoder=found), encoder


def started_or_begun(config: PretrainConfig, run: Path) -> PretrainConfig:
    """Return a configuration with what it starts from; where that is gone, as ``run`` knows it, which needs it no more.

    Raises as `started` does.
    """
    if not config.encoder.weights:
        return config
    try:
        return started(config)[0]
    except FileNotFoundError:
        if not is_finished(run) and not checkpoints(run):
            raise
        return begun_before(config, run)


def start_of_run(config: PretrainConfig, run: Path) -> Encoder:
    """Return the encoder that a run with a checkpoint started from, by its own files: it was frozen, `HEAD`.

    Torch's global generators are left as they were.
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        given, learner = config.encoder, load_run(run)[1]
        encoder = Encoder(given.name, given.model_args, mean=given.mean, std=given.std)
    encoder.model.load_state_dict(learner.encoder.model.state_dict())
    return encoder


def read_start(model: str, size: int | None, name: str, args: dict[str, Any]) -> Start:
    """Read MODEL, as `equicoherence evaluate` takes it, for images of ``size`` pixels where it has positions.

    size: None for its own.
    name: architecture of a weights file that does not say it; empty if none is given.
    args: further arguments of it.
    No code in a file is executed. Raises FileNotFoundError or ValueError for what cannot be read or does not fit.
    """
    named = with_source(model)
    if Path(named).is_dir():
        return _of_run(Path(named))
    place = named.removeprefix("timm:")
    if place != model or place.startswith(SOURCES):
        return _of_timm(place, size)
    file, arch = split_file(model)
    path = Path(file)
    if model == PLACEHOLDER:
        raise FileNotFoundError(
            f"the recipe starts from a pretrained encoder, so say which: --encoder.weights MODEL, or `equicoherence "
            f"adapt MODEL`, with for MODEL {PRETRAINED}"
        )
    absent, _, wanted = model.rpartition("@")
    if absent and not path.is_file():
        raise FileNotFoundError(f"encoder.weights {model!r}: there is no file {absent!r} of weights for {wanted}")
    if not path.is_file():
        raise no_kind("encoder.weights", model, PRETRAINED, "--encoder.weights")
    digest = sha256_of(path)[:DIGEST]
    advice = f"say which model it is for: {file}@ARCH"
    if arch is None and not name:
        held = read_exported(file, size, advice)
        return Start(held.encoder, digest, held.size, held.source)
    encoder = foreign_encoder(arch or name, size, args, pretrained=False, option="views.size")
    load_weights(encoder.model, path)
    return Start(encoder, digest, size or encoder.own_size[0])


def _of_run(run: Path) -> Start:
    try:
        config, learner = load_run(run)
    except SafetensorError as error:
        raise ValueError(f"the weights of {run} cannot be read: a safetensors file is damaged ({error})") from error
    except RuntimeError as error:
        raise ValueError(f"the weights of {run} do not fit its config.yaml: {one_line(error)}") from error
    encoder = learner.encoder
    return Start(
        encoder, digest_of(encoder.model.state_dict().items())[:DIGEST], config.views.size, config.views.source
    )


def _of_timm(name: str, size: int | None) -> Start:
    """Read a model of timm by its name or place, with published or saved weights."""
    encoder = foreign_encoder(name, size, pretrained=True, option="views.size", otherwise=GIVE_A_FILE)
    own = encoder
    if sized(name, size):  # the fingerprint is that of the weights before their positions are resampled
        own = foreign_encoder(name, None, pretrained=True, otherwise=GIVE_A_FILE)
    folder = folder_of(name)
    source = None if folder is None else saved_source(folder)
    return Start(encoder, digest_of(own.model.state_dict().items())[:DIGEST], size or encoder.own_size[0], source)


def _resized(encoder: Encoder, size: int) -> int | None:
    """Return ``size`` where the encoder is built for images of another one."""
    return size if encoder.own_size != (size, size) else None


def _channels(values: torch.Tensor) -> Channels:
    """Return a mean or deviation of channels, in as few digits as say it."""
    return tuple(float(str(np.float32(value))) for value in values.flatten().tolist())

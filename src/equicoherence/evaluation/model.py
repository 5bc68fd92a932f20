"""MODEL -> the encoder under evaluation: a run, a timm model, a baseline or a weights file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from equicoherence.errors import one_line
from equicoherence.evaluation.baselines import SIZE, baseline
from equicoherence.evaluation.frozen_model import FrozenModel, at_layer, generators_kept
from equicoherence.evaluation.own_predictor import OwnPredictor, has_predictor
from equicoherence.methods import Method
from equicoherence.models import Encoder, Features
from equicoherence.models.features import POOLS
from equicoherence.models.foreign import foreign_encoder, read_exported
from equicoherence.models.missing import no_model
from equicoherence.models.model_folder import with_source
from equicoherence.models.names import folder_of, split_file
from equicoherence.models.prefixes import BASELINE, TIMM, is_baseline
from equicoherence.models.published import BARE
from equicoherence.models.shared_files import has_heads
from equicoherence.models.weights import load_weights
from equicoherence.notice import say
from equicoherence.training.checkpoint import saved_source
from equicoherence.training.config import PretrainConfig
from equicoherence.training.learner import Learner
from equicoherence.training.run import load_run
from equicoherence.training.shared import load_shared
from equicoherence.training.views_config import POSES, reading_size


class MethodHead(nn.Module):
    """The split of a run whose z_equi comes from the method's own head."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, features: Features) -> tuple[None, Tensor]:
        """Return None for z_inv, and z_equi (B, N, d_equi)."""
        return None, self.method.equivariant(features.patches)


def load_model(
    model: str | Path,
    *,
    arch: str | None = None,
    random_weights: bool = False,
    size: int | None = None,
    layer: int | None = None,
) -> FrozenModel:
    """Load MODEL: a run directory, ``timm:NAME``, ``hf-hub:OWNER/NAME``, ``baseline:NAME``, a weights file,
    ``FILE@ARCH``, or the folder of a timm model (its ``config.json`` and weights), also as ``local-dir:FOLDER``.

    With what `export` to timm or `push` wrote of a run come its heads: it has the representations of the run.

    arch: timm architecture of a weights file, if FILE@ARCH does not give it. A file of `equicoherence export --to
        torch` contains it, and its size.
    random_weights: use the initialisation of a timm model instead of its published weights.
    size: input pixels of a model that is not a run, if not its own default.
    layer: see `at_layer`; by default the output of the model.

    Torch's global generators are not changed. Raises ValueError or FileNotFoundError, saying what was looked for, and
    ValueError for an option that does not apply to the model.
    """
    file, own = split_file(with_source(model))
    if own is not None and arch not in (None, own):
        raise ValueError(f"arch is {arch}, but {model} says {own}; leave --arch out")
    loaded = _load(file, own or arch, random_weights, size)
    return loaded if layer is None else at_layer(loaded, layer)


def _load(text: str, arch: str | None, random_weights: bool, size: int | None) -> FrozenModel:
    path = Path(text)
    given = {"--arch": arch is not None, "--random-weights": random_weights, "--size": size is not None}
    if size is not None and size < 1:
        raise ValueError(f"size is {size}, but an input has at least 1 pixel")
    with generators_kept():
        if text.startswith(TIMM):
            _refuse(text, "a timm model, whose name is its architecture", given, "--arch")
            name = text.removeprefix("timm:")
            shared = None if random_weights else _shared(text, name, size)
            return shared or _foreign(text, name, pretrained=not random_weights, size=size)
        if is_baseline(text):
            _refuse(text, "a baseline, which has no weights", given, "--arch", "--random-weights")
            side = SIZE if size is None else size
            encoder = baseline(text.removeprefix(BASELINE), side)
            return FrozenModel(
                *(text, text, encoder, side, reading_size(side)),  # type: ignore[arg-type]
                has_random_control=False,
            )
        if path.is_dir():
            _refuse(text, "a run directory, which says itself what it is", given, *given)
            return _of_run(path)
        if not path.is_file():
            raise no_model(text)
        _refuse(text, "a weights file", given, "--random-weights")
        if arch is None:
            return _exported(text, size)
        foreign = _foreign(text, arch, pretrained=False, size=size)
        load_weights(foreign.encoder.model, path)
        return foreign


def _refuse(model: str, what: str, given: Mapping[str, bool], *options: str) -> None:
    """Raise ValueError where one of the options is given."""
    for option in options:
        if given[option]:
            raise ValueError(f"{option} does not apply to {model}: it is {what}; leave it out")


def _of_run(path: Path) -> FrozenModel:
    try:
        config, learner = load_run(path)
    except SafetensorError as error:
        raise ValueError(f"the weights of {path} cannot be read: a safetensors file is damaged ({error})") from error
    except RuntimeError as error:
        raise ValueError(f"the weights of {path} do not fit its config.yaml: {one_line(error)}") from error
    return of_run(path, config, learner)


def of_run(path: Path, config: PretrainConfig, learner: Learner) -> FrozenModel:
    """Return the encoder under evaluation of a run, of what `load_run` read of it."""
    in_method = config.coherence is not None and config.coherence.split == "head"
    head = MethodHead(learner.method) if in_method else learner.head
    views = config.views
    # a predictor that receives the parameters of another path cannot predict poses
    predictor = OwnPredictor(learner) if views.path == POSES and has_predictor(learner.method) else None
    return FrozenModel(
        str(path), config.name, learner.encoder, views.size, views.source, head, config, learner.pool, predictor
    )


def _shared(text: str, name: str, size: int | None) -> FrozenModel | None:
    """Load a model of timm with the heads beside it; None if it has none, or, as a line says, for images of another
    size."""
    folder = folder_of(name)
    if folder is None or not has_heads(folder):
        return None
    config, learner = load_shared(folder)
    own = config.views.size
    if size not in (None, own):
        say(f"{text}: its heads were trained at {own} px, so at --size {size} they are left out")
        return None
    return dataclasses.replace(of_run(folder, config, learner), name=text, group=text, predictor=None)


def _exported(path: str, size: int | None) -> FrozenModel:
    """Load what `equicoherence export --to torch` wrote, at its own size if None; ValueError for another file."""
    held = read_exported(path, size, "say with --arch which model it is for")
    source = reading_size(held.size) if size else held.source
    _check_size(held.encoder, held.size)
    return FrozenModel(path, path, held.encoder.eval(), held.size, source, pool=held.pool)


def _foreign(name: str, arch: str, *, pretrained: bool, size: int | None) -> FrozenModel:
    torch.manual_seed(0)  # of a bare initialisation
    folder = folder_of(arch)
    encoder = foreign_encoder(arch, size, pretrained=pretrained, otherwise=BARE)
    side = size if size is not None else int(encoder.model.pretrained_cfg["input_size"][1])  # type: ignore[index]
    _check_size(encoder, side)
    source = saved_source(folder) if folder is not None and size is None else None
    if encoder.pool == "head":
        say(f"{name}: {POOLS['head']} stands for an image ({encoder.pooled_width} channels), as it does in timm")
    return FrozenModel(name, name, encoder.eval(), side, source or reading_size(side), None, None, encoder.pool)


def _check_size(encoder: Encoder, size: int) -> None:
    try:
        encoder.check_size(size)
    except ValueError as error:
        raise ValueError(f"size is {size}, but {error}") from error

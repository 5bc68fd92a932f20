"""The encoder under evaluation: a run of ours, a timm model or a weights file, behind one contract."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from equicoherence.methods import Method
from equicoherence.models import Encoder, Features
from equicoherence.models.encoder import Pool
from equicoherence.training.config import PretrainConfig
from equicoherence.training.learner import build_learner
from equicoherence.training.run import load_run


@dataclass(frozen=True)
class FrozenModel:
    """name: what the user called it. size: pixels of its input. source: pixels its images are read at.

    head: gives z_inv and z_equi of a run's features, as `SplitHead` does; None for foreign encoders. config: of a run.
    pool: what stands for an image at the backbone.
    """

    name: str
    group: str
    encoder: Encoder
    size: int
    source: int
    head: nn.Module | None = None
    config: PretrainConfig | None = None
    pool: Pool = "mean"

    def to(self, device: torch.device) -> FrozenModel:
        """Move the weights to a device."""
        self.encoder.to(device)
        if self.head is not None:
            self.head.to(device)
        return self

    def represent(self, images: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return each representation of images (B, 3, S, S), pooled (B, C) and as patch tokens (B, N, C).

        ``backbone``; of a run also ``z_inv``, ``z_equi`` and, pooled, ``z``, the two side by side; of a plain run
        ``z`` alone. Where the method reads the encoder's own features there is neither z_inv nor ``z``.
        """
        features = self.encoder(images)
        tokens = {"backbone": features.patches}
        if self.head is not None:
            z_inv, z_equi = self.head(features)
            named = {"z" if z_equi is None else "z_inv": z_inv, "z_equi": z_equi}
            tokens |= {name: part for name, part in named.items() if part is not None}
        pooled = {name: part.mean(dim=1) for name, part in tokens.items()}
        if "z_inv" in pooled:
            pooled["z"] = torch.cat([pooled["z_inv"], pooled["z_equi"]], dim=-1)
        if self.pool == "cls":
            pooled["backbone"] = features.pooled("cls")
        return pooled, tokens


class MethodHead(nn.Module):
    """The split of a run whose z_equi comes from the method's own head."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, features: Features) -> tuple[None, Tensor]:
        """Return None for z_inv, and z_equi (B, N, d_equi)."""
        return None, self.method.equivariant(features.patches)


def load_model(
    model: str | Path, *, arch: str | None = None, random_weights: bool = False, size: int | None = None
) -> FrozenModel:
    """Load MODEL: a run directory, ``timm:NAME``, or a weights file together with ``arch``.

    random_weights: keep a timm model's initialisation instead of its published weights. size: input pixels of a foreign
    model, where its own default is not wanted. Raises ValueError or FileNotFoundError, saying what was looked for.
    """
    text = str(model)
    if text.startswith("timm:"):
        return _foreign(text, text[5:], pretrained=not random_weights, size=size)
    path = Path(model)
    if path.is_dir():
        config, learner = load_run(path)
        in_method = config.coherence is not None and config.coherence.split == "head"
        head = MethodHead(learner.method) if in_method else learner.head
        size, source, encoder = config.views.size, config.views.source, learner.encoder
        return FrozenModel(text, config.name, encoder, size, source, head, config, learner.pool)
    if not path.is_file():
        raise FileNotFoundError(
            f"model {text!r} is neither a run directory, nor timm:NAME, nor a weights file (give one with --arch NAME)"
        )
    if arch is None:
        raise ValueError(f"{text} is a weights file: say with --arch which timm model it is for")
    foreign = _foreign(text, arch, pretrained=False, size=size)
    load_weights(foreign.encoder.model, path)
    return foreign


def random_control(model: FrozenModel, seed: int = 0) -> FrozenModel:
    """Return the same architecture with fresh random weights: the floor of every score."""
    torch.manual_seed(seed + 1)  # not the weights of a bare model under evaluation itself
    encoder: nn.Module
    if model.config is not None:
        encoder = build_learner(model.config, pretrained=False).encoder
    else:
        encoder = Encoder(model.encoder.name, model.encoder.args)
    assert isinstance(encoder, Encoder)
    return FrozenModel(
        model.name, model.group, encoder.eval(), model.size, model.source, None, model.config, model.pool
    )


def load_weights(module: nn.Module, path: Path) -> None:
    """Load a state dict (safetensors, or a torch file read with ``weights_only``), whatever prefix its names share.

    Raises ValueError listing what does not match; nothing is left out silently.
    """
    weights: dict[str, Any]
    if path.suffix == ".safetensors":
        weights = load_file(path)
    else:
        try:
            weights = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise ValueError(f"{path} cannot be read as weights: {error}") from error
    if not isinstance(weights, dict):
        raise ValueError(f"{path} holds a {type(weights).__name__}, not a state dict")
    for key in ("state_dict", "model", "learner", "teacher"):
        if isinstance(weights.get(key), dict):
            weights = weights[key]
    wanted = module.state_dict()
    prefixes = ["", "module.", "model.", "encoder.", "backbone.", "encoder.model.", "module.encoder.model."]
    best = max(prefixes, key=lambda p: sum(p + name in weights for name in wanted))
    named = {k[len(best) :]: v for k, v in weights.items() if k.startswith(best)}
    missing = [k for k in wanted if k not in named]
    wrong = [
        f"{k} {tuple(named[k].shape)} for {tuple(v.shape)}"
        for k, v in wanted.items()
        if k in named and named[k].shape != v.shape
    ]
    if missing or wrong:
        raise ValueError(
            f"{path} does not fit: {len(missing)} of {len(wanted)} tensors missing ({', '.join(missing[:5])}), "
            f"{len(wrong)} of another shape ({'; '.join(wrong[:5])}); check --arch"
        )
    module.load_state_dict({k: named[k] for k in wanted})


def _foreign(name: str, arch: str, *, pretrained: bool, size: int | None) -> FrozenModel:
    args = {"img_size": size} if size is not None and arch.startswith(("vit", "swin", "deit", "eva", "beit")) else {}
    torch.manual_seed(0)  # of a bare initialisation
    try:
        encoder = Encoder(arch, args, pretrained=pretrained)
    except (OSError, RuntimeError, ConnectionError) as error:
        raise RuntimeError(
            f"the published weights of {arch} cannot be had ({type(error).__name__}: {str(error)[:200]}); "
            "give a weights file with --arch, or --random-weights to evaluate the bare initialisation"
        ) from error
    side = size or int(encoder.model.pretrained_cfg["input_size"][1])  # type: ignore[index]
    return FrozenModel(name, name, encoder.eval(), side, round(side / 0.875), None, None, encoder.pool)

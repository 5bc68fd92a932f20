"""Short hashes that identify encoders and configurations."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.tensor_files import digest_of
from equicoherence.training.config import PretrainConfig
from equicoherence.training.config_file import to_dict

DIGEST = 8  # letters of a short hash
# of a run: what its weights do not depend on, but for the seed, in which runs of one configuration differ
APART = ("name", "seed", "data", "threads", "cache", "log_every", "checkpoint_every", "track", "bad_image_tolerance")


def fingerprint(model: FrozenModel) -> str:
    """Return a hash of all weights, so that scores of a run trained further in the meantime are not taken up."""
    return digest_of(named for module in model.modules() for named in module.state_dict().items())


def floor_kind(model: FrozenModel) -> tuple[str, str, int, int]:
    """Return what the scores of random weights beside a model depend on: architecture, build, input size and seed."""
    return model.encoder.architecture, build_digest(model), model.size, model.config.seed if model.config else 0


def build_digest(model: FrozenModel) -> str:
    """Return a short hash of what a model's features depend on besides its architecture's name and its weights."""
    encoder = model.encoder
    tapped = [*encoder.layers] or None
    normalisation = [buffer.flatten().tolist() for buffer in (encoder.mean, encoder.std)]
    return short_digest([encoder.args, tapped, encoder.ends_at, normalisation, model.pool, model.source])


def config_digest(config: PretrainConfig | None) -> str | None:
    """Return a short hash of a run's configuration that is the same for its seeds, None for a model that is no run.

    Of the images it was trained on it holds the last name alone, so that a moved folder is the same.
    """
    if config is None:
        return None
    own = {name: value for name, value in to_dict(config).items() if name not in APART}
    own["encoder"].pop("weights")  # of what a run starts from, the fingerprint counts, and not the place
    return short_digest({**own, "data": Path(config.data).name})


def short_digest(value: Any) -> str:
    """Return a short hash of a value that JSON can say."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:DIGEST]

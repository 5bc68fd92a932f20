"""``rotated.json``: what the rotation slider shows of one encoder, kept beside its scores.

A page that compares encoders reads it from their folders, and needs neither weights nor images.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from equicoherence.data import ImageSource
from equicoherence.devices import Device, chosen_device
from equicoherence.evaluation.fingerprint import build_digest, fingerprint, short_digest
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.jobs import Job
from equicoherence.evaluation.store import as_read
from equicoherence.files import Damaged
from equicoherence.json_file import read_json, write_json
from equicoherence.notice import say, say_if_slow
from equicoherence.reporting.explorer.study import NEAREST
from equicoherence.reporting.explorer.tried import tried
from equicoherence.reporting.explorer.turned import ANGLES, BANK, QUERIES, SHARE, turned
from equicoherence.reporting.explorer.turned_section import TOKENS, gallery
from equicoherence.training.config import PretrainConfig

FILE = "rotated.json"
SCHEMA = 1
ADVICE = "remove it, and evaluate the encoder again"
PARTS = ("title", "size", "angles", "shown", "classes", "bank", "side", "columns", "bankClasses", "runs")
SETTINGS = (SCHEMA, ANGLES, BANK, QUERIES, SHARE, NEAREST, TOKENS)


def keep_rotated(model: FrozenModel, job: Job, folder: Path, tolerance: float | None, device: Device) -> None:
    """Write the file of an encoder into the folder of its scores, unless it is there already.

    job: a task on images; the held-out ones are rotated.
    tolerance: largest share of them that cannot be decoded; by default that of the run, else that of pretraining.
    device: computes the features.

    What cannot be made is left out; one line says why.
    """
    about = short_digest([job.about, fingerprint(model), build_digest(model), model.size, SETTINGS])
    if _is_kept(folder, about):
        return
    if tolerance is None:
        tolerance = (model.config or PretrainConfig()).bad_image_tolerance
    with say_if_slow(f"rotating images for the page, {model.name}"):
        made, reason = tried(lambda: _made(model, job, tolerance, device))
    if made is None:
        say(f"{model.name}: rotated images cannot be shown: {reason}")
        (folder / FILE).unlink(missing_ok=True)
    else:
        write_json(folder / FILE, {"schema": SCHEMA, "about": about, **made}, indent=None)


def read_rotated(folder: Path) -> dict[str, Any]:
    """Return the content of the file in a folder, {} where there is none; `Damaged`, naming it, for another."""
    path = folder / FILE
    if not path.exists():
        return {}
    found = read_json(path, ADVICE)
    if found.get("schema") != SCHEMA:
        raise Damaged(path, f"it is of schema {found.get('schema')!r}, not {SCHEMA}", ADVICE)
    if missing := [part for part in ("about", "images", *PARTS) if part not in found]:
        raise Damaged(path, f"it has no {', '.join(missing)}", ADVICE)
    return found


def _is_kept(folder: Path, about: str) -> bool:
    try:
        return read_rotated(folder).get("about") == about
    except Damaged as error:
        say(f"{error.path} is written again: {error.reason}")
        return False


def _made(model: FrozenModel, job: Job, tolerance: float, device: Device) -> dict[str, Any]:
    assert isinstance(job.test, ImageSource)
    study = turned({"": model.to(chosen_device(device))}, job.test, job.data, tolerance)
    return as_read({"images": short_digest([job.about["splits"]["val"], study.places]), **gallery(study)})

"""`equicoherence export RUN --push OWNER/NAME`: a run's encoder on the Hugging Face Hub, as a model of timm."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import torch

from equicoherence.errors import refusing
from equicoherence.evaluation.model import load_model
from equicoherence.exporting import export
from equicoherence.model_card import model_card
from equicoherence.models.hub_errors import explained
from equicoherence.models.on_hub import hub_folder
from equicoherence.models.prefixes import HUB, LOCAL
from equicoherence.models.shared_files import ABOUT, CARD, HEADS
from equicoherence.training.run import run_config

NAME = re.compile(r"[\w.-]+/[\w.-]+")
UNTOUCHED = frozenset({".gitattributes"})  # which the Hub puts into every new repository


def push(
    run: str | Path,
    name: str,
    *,
    teacher: bool = False,
    license: str | None = None,
    private: bool = False,
    overwrite: bool = False,
) -> str:
    """Upload the encoder of a run to the Hub, and return its name as a MODEL, ``hf-hub:OWNER/NAME``.

    The content is that of `export` to timm, after the same checks, and a card (`model_card`), in one commit:
    ``model.safetensors``, ``config.json``, for a run with z_inv, z_equi or z also ``heads.safetensors`` and
    ``equicoherence.json``, and ``README.md``. No pickle, no code, and no path of this machine is uploaded.
    ``HF_ENDPOINT`` and ``HF_TOKEN``, or `hf auth login`, set the address of the Hub and the user.

    run: a run directory.
    name: OWNER/NAME of the repository, which is created if it does not exist.
    teacher: see `export`.
    license: by its name on the Hub, such as apache-2.0; without it the card names none.
    private: make the repository private; an existing one must be private already.
    overwrite: replace these files if the repository has files, and remove heads that are there of another encoder.

    Raises FileExistsError if the repository has files; ValueError for another name, for ``private`` with a public
    repository, and as `export` does; FileNotFoundError, PermissionError or ConnectionError, with one sentence, for
    errors of the Hub.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    with refusing():
        if not NAME.fullmatch(name):
            raise ValueError(f"--push takes OWNER/NAME, got {name!r}")
        config = run_config(Path(run))  # a run that is not there is said before the Hub is asked
        model = f"{HUB[0]}{name}"
        api = HfApi(library_name="equicoherence")
        with explained(model):
            there = api.repo_exists(name)
            if there and private and not api.repo_info(name).private:
                raise ValueError(
                    f"--private: {name} is a public repository, and its visibility is left as it is; make it private "
                    "on the Hub, give another name, or leave --private out"
                )
            files = api.list_repo_files(name) if there else []
            _refuse_taken(files, name, overwrite)
    with tempfile.TemporaryDirectory() as folder:
        place = export(run, "timm", Path(folder) / "encoder", teacher=teacher)
        card = model_card(Path(run), config, model, **measured(place), teacher=teacher, license=license)
        (place / CARD).write_text(card, encoding="utf-8")
        added = [CommitOperationAdd(path.name, path) for path in sorted(place.iterdir())]
        old = [CommitOperationDelete(file) for file in (ABOUT, HEADS) if file in files and not (place / file).is_file()]
        with explained(model):
            if not there:
                api.create_repo(name, private=private)
            api.create_commit(name, [*added, *old], commit_message=f"Add the encoder of {config.name}")
    hub_folder.cache_clear()  # which may know what was there before
    return model


@torch.no_grad()
def measured(folder: Path) -> dict[str, Any]:
    """Return the number of the encoder's parameters, and the channels of each representation, of an exported folder."""
    model = load_model(f"{LOCAL}{folder}")
    pooled, _ = model.represent(torch.zeros(1, model.encoder.channels, model.size, model.size))
    parameters = sum(parameter.numel() for parameter in model.encoder.model.parameters())
    return {"parameters": parameters, "widths": {name: part.shape[1] for name, part in pooled.items()}}


def _refuse_taken(files: list[str], name: str, overwrite: bool) -> None:
    others = sorted({*files} - UNTOUCHED)
    if others and not overwrite:
        raise FileExistsError(
            f"{name} is taken: on the Hub it holds {len(others)} files, such as {others[0]}; give another name, or "
            "--overwrite"
        )

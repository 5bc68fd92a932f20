"""`equicoherence export RUN --push OWNER/NAME`: a run's encoder on the Hugging Face Hub, as a model of timm."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from equicoherence.errors import refusing
from equicoherence.exporting import export
from equicoherence.model_card import model_card
from equicoherence.models import Encoder
from equicoherence.models.hub_errors import explained
from equicoherence.models.on_hub import PREFIXES, hub_folder
from equicoherence.training.run import run_config

NAME = re.compile(r"[\w.-]+/[\w.-]+")
CARD = "README.md"
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
    """Put the encoder of a run on the Hub, and return what it is called as MODEL, ``hf-hub:OWNER/NAME``.

    What goes there is what `export` writes to timm, after the same check, with a card (`model_card`), in one commit:
    ``model.safetensors``, ``config.json``, ``README.md``. No pickle, no code, and no path of this machine goes there.
    Where the Hub is and who asks say ``HF_ENDPOINT`` and ``HF_TOKEN``, or what `hf auth login` wrote.

    run: a run directory.
    name: OWNER/NAME of the repository, which is made where it is not there.
    teacher: as `export` takes it.
    license: as the Hub calls it, such as apache-2.0; the card names none where None.
    private: make the repository a private one; one that is there must be private already.
    overwrite: replace the three files where the repository has files.

    Raises FileExistsError where the repository has files; ValueError for another name, for ``private`` where the
    repository is a public one, and as `export` does;
    FileNotFoundError, PermissionError or ConnectionError, in one sentence, for what the Hub says.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    with refusing():
        if not NAME.fullmatch(name):
            raise ValueError(f"--push takes OWNER/NAME, got {name!r}")
        config = run_config(Path(run))  # a run that is not there is said before the Hub is asked
        model = f"{PREFIXES[0]}{name}"
        api = HfApi(library_name="equicoherence")
        with explained(model):
            there = api.repo_exists(name)
            if there and private and not api.repo_info(name).private:
                raise ValueError(
                    f"--private: {name} is a public repository, and its visibility is left as it is; make it private "
                    "on the Hub, give another name, or leave --private out"
                )
            _refuse_taken(api.list_repo_files(name) if there else [], name, overwrite)
    with tempfile.TemporaryDirectory() as folder:
        place = export(run, "timm", Path(folder) / "encoder", teacher=teacher)
        parameters = sum(p.numel() for p in Encoder.from_pretrained(place).model.parameters())
        card = model_card(Path(run), config, name, parameters=parameters, teacher=teacher, license=license)
        (place / CARD).write_text(card, encoding="utf-8")
        added = [CommitOperationAdd(path.name, path) for path in sorted(place.iterdir())]
        with explained(model):
            if not there:
                api.create_repo(name, private=private)
            api.create_commit(name, added, commit_message=f"Add the encoder of {config.name}")
    hub_folder.cache_clear()  # which may know what was there before
    return model


def _refuse_taken(files: list[str], name: str, overwrite: bool) -> None:
    others = sorted({*files} - UNTOUCHED)
    if others and not overwrite:
        raise FileExistsError(
            f"{name} is taken: on the Hub it holds {len(others)} files, such as {others[0]}; give another name, or "
            "--overwrite"
        )

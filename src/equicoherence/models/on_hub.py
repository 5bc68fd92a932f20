"""Encoders on the Hugging Face Hub: files of a repository, which hold values alone, in the Hub's cache."""

from __future__ import annotations

import functools
from pathlib import Path

from equicoherence.models.hub import hub_or_cache
from equicoherence.models.hub_errors import explained
from equicoherence.models.prefixes import HUB
from equicoherence.models.shared_files import ABOUT, CONFIG, HEADS, WEIGHTS, has_heads


def is_on_hub(name: str) -> bool:
    """Return whether a name is one of the Hub's, ``hf-hub:OWNER/NAME``."""
    return name.startswith(HUB)


@functools.cache
def hub_folder(name: str) -> Path:
    """Return the folder of the Hub's cache that holds ``config.json`` and ``model.safetensors`` of a repository, and
    ``equicoherence.json`` and ``heads.safetensors`` if it has heads.

    What is not there is fetched, all files of one commit; nothing else of the repository is read, so that no code of
    it can run. A second call of a process returns the same folder and asks nobody. Where the Hub is, and where the
    cache and the token are, say ``HF_ENDPOINT``, ``HF_HOME`` and ``HF_TOKEN``.

    name: ``hf-hub:OWNER/NAME``, or ``hf-hub:OWNER/NAME@REVISION``.

    Raises FileNotFoundError for a repository, a revision or a file that is not there, or not for whoever asks;
    ValueError for a name that none can have; ConnectionError where the Hub cannot be reached.
    """
    from huggingface_hub import hf_hub_download

    repository, _, revision = name.split(":", 1)[1].partition("@")
    with explained(name), hub_or_cache():
        config = Path(hf_hub_download(repository, CONFIG, revision=revision or None))
        folder = config.parent
        hf_hub_download(repository, WEIGHTS, revision=folder.name)
    if has_heads(folder):
        lacks = f"its config.json says that it has heads, but the repository lacks {ABOUT} or {HEADS}; ask its owner"
        with explained(name, lacks), hub_or_cache():
            for file in (ABOUT, HEADS):
                hf_hub_download(repository, file, revision=folder.name)
    return folder

"""Published weights that cannot be had: found out before torch and timm are loaded, which takes seconds."""

from __future__ import annotations

import os
import re
from pathlib import Path

from equicoherence.models.timm_names import source_of

GIVE_A_FILE = "give a weights file, FILE@ARCH"
BARE = "give a weights file with --arch, or --random-weights to evaluate the bare initialisation"
OTHER = re.compile(r"hf_hub_id\s*=\s*['\"]([^'\"]+/[^'\"]+)['\"]")  # repositories that are not named as the model is
ENTRY = re.compile(r"^ *['\"]\w+\.\w+['\"] *:|^ *\}\)", re.MULTILINE)  # of published weights begins, or all of them end
ADDRESS = re.compile(r"\burl['\"]? *[=:] *['\"]\w")


def cannot_be_had(name: str, reason: str, otherwise: str) -> RuntimeError:
    """Return the error that quotes the name of a model. otherwise: what to do."""
    return RuntimeError(f"the published weights of {name} cannot be had ({reason}); {otherwise}")


def not_reached() -> str:
    """Return the reason where the cache lacks weights and the Hub does not answer."""
    from huggingface_hub import constants

    return f"they are not in the cache, and {constants.ENDPOINT} does not answer"


def check_published(model: str, otherwise: str) -> None:
    """Raise RuntimeError for ``timm:NAME`` if no weights of that model are in the cache and the Hub does not answer.

    Others pass: what there is is found out when they are loaded. otherwise: what to do, for the error.
    """
    prefix, _, name = model.partition(":")
    if prefix != "timm" or ":" in name or _may_be_cached(name):
        return
    from huggingface_hub import constants

    from equicoherence.models.hub import hub_answers

    if constants.HF_HUB_OFFLINE or not hub_answers():
        raise cannot_be_had(name, not_reached(), otherwise)


def _may_be_cached(name: str) -> bool:
    """Return whether a cache may hold weights of a timm model, or the Hub has none that are published of it."""
    arch, _, tag = name.partition(".")
    text = source_of(arch)
    if _elsewhere(text, arch, tag):
        return True
    if not re.search(rf"^\s*['\"]{arch}\.(?!untrained)\w+['\"]\s*:", text, re.MULTILINE):  # an old name, or no weights
        return True
    from huggingface_hub import constants

    places = (f"models--timm--{arch}.", *(f"models--{place.replace('/', '--')}" for place in OTHER.findall(text)))
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    of_torch = Path(os.environ.get("TORCH_HOME") or Path(home, "torch"), "hub", "checkpoints").expanduser()
    cached = [path.name for path in _inside(Path(constants.HF_HUB_CACHE))]
    return any(path.startswith(places) for path in cached) or any(True for _ in _inside(of_torch))


def _elsewhere(text: str, arch: str, tag: str) -> bool:
    """Return whether weights of an architecture have an address in timm's source that is not on the Hub.

    tag: of the weights; empty for any.
    """
    tags = re.escape(tag) or r"\w+"
    for begun in re.finditer(rf"^ *['\"]{arch}\.{tags}['\"] *:", text, re.MULTILINE):
        end = ENTRY.search(text, begun.end())
        entry = re.sub("#.*", "", text[begun.end() : end.start() if end else len(text)])  # without comments
        if ADDRESS.search(entry) and "hf_hub_id" not in entry:
            return True
    return False


def _inside(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []

"""The names of timm's models, read from its source: importing it takes seconds, so that a wrong name is told soon."""

from __future__ import annotations

import difflib
import functools
import importlib.util
import re
from pathlib import Path

REGISTERED = re.compile(r"^@register_model\s+def (\w+)\(", re.MULTILINE)
RENAMED = re.compile(r"^register_model_deprecations\(__name__, \{(.*?)\}\)", re.MULTILINE | re.DOTALL)
OLD = re.compile(r"^\s*['\"]([\w.]+)['\"]\s*:", re.MULTILINE)
CLOSE = 0.75  # of a name and a text that need not be meant as one
MODELS = "timm.list_models() names those there are"


def timm_names() -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of timm's models, and the old names that it still takes."""
    files, old = _registered()
    return frozenset(files), old


def source_of(architecture: str) -> str:
    """Return the text of timm's module that registers a model; "" for none."""
    file = _registered()[0].get(architecture)
    return file.read_text(encoding="utf-8") if file else ""


@functools.cache
def _registered() -> tuple[dict[str, Path], frozenset[str]]:
    """Return the file that registers each of timm's models, and the old names. All of its source is read, once."""
    spec = importlib.util.find_spec("timm")
    files, old = dict[str, Path](), set[str]()
    for file in sorted(Path(spec.origin).with_name("models").rglob("*.py")) if spec and spec.origin else []:
        text = file.read_text(encoding="utf-8")
        for name in REGISTERED.findall(text):
            files.setdefault(name, file)
        old.update(name for renamed in RENAMED.findall(text) for name in OLD.findall(renamed))
    return files, frozenset(old)


def is_timm_name(name: str) -> bool:
    """Return whether timm has a model of a name, such as ``resnet50`` or, with a tag, ``resnet50.a1_in1k``."""
    names, old = timm_names()
    return name in old or name.partition(".")[0] in names | old


def near_timm_name(text: str) -> str:
    """Return the name of timm's that is nearest to a misspelt one, without its tag; "" where none is close."""
    near = difflib.get_close_matches(text.lower().partition(".")[0], sorted(timm_names()[0]), n=1, cutoff=CLOSE)
    return near[0] if near else ""


def check_timm_name(model: str) -> None:
    """Raise ValueError for a MODEL ``timm:NAME`` that timm does not have; others pass, ``timm:hf-hub:...`` too."""
    prefix, _, name = model.partition(":")
    if prefix == "timm" and ":" not in name and not is_timm_name(name):
        raise unknown_model(name)


def unknown_model(name: str) -> ValueError:
    """Return the error that quotes the name of a model that timm does not have, with those that are near it."""
    known = sorted(timm_names()[0])
    begun = [each for each in known if each.startswith(name)]
    near = list(dict.fromkeys([*begun[:4], *difflib.get_close_matches(name, known, n=4)]))
    return ValueError(f"timm has no model {name!r}; " + (f"near it: {', '.join(near)}" if near else MODELS))

"""The notice about the images that a command reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from equicoherence.data.locate import data_identity
from equicoherence.data.source import ImageSource
from equicoherence.notice import say

SHOWN = 3  # classes that are named
_SAID: ContextVar[set[str] | None] = ContextVar("_SAID", default=None)


@contextmanager
def described_once(*data: str) -> Iterator[None]:
    """Have `say_images` describe each data set once while what is inside runs. data: those that were described."""
    token = _SAID.set({data_identity(each) for each in data})
    try:
        yield
    finally:
        _SAID.reset(token)


def say_images(data: str | Path, source: ImageSource, held_out: ImageSource | None = None) -> None:
    """Print `describe_images` of the images at ``data``."""
    said = _SAID.get()
    if said is not None:
        if data_identity(data) in said:
            return
        said.add(data_identity(data))
    say(describe_images(source, held_out))


def describe_images(source: ImageSource, held_out: ImageSource | None = None) -> str:
    """Return one line about the images: how many, of which classes, and what is held out.

    A second line, if needed, says which files were ignored and how an unusual layout was read.

    Args:
        source: From `open_images`.
        held_out: The other side, where it is open too: its images are counted.
    """
    origin, sides = source.origin, [source, *([held_out] if held_out else [])]
    count = origin.count if held_out is None else len(held_out)
    where = origin.held_out or "none"
    if origin.side == "val":
        where = f"these ({where})"
    elif count is not None:
        where = f"{count} images ({where})"
    remarks = [remark for each in sides for remark in each.origin.remarks]
    remarks += [f"not read: {each.passed_over.words()}" for each in sides if each.passed_over]
    of_what = f" of {source.format.words}" if source.format.words else ""
    line = f"{len(source)} images{of_what}, {_classes(source)}, held out: {where}"
    return "\n".join([line, "; ".join(dict.fromkeys(remarks))] if remarks else [line])


def left_to_train(source: ImageSource) -> str:
    """Return, as the rest of a sentence about data, how many images there are to train on and how many are held out.

    source: of the side for training.
    """
    left, held_out = len(source), source.origin.count
    if held_out is None:
        return f"gives {left} image{'s' * (left != 1)} to train on"
    whole = left + held_out
    return (
        f"holds {whole} image{'s' * (whole != 1)}: {held_out} held out ({source.origin.held_out}), {left} left to "
        "train on"
    )


def _classes(source: ImageSource) -> str:
    count = len(source.classes)
    if not count:
        return "no classes"
    names = ", ".join([*source.classes[:SHOWN], *(["..."] if count > SHOWN else [])])
    unlabelled = int((source.labels < 0).sum())
    return f"{count} classes ({names})" + (f", {unlabelled} without a label" if unlabelled else "")

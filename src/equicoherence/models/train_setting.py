"""The setting ``encoder.train``: its words and numbers, read without an encoder."""

from __future__ import annotations

from typing import Literal

BatchNorm = Literal["train", "frozen"]
HEAD = "head"
NUMBERED = ("last", "lora", "lora-all")


def read_train(text: str) -> tuple[str, int]:
    """Parse the argument of `train_parts`: its word, and its number (0 if none). Raises ValueError for other text."""
    word, _, number = text.partition(":")
    if text in ("all", HEAD):
        return word, 0
    if word in NUMBERED and number.isascii() and number.isdecimal() and int(number):
        return word, int(number)
    raise ValueError(
        f"encoder.train is {text!r}: give all, head, last:N (its last N layers), lora:RANK or lora-all:RANK, with a "
        "number from 1"
    )

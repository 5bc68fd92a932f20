"""Arms of an experiment that a command asks for by name."""

from __future__ import annotations

import argparse
from collections.abc import Collection


def check_arms(parser: argparse.ArgumentParser, given: argparse.Namespace, names: Collection[str]) -> None:
    """End the command where --only names no arm of ``names``, or --seeds are given without --only."""
    if strange := set(given.only or ()) - set(names):
        parser.error(f"--only {', '.join(sorted(strange))}: there is no such arm; there are {', '.join(names)}")
    if getattr(given, "seeds", None) and not given.only:
        parser.error("--seeds are those of the arms of --only: give --only, too")

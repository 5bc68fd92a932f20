"""Threads that wait without spinning, for shared machines; imports nothing, so it can be imported first."""

from __future__ import annotations

import os

CHOICES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")  # by which a user says how OpenMP's threads wait


def quiet_threads() -> None:
    """Let torch's OpenMP threads sleep while they wait for each other; settings of the environment are kept.

    OpenMP reads this when torch is imported, so it must be called before; later it has no effect. Threads that spin,
    the default, take the cores from every other program, and from the very threads they wait for.
    """
    if not any(name in os.environ for name in CHOICES):
        os.environ["OMP_WAIT_POLICY"] = "passive"

"""What the name of a model begins with that is no path."""

from __future__ import annotations

LOCAL = "local-dir:"
HUB = ("hf-hub:", "hf_hub:")
SOURCES = (LOCAL, *HUB)  # say where a model lies
TIMM = ("timm:", *SOURCES)  # of timm's models
BASELINE = "baseline:"


def is_baseline(name: str) -> bool:
    """Return whether a model, or an architecture, is a baseline, which has no weights."""
    return name.startswith(BASELINE)

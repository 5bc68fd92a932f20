"""An encoder that exists gains the task, and a table says what it gained and what it kept.

Each name is loaded when it is first used: what `adapt` is asked for can be checked without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from equicoherence.when_used import when_used

if TYPE_CHECKING:
    from equicoherence.adapting.adaptation import Adapted, adapt

__getattr__, __dir__ = when_used(__name__, {"adapting.adaptation": ("Adapted", "adapt")})

__all__ = ["Adapted", "adapt"]

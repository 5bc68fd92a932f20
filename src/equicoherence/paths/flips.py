"""Which views of an image are mirrored: with one shared flip, with separate flips, or none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from torch import Tensor

from equicoherence.paths.transformation import Transformation

Flip = Literal["shared", "independent", "none"]


def check_flip(flip: str, views: Sequence[Transformation]) -> None:
    """Raise ValueError for an unknown `Flip`, and if views cannot share a flip because their probabilities differ."""
    if flip not in get_args(Flip):
        raise ValueError(f"flip {flip!r} is unknown; choose one of {', '.join(get_args(Flip))}")
    told = [[probability for _, probability in view.flips] for view in views]
    if flip == "shared" and any(each != told[0] or len(each) > 1 for each in told):
        words = "; ".join(", ".join(f"{probability:g}" for probability in each) or "never" for each in told)
        raise ValueError(
            f"flip is shared, so all views need the same flip probability, but they have {words}; give them one, or "
            "flip='independent'"
        )


def joint_flips(flip: Flip, views: Sequence[tuple[Transformation, Tensor]]) -> None:
    """Change the flips in parameters ``theta`` (n * B, P) of views of the same B images, in place.

    shared: all are those of the first view. none: there are none. independent: all stay as drawn. Random numbers are
    drawn for each view in any case, so everything else in the views is the same.
    """
    if flip == "independent":
        return
    shared: Tensor | None = None
    for view, theta in views:
        for column, _ in view.flips:
            if flip == "none":
                theta[:, column] = 0
            elif shared is None:
                shared = theta[:, column]
            else:
                theta[:, column] = shared.repeat(len(theta) // max(1, len(shared)))

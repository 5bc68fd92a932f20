"""The section with a slider for the angle: nearest images and patch tokens, one encoder below the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from equicoherence.reporting.explorer.explorer import embedded
from equicoherence.reporting.explorer.files import address, reduced, strip
from equicoherence.reporting.explorer.study import NEAREST, READS, Read, TurnedImages, thumbnails
from equicoherence.reporting.markup import Markup, element, note, section
from equicoherence.reporting.template import rendered

COLUMNS, SIDE = 20, 48
TOKENS = 24  # a side of the patch tokens that are shown; of more, neighbours are averaged
ADVICE = (
    "Rotate an image and see how the features of each encoder change. Nearest: the held-out images with the most "
    "similar features. A frame marks an image that is also among the nearest at 0°. A rotation-invariant feature has "
    "the same nearest images at every angle. Patches: the first three principal components of the patch tokens, as "
    "red, green and blue. Where colors stay the same and move with the image, the patch tokens are equivariant."
)


def turned_section(galleries: Sequence[Mapping[str, Any]], notes: Sequence[str] = ()) -> Markup:
    """Return the section; empty without images to rotate. galleries: of `gallery`. notes: on missing parts."""
    if not galleries and not notes:
        return Markup("")
    parts = [
        rendered(
            "turned.html",
            title=each["title"],
            angles=each["angles"],
            names=list(each["runs"]),
            reads=[read for read in READS if any(read in of for of in each["runs"].values())],
            nearest=NEAREST,
            data=embedded({**each, "runs": list(each["runs"].values())}),
        )
        for each in galleries
    ]
    advice = element("p", ADVICE) if galleries else ""
    return section("turn", "Under rotation", *map(note, notes), advice, *parts)


def gallery(study: TurnedImages) -> dict[str, Any]:
    """Return the data of the page's script: pictures as data URLs, and indices into the bank."""
    small = reduced(study.shown)
    return {
        "title": study.title,
        "size": small.shape[-2],
        "angles": list(study.angles),
        "shown": [strip(each) for each in small],
        "classes": list(study.classes),
        "bank": address(thumbnails(study.bank, SIDE, COLUMNS)),
        "side": min(SIDE, study.bank.shape[1]),
        "columns": COLUMNS,
        "bankClasses": list(study.bank_classes),
        "runs": {name: {read.name: _read(read) for read in reads} for name, reads in study.reads.items()},
    }


def _read(read: Read) -> dict[str, Any]:
    colors = None if read.colors is None else reduced(read.colors, TOKENS)
    return {
        "nearest": read.nearest.tolist(),
        "tokens": None if colors is None else colors.shape[3],
        "colors": None if colors is None else [strip(each, exact=True) for each in colors],
    }

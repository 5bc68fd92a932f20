"""The section with a slider for the angle: nearest images and patch tokens, one run below the other."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from equicoherence.reporting.explorer.explorer import embedded
from equicoherence.reporting.explorer.files import address, reduced, strip
from equicoherence.reporting.explorer.study import NEAREST, READS, TurnedImages, thumbnails
from equicoherence.reporting.markup import Markup, element, section
from equicoherence.reporting.template import rendered

COLUMNS, SIDE = 20, 48
ADVICE = (
    "Rotate an image and see how the features of each encoder change. Nearest: the held-out images with the most "
    "similar features. A frame marks an image that is also among the nearest at 0°. A rotation-invariant feature has "
    "the same nearest images at every angle. Patches: the first three principal components of the patch tokens, as "
    "red, green and blue. Where colors stay the same and move with the image, the patch tokens are equivariant."
)


def turned_section(studies: Sequence[TurnedImages]) -> Markup:
    """Return the section; empty without images to rotate."""
    if not studies:
        return Markup("")
    parts = [
        rendered(
            "turned.html",
            study=study,
            reads=[read for read in READS if any(read == r.name for of in study.reads.values() for r in of)],
            nearest=NEAREST,
            data=embedded(study_data(study)),
        )
        for study in studies
    ]
    return section("turn", "Under rotation", element("p", ADVICE), *parts)


def study_data(study: TurnedImages) -> dict[str, Any]:
    """Return the data of the page's script: pictures as data URLs, indices into the bank, colors as base64."""
    small = reduced(study.shown)
    return {
        "size": small.shape[-2],
        "angles": list(study.angles),
        "shown": [strip(each) for each in small],
        "classes": list(study.classes),
        "bank": address(thumbnails(study.bank, SIDE, COLUMNS)),
        "side": min(SIDE, study.bank.shape[1]),
        "columns": COLUMNS,
        "bankClasses": list(study.bank_classes),
        "runs": [
            {
                read.name: {
                    "nearest": read.nearest.tolist(),
                    "grid": None if read.colors is None else read.colors.shape[2:4],
                    "colors": None
                    if read.colors is None
                    else [base64.b64encode(each.tobytes()).decode("ascii") for each in read.colors],
                }
                for read in reads
            }
            for reads in study.reads.values()
        ],
    }

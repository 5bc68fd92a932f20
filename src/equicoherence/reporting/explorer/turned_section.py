"""The section with the slider of the angle: nearest images and patch tokens of all runs below each other."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from equicoherence.reporting.explorer.explorer import embedded
from equicoherence.reporting.explorer.files import address, reduced, strip
from equicoherence.reporting.explorer.study import NEAREST, READS, Turned, thumbnails
from equicoherence.reporting.markup import Markup, element, section
from equicoherence.reporting.template import rendered

COLUMNS, SIDE = 20, 48
ADVICE = (
    "Turn an image and see what each encoder makes of it. Nearest: the images, of those that are held out, whose "
    "features are most alike; a frame says that an image is among the nearest at 0° too. A representation that forgets "
    "the turn has the same nearest images at every angle. Patches: the first three principal components of the patch "
    "tokens as red, green and blue. Where they keep their color and move with the image, the tokens follow the turn."
)


def turned_section(studies: Sequence[Turned]) -> Markup:
    """Return the section, nothing where there is nothing to turn."""
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
    return section("turn", "Under a turn", element("p", ADVICE), *parts)


def study_data(study: Turned) -> dict[str, Any]:
    """Return what the page's script reads: pictures as addresses, places in the bank, colors as base64."""
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

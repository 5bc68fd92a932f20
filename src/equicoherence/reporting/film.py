"""Film strips: what the task saw and what it decoded, state by state along each sample's path."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from equicoherence.reporting.markup import Markup, details, element, image, note, section
from equicoherence.reporting.runs import Run
from equicoherence.reporting.tables import MISSING

STRIPS_SHOWN = 3  # samples in sight; the others, up to STRIPS_KEPT, open on a click
STRIPS_KEPT = 12
PIXELS = 128  # larger images are reduced, which keeps the page small
UNITS = {"angle": "°", "octaves": " octaves", "sigma": " px", "x": " px at 224", "y": " px at 224"}


def film_section(groups: dict[str, list[Run]]) -> Markup:
    """Return the section with the samples of the first run of each name."""
    parts: list[object] = [
        element(
            "p",
            "Each strip is one image. View 1 (v1) stands apart; the path runs from the base image u to view 2 (v2). "
            "On the path between the views, u is view 1 itself. Top row: the states as they really are; the one at "
            "t = 1 is view 2. Bottom row: what the decoders made of the equivariant features (render and geodesic of "
            "the views too). θ, beside the title, is the whole transformation from u to v2.",
        )
    ]
    for name, runs in groups.items():
        run = runs[0]
        title = [element("h3", name)] if len(groups) > 1 else []
        if "samples.npz" in run.problems:
            parts += [*title, note(f"No pictures for {name}: samples.npz is ", run.problems["samples.npz"], ".")]
            continue
        strips = sample_strips(run.samples)
        if _pictures(run.samples, "targets", 5) is not None and _pictures(run.samples, "decoded", 5) is None:
            title.append(
                note(f"{name} has no decoded states: it was trained without the auxiliary task, or with no decoder.")
            )
        parts += [*title, *strips[:STRIPS_SHOWN]]
        if len(strips) > STRIPS_SHOWN:
            parts.append(details(f"{len(strips) - STRIPS_SHOWN} more samples of {name}", *strips[STRIPS_SHOWN:]))
    return section("films", "The path, seen and decoded", *parts)


def sample_strips(samples: dict[str, np.ndarray], kept: int = STRIPS_KEPT) -> list[Markup]:
    """Return one figure per sample, at most ``kept``.

    samples: arrays of samples.npz, uint8 pictures v1, base, v2 (n, H, W, 3), targets and decoded (n, K, H, W, 3),
    numbers positions (K,), theta (n, P), theta_names (P,) and optionally theta_units (P,). A missing array is a dash.
    """
    single = {name: _pictures(samples, name, 4) for name in ("v1", "base", "v2")}
    states = {name: _pictures(samples, name, 5) for name in ("targets", "decoded")}
    count = min([len(a) for a in (*single.values(), *states.values()) if a is not None], default=0)
    positions = np.asarray(samples.get("positions", ())).ravel()
    steps = max([a.shape[1] for a in states.values() if a is not None], default=0)
    order = np.argsort(positions, kind="stable") if len(positions) == steps else np.arange(steps)
    strips = []
    for index in range(min(count, kept)):
        cells = [_cell(single["v1"], (index,), "v1", f"view 1 of sample {index}", "apart")]
        cells.append(_cell(single["base"], (index,), "u", f"base image of sample {index}", "end"))
        for k in order:
            place = f"t = {positions[k]:.2f}" if len(positions) == steps else f"state {k + 1}"
            target = _picture(states["targets"], (index, int(k)), f"target of sample {index} at {place}")
            decoded = _picture(states["decoded"], (index, int(k)), f"decoded state of sample {index} at {place}")
            cells.append(element("div", element("span", place, class_="place"), target, decoded, class_="state"))
        cells.append(_cell(single["v2"], (index,), "v2", f"view 2 of sample {index}", "end"))
        rows = element(
            "div", element("span", ""), element("span", "target"), element("span", "decoded"), class_="state rows"
        )
        cells.insert(2, rows if steps else Markup(""))
        strip = element("div", *cells, class_="strip", tabindex="0", role="group", aria_label=f"sample {index}")
        caption = element("figcaption", element("strong", f"Sample {index}"), " ", _theta(samples, index))
        remark = "" if steps else note("This run has no intermediate states.")
        strips.append(element("figure", caption, strip, remark, class_="film"))
    if not strips:
        strips.append(note("samples.npz holds no picture that can be shown; `equicoherence pretrain` writes it anew."))
    return strips


def png(pixels: np.ndarray) -> bytes:
    """Encode (H, W, 3) uint8 as PNG, reduced to at most `PIXELS` a side."""
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.thumbnail((PIXELS, PIXELS), Image.Resampling.BOX)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def theta_text(names: Sequence[str], values: Sequence[float], units: Sequence[str] | None = None) -> str:
    """Write parameters with their units: "angle −34.2°, x 12 px at 224".

    Without ``units`` the known names get theirs; a shift inside a crop (its neighbours are log_width, log_height) is
    a fraction of the image and has none.
    """
    known = dict(UNITS)
    if any(name.endswith("log_width") for name in names):
        known |= {"x": "", "y": ""}
    texts = []
    for index, (name, value) in enumerate(zip(names, values)):
        unit = known.get(name.rsplit("_", 1)[-1], "") if units is None else _unit(units[index])
        texts.append(f"{name} {f'{value:.3g}'.replace('-', chr(0x2212))}{unit}")
    return ", ".join(texts)


def _unit(unit: str) -> str:
    return {"": "", "degrees": "°"}.get(unit, f" {unit}")


def _theta(samples: dict[str, np.ndarray], index: int) -> Markup:
    theta, names = samples.get("theta"), [str(name) for name in samples.get("theta_names", ())]
    units = [str(unit) for unit in samples["theta_units"]] if "theta_units" in samples else None
    fits = theta is not None and theta.ndim == 2 and theta.shape[1] == len(names) and len(theta) > index
    if theta is None or not fits or (units is not None and len(units) != len(names)):
        return element("span", f"θ {MISSING}", class_="theta")
    return element("span", "θ: ", theta_text(names, theta[index].tolist(), units), class_="theta")


def _pictures(samples: dict[str, np.ndarray], name: str, dimensions: int) -> np.ndarray | None:
    array = samples.get(name)
    fits = array is not None and array.dtype == np.uint8 and array.ndim == dimensions and array.shape[-1] == 3
    return array if fits and array is not None and 0 not in array.shape else None


def _cell(pictures: np.ndarray | None, index: tuple[int, ...], title: str, alt: str, kind: str) -> Markup:
    return element(
        "div", element("span", title, class_="place"), _picture(pictures, index, alt), class_=f"state {kind}"
    )


def _picture(pictures: np.ndarray | None, index: tuple[int, ...], alt: str) -> Markup:
    if pictures is None or any(i >= size for i, size in zip(index, pictures.shape)):
        return element("span", MISSING, class_="blank", title=f"no {alt}")
    pixels = pictures[index]
    return image(png(pixels), "image/png", alt, class_="crisp" if max(pixels.shape) <= 64 else None)

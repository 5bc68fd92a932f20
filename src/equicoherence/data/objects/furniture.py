"""Furniture: bed, bench, chair, lamp, table. One unit is about 50 cm; the front looks along +z."""

from __future__ import annotations

import numpy as np

from equicoherence.data.objects.mesh import ColouredMesh, MeshBuilder
from equicoherence.data.objects.palette import Colour, any_colour, metal, pale, timber


def bed(rng: np.random.Generator) -> ColouredMesh:
    """Build a mattress with blanket and pillows in a frame with a headboard."""
    mesh = MeshBuilder()
    width, length, height = rng.uniform(1.6, 3.0), rng.uniform(3.4, 4.2), rng.uniform(0.5, 0.9)
    frame, blanket, linen = any_colour(rng), any_colour(rng), pale(rng)
    back, front = rng.uniform(0.7, 1.5), rng.uniform(0.0, 0.6)
    mesh.box(frame, (width, 0.25, length), (0, height, 0))
    _four_legs(mesh, frame, width, length, height, rng.uniform(0.09, 0.15), square=bool(rng.integers(2)))
    mesh.box(linen, (width - 0.12, 0.3, length - 0.12), (0, height + 0.27, 0))
    cover = rng.uniform(0.5, 0.72) * length
    mesh.box(blanket, (width + 0.04, 0.36, cover), (0, height + 0.3, (length - cover) / 2 - 0.02))
    mesh.box(frame, (width + 0.1, height + back, 0.16), (0, (height + back) / 2 + 0.1, -length / 2 - 0.08))
    if front > 0.25:
        mesh.box(frame, (width + 0.1, height + front, 0.16), (0, (height + front) / 2 + 0.1, length / 2 + 0.08))
    pillows = 2 if width > 2.1 else 1
    for number in range(pillows):
        x = (number - (pillows - 1) / 2) * width / 2
        size = (0.4 * width / pillows, 0.17, 0.36)
        mesh.ball(pale(rng), size, (x, height + 0.52, -length / 2 + 0.5), (8, 0, 0))
    return mesh.standing()


def bench(rng: np.random.Generator) -> ColouredMesh:
    """Build a long slatted seat on two side frames, mostly with a back."""
    mesh = MeshBuilder()
    width, depth, height = rng.uniform(2.8, 4.2), rng.uniform(0.8, 1.1), rng.uniform(0.8, 1.05)
    slat, side = any_colour(rng), any_colour(rng)
    slats = int(rng.integers(3, 5))
    step = depth / slats
    for number in range(slats):
        mesh.box(slat, (width, 0.1, step * 0.78), (0, height, -depth / 2 + (number + 0.5) * step))
    has_back = rng.uniform() < 0.75
    back = rng.uniform(0.8, 1.2)
    for sign in (-1, 1):
        x = sign * width * rng.uniform(0.38, 0.46)
        mesh.box(side, (0.16, 0.12, depth), (x, height - 0.11, 0))
        mesh.box(side, (0.16, height - 0.1, 0.16), (x, (height - 0.1) / 2, depth / 2 - 0.14))
        mesh.box(side, (0.16, height - 0.1, 0.16), (x, (height - 0.1) / 2, -depth / 2 + 0.14))
        if has_back:
            mesh.box(side, (0.16, back, 0.12), (x, height + back / 2 - 0.05, -depth / 2 - 0.08), (-8, 0, 0))
    if has_back:
        for share in (0.35, 0.62, 0.89)[3 - int(rng.integers(2, 4)) :]:
            z = -depth / 2 - 0.08 - (share - 0.5) * back * 0.14 + 0.07
            mesh.box(slat, (width, back * 0.2, 0.08), (0, height + share * back, z), (-8, 0, 0))
    return mesh.standing()


def chair(rng: np.random.Generator) -> ColouredMesh:
    """Build a seat on four legs with a back of slats, rails or one panel, sometimes with arms."""
    mesh = MeshBuilder()
    width, depth, height = rng.uniform(0.9, 1.2), rng.uniform(0.9, 1.15), rng.uniform(0.85, 1.2)
    back, thickness = rng.uniform(0.9, 1.5), rng.uniform(0.07, 0.16)
    frame, seat = any_colour(rng), any_colour(rng)
    post = rng.uniform(0.05, 0.08)
    mesh.box(seat, (width, thickness, depth), (0, height, 0))
    _four_legs(mesh, frame, width, depth, height, post, square=bool(rng.integers(2)))
    lean = rng.uniform(0.0, 0.25)
    low, high = np.array([0, height, -depth / 2 + post]), np.array([0, height + back, -depth / 2 + post - lean])
    side = np.array([width / 2 - post, 0, 0])
    tilt = -float(np.degrees(np.arctan2(lean, back)))
    for sign in (-1, 1):
        mesh.rod(frame, low + sign * side, high + sign * side, post)
    style = rng.choice(["panel", "slats", "rails"])
    if style == "panel":
        mesh.box(seat, (width - post, back * 0.62, 0.09), low + (high - low) * 0.66, (tilt, 0, 0))
    elif style == "slats":
        mesh.box(frame, (width, 0.16, 0.11), high, (tilt, 0, 0))
        for x in np.linspace(-0.3, 0.3, int(rng.integers(3, 5))) * width:
            mesh.rod(frame, np.add(low, (x, 0, 0)), np.add(high, (x, 0, 0)), post * 0.7)
    else:
        for share in (0.4, 0.68, 0.96):
            mesh.box(seat, (width, back * 0.15, 0.08), low + (high - low) * share, (tilt, 0, 0))
    if rng.uniform() < 0.3:
        arm = height + rng.uniform(0.4, 0.55)
        for x in (-width / 2, width / 2):
            mesh.box(frame, (0.13, 0.09, depth), (x, arm, 0))
            mesh.rod(frame, (x, height, depth / 2 - 0.1), (x, arm, depth / 2 - 0.1), post * 0.8)
    return mesh.standing()


def lamp(rng: np.random.Generator) -> ColouredMesh:
    """Build a table or floor lamp: foot, stem, wide shade."""
    mesh = MeshBuilder()
    stem, foot, shade = rng.uniform(1.0, 3.2), rng.uniform(0.4, 0.7), any_colour(rng)
    body = metal(rng) if rng.uniform() < 0.4 else any_colour(rng)
    wide, rise = rng.uniform(0.65, 1.05), rng.uniform(0.6, 1.0)
    narrow = wide * rng.uniform(0.35, 0.85)
    mesh.lathe(body, [(0, 0), (foot, 0), (foot * 0.9, 0.1), (0.1, 0.17), (0, 0.17)])
    mesh.rod(body, (0, 0.1, 0), (0, stem + 0.4, 0), rng.uniform(0.05, 0.08))
    if stem < 1.8:  # a table lamp has a belly
        belly = rng.uniform(0.25, 0.5)
        mesh.ball(body, (belly, stem * 0.42, belly), (0, stem * 0.5, 0))
    sections = int(rng.choice([6, 12, 20]))
    shell = [(wide, stem), (narrow, stem + rise), (narrow - 0.04, stem + rise), (wide - 0.04, stem), (wide, stem)]
    mesh.lathe(shade, shell, sections=sections)
    mesh.ball((1.0, 0.95, 0.75), (0.16, 0.2, 0.16), (0, stem + rise * 0.4, 0))
    return mesh.standing()


def table(rng: np.random.Generator) -> ColouredMesh:
    """Build a round or rectangular top on four legs or one column, sometimes with a vase on it."""
    mesh = MeshBuilder()
    width, depth, height = rng.uniform(1.8, 3.2), rng.uniform(1.4, 2.0), rng.uniform(1.1, 1.7)
    top, legs = any_colour(rng), timber(rng) if rng.uniform() < 0.4 else any_colour(rng)
    thickness = rng.uniform(0.08, 0.18)
    round_top = rng.uniform() < 0.4
    if round_top:
        radius = depth * 0.6
        disc = [(0, height), (radius, height), (radius, height + thickness), (0, height + thickness)]
        mesh.lathe(top, disc, sections=24)
    else:
        mesh.box(top, (width, thickness, depth), (0, height + thickness / 2, 0))
        mesh.box(legs, (width - 0.3, 0.16, depth - 0.3), (0, height - 0.08, 0))
    if round_top and rng.uniform() < 0.6:
        mesh.rod(legs, (0, 0.05, 0), (0, height, 0), rng.uniform(0.1, 0.18))
        mesh.lathe(legs, [(0, 0), (depth * 0.35, 0), (depth * 0.32, 0.09), (0.1, 0.22), (0, 0.22)])
    else:
        across = (depth * 0.86, depth * 0.86) if round_top else (width, depth)
        _four_legs(mesh, legs, across[0], across[1], height, rng.uniform(0.06, 0.12), square=bool(rng.integers(2)))
    if rng.uniform() < 0.35:
        tall = rng.uniform(0.25, 0.5)
        vase = [(0, 0), (0.14, 0), (0.22, tall * 0.4), (0.09, tall * 0.8), (0.14, tall), (0, tall)]
        mesh.lathe(any_colour(rng), vase, (rng.uniform(-0.4, 0.4), height + thickness, rng.uniform(-0.3, 0.3)))
    return mesh.standing()


def _four_legs(
    mesh: MeshBuilder, colour: Colour, width: float, depth: float, height: float, radius: float, *, square: bool
) -> None:
    for x in (-width / 2 + radius, width / 2 - radius):
        for z in (-depth / 2 + radius, depth / 2 - radius):
            if square:
                mesh.box(colour, (radius * 1.8, height, radius * 1.8), (x, height / 2, z))
            else:
                mesh.rod(colour, (x, 0, z), (x, height, z), radius * 0.8, radius)

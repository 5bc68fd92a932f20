"""Household objects: guitar, mug, teapot, umbrella; the front looks along +z."""

from __future__ import annotations

import numpy as np

from equicoherence.data.objects.mesh import ColouredMesh, MeshBuilder
from equicoherence.data.objects.palette import DARK, any_colour, metal, pale, timber


def guitar(rng: np.random.Generator) -> ColouredMesh:
    """Build a guitar on its end: waisted body, hole or pickups, neck, head."""
    mesh = MeshBuilder()
    low, high, waist = rng.uniform(0.8, 1.0), rng.uniform(0.58, 0.75), rng.uniform(0.42, 0.55)
    body, neck, length = any_colour(rng), timber(rng), rng.uniform(1.5, 2.0)
    side = [(0.0, 0.0), (0.6, 0.05), (0.95, 0.3), (1.0, 0.6), (0.85, 0.9)]
    right = [(x * low, y) for x, y in side]
    right += [(waist, 1.2), (high * 0.9, 1.45), (high, 1.7), (high * 0.85, 1.95), (high * 0.4, 2.08)]
    outline = right + [(-x, y) for x, y in reversed(right[1:])]
    depth = rng.uniform(0.25, 0.45)
    mesh.prism(body, outline, depth)
    mesh.prism(pale(rng), [(x * 0.92, 0.08 + y * 0.92) for x, y in outline], depth + 0.04)
    front = depth / 2 + 0.02
    if rng.uniform() < 0.6:
        mesh.rod(DARK, (0, 1.3, 0), (0, 1.3, front + 0.02), 0.27)
    else:
        for y in (0.95, 1.35):
            mesh.box(DARK, (0.5, 0.14, 0.05), (0, y, front + 0.01))
    mesh.box(DARK, (0.5, 0.09, 0.1), (0, 0.6, front + 0.02))
    mesh.box(neck, (0.24, length + 0.6, 0.14), (0, 1.5 + (length + 0.6) / 2, front))
    mesh.box(any_colour(rng), (0.38, 0.5, 0.14), (0, 2.1 + length + 0.2, front - 0.05), (-10, 0, 0))
    for y in (0.05, 0.25, 0.42):
        mesh.rod(metal(rng), (-0.3, 2.1 + length + y, front), (0.3, 2.1 + length + y, front), 0.045)
    return mesh.standing()


def mug(rng: np.random.Generator) -> ColouredMesh:
    """Build a mug with one handle and something in it."""
    mesh = MeshBuilder()
    foot, height = rng.uniform(0.6, 0.85), rng.uniform(1.3, 2.1)
    rim = foot * rng.uniform(0.95, 1.25)
    colour, drink = any_colour(rng), timber(rng) if rng.uniform() < 0.6 else any_colour(rng)
    belly = max(foot, rim) * rng.uniform(0.92, 1.12)
    walls = [
        (0, 0),
        (foot, 0),
        (belly, height * 0.45),
        (rim, height),
        (rim - 0.1, height),
        (foot - 0.14, 0.15),
        (0, 0.15),
    ]
    mesh.lathe(colour, walls, sections=24)
    mesh.lathe(drink, [(0, height * 0.85), (rim - 0.06, height * 0.85), (0, height * 0.84)], sections=24)
    if rng.uniform() < 0.5:
        band = [(belly + 0.03, height * 0.38), (belly + 0.03, height * 0.55)]
        mesh.lathe(any_colour(rng), band, sections=24)
    loop = height * rng.uniform(0.26, 0.33)
    handle = colour if rng.uniform() < 0.75 else any_colour(rng)
    mesh.ring(handle, loop, rng.uniform(0.09, 0.13), (belly + loop * 0.35, height * 0.5, 0))
    return mesh.standing()


def teapot(rng: np.random.Generator) -> ColouredMesh:
    """Build a round pot with spout, handle behind and a lid with a knob."""
    mesh = MeshBuilder()
    radius, height = rng.uniform(0.85, 1.15), rng.uniform(1.1, 1.7)
    colour, lid = any_colour(rng), any_colour(rng)
    lid = colour if rng.uniform() < 0.5 else lid
    pot = [(0, 0), (0.55, 0), (0.9, 0.2), (1.0, 0.45), (0.85, 0.8), (0.5, 1.0), (0, 1.0)]
    mesh.lathe(colour, [(r * radius, y * height) for r, y in pot], sections=20)
    mesh.lathe(lid, [(0.55 * radius, height * 0.97), (0.5 * radius, height * 1.08), (0, height * 1.2)], sections=20)
    mesh.ball(lid if rng.uniform() < 0.5 else metal(rng), (0.15, 0.15, 0.15), (0, height * 1.28, 0))
    reach = rng.uniform(1.5, 1.9) * radius
    knee = (radius * 1.2, height * 0.55, 0)
    mesh.rod(colour, (radius * 0.6, height * 0.25, 0), knee, 0.28, 0.18)
    mesh.rod(colour, knee, (reach, height * rng.uniform(0.9, 1.05), 0), 0.18, 0.1)
    handle = colour if rng.uniform() < 0.5 else any_colour(rng)
    if rng.uniform() < 0.7:
        mesh.ring(handle, height * 0.36, 0.1, (-radius * 1.05, height * 0.55, 0))
    else:
        mesh.ring(handle, radius * 0.8, 0.08, (0, height * 0.9, 0), sweep=180)
    return mesh.standing()


def umbrella(rng: np.random.Generator) -> ColouredMesh:
    """Build an open umbrella, upright, with a hooked or straight handle."""
    mesh = MeshBuilder()
    radius, rise, length = rng.uniform(1.2, 1.6), rng.uniform(0.5, 0.9), rng.uniform(2.0, 2.7)
    first, second, stick = any_colour(rng), any_colour(rng), metal(rng)
    plain = rng.uniform() < 0.4
    dome = [(np.sin(a) * radius, length - rise + np.cos(a) * rise) for a in np.linspace(np.pi / 2, 0.0, 6)]
    sections = int(rng.choice([8, 10, 12]))
    mesh.lathe(first, dome, sections=sections, second=None if plain else second)
    mesh.rod(stick, (0, 0.2, 0), (0, length + 0.22, 0), 0.055)
    handle = any_colour(rng)
    if rng.uniform() < 0.7:
        mesh.ring(handle, 0.25, 0.08, (0.25, 0.25, 0), (0, 0, 180), sweep=180)
        mesh.rod(handle, (0, 0.22, 0), (0, 0.6, 0), 0.08)
    else:
        mesh.rod(handle, (0, -0.1, 0), (0, 0.5, 0), 0.12, 0.09)
    return mesh.standing()

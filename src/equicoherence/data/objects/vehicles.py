"""Vehicles: airplane, boat, car, rocket, train; the front looks along +x, the rocket's along +y."""

from __future__ import annotations

import numpy as np

from equicoherence.data.objects.mesh import ColouredMesh, MeshBuilder
from equicoherence.data.objects.palette import DARK, Colour, any_colour, metal, pale


def airplane(rng: np.random.Generator) -> ColouredMesh:
    """Build a fuselage with wings, tail, engines or a propeller, on its wheels."""
    mesh = MeshBuilder()
    body, wing, tail = any_colour(rng), any_colour(rng), any_colour(rng)
    length, radius, height = rng.uniform(3.4, 4.4), rng.uniform(0.32, 0.45), 0.75
    hull = [(0.0, -0.5), (0.25, -0.48), (0.7, -0.2), (1.0, 0.05), (1.0, 0.35), (0.7, 0.45), (0.0, 0.5)]
    mesh.lathe(body, [(r * radius, y * length) for r, y in hull], (0, height, 0), (0, 0, -90))
    span, chord, sweep = rng.uniform(1.5, 2.2), rng.uniform(0.7, 1.0), rng.uniform(0.0, 0.9)
    low = rng.uniform() < 0.6
    y = height - radius * 0.4 if low else height + radius * 0.8
    for sign in (-1, 1):
        outline = [(0.3, 0), (0.3 - sweep, sign * span), (-0.1 - sweep, sign * span), (0.3 - chord, 0)]
        mesh.prism(wing, outline, 0.1, (0.25, y, 0), (90, 0, 0))
        small = [(0.2, 0), (-0.15, sign * span * 0.38), (-0.35, sign * span * 0.38), (-0.3, 0)]
        mesh.prism(wing, small, 0.08, (-length * 0.42, height + 0.08, 0), (90, 0, 0))
    fin = rng.uniform(0.7, 1.0)
    mesh.prism(tail, [(0.3, 0), (-0.2, fin), (-0.5, fin), (-0.35, 0)], 0.09, (-length * 0.41, height + 0.1, 0))
    mesh.ball(DARK, (radius * 0.8, radius * 0.5, radius * 0.7), (length * 0.33, height + radius * 0.6, 0))
    if rng.uniform() < 0.5:
        for z in (-span * 0.42, span * 0.42):
            mesh.rod(metal(rng), (-0.3 - sweep * 0.2, y - 0.2, z), (0.5 - sweep * 0.2, y - 0.2, z), 0.15, 0.19)
    else:
        mesh.box(DARK, (0.06, 1.3, 0.14), (length / 2 + 0.03, height, 0), (rng.uniform(0, 180), 0, 0))
    for x, z in ((length * 0.3, 0.0), (-0.2, -0.4), (-0.2, 0.4)):
        mesh.rod(DARK, (x, 0.14, z - 0.06), (x, 0.14, z + 0.06), 0.14)
        mesh.rod(metal(rng), (x, 0.14, z), (x, height, z * 0.4), 0.045)
    return mesh.standing()


def boat(rng: np.random.Generator) -> ColouredMesh:
    """Build a pointed hull with mast and sails, or with a cabin and a funnel."""
    mesh = MeshBuilder()
    length, width, depth = rng.uniform(2.6, 3.6), rng.uniform(0.9, 1.3), rng.uniform(0.5, 0.8)
    hull, deck = any_colour(rng), any_colour(rng)
    half = [(0.5, 0.0), (0.32, 0.3), (0.1, 0.47), (-0.2, 0.5), (-0.5, 0.38)]
    outline = [(x * length, z * width) for x, z in half] + [(x * length, -z * width) for x, z in reversed(half[1:])]
    mesh.prism(hull, outline, depth, (0, depth / 2, 0), (-90, 0, 0), taper=rng.uniform(0.55, 0.75))
    mesh.prism(deck, [(x * 0.88, z * 0.85) for x, z in outline], 0.05, (0, depth + 0.03, 0), (-90, 0, 0))
    if rng.uniform() < 0.65:
        mast, x, boom = rng.uniform(2.6, 3.4), rng.uniform(0.0, 0.3), length * 0.45
        mesh.rod(any_colour(rng), (x, depth, 0), (x, depth + mast, 0), 0.07)
        main = [(-0.05, 0.25), (-boom, 0.3), (-0.05, mast * 0.97)]
        mesh.prism(any_colour(rng), main, 0.05, (x, depth, 0), (0, rng.uniform(-20, 20), 0))
        mesh.rod(any_colour(rng), (x, depth + 0.22, 0), (x - boom, depth + 0.25, 0), 0.05)
        if rng.uniform() < 0.7:
            jib = [(0.08, mast * 0.85), (length * 0.47 - x, 0.15), (0.12, 0.2)]
            mesh.prism(any_colour(rng), jib, 0.05, (x, depth, 0))
    else:
        cabin, roof = rng.uniform(0.5, 0.8), any_colour(rng)
        x = rng.uniform(-0.4, 0.1)
        mesh.box(any_colour(rng), (length * 0.36, cabin, width * 0.6), (x, depth + cabin / 2, 0))
        mesh.box(DARK, (length * 0.37, cabin * 0.35, width * 0.5), (x, depth + cabin * 0.62, 0))
        mesh.box(DARK, (length * 0.28, cabin * 0.35, width * 0.61), (x, depth + cabin * 0.62, 0))
        mesh.box(roof, (length * 0.42, 0.08, width * 0.68), (x, depth + cabin + 0.04, 0))
        top, tall = depth + cabin, rng.uniform(0.6, 0.9)
        mesh.rod(any_colour(rng), (x - 0.15, top, 0), (x - 0.25, top + tall, 0), 0.17)
        mesh.rod(DARK, (x - 0.25, top + tall, 0), (x - 0.27, top + tall + 0.15, 0), 0.175)
    return mesh.standing()


def car(rng: np.random.Generator) -> ColouredMesh:
    """Build a saloon, hatchback or pickup."""
    mesh = MeshBuilder()
    length, width, body = rng.uniform(3.0, 3.8), rng.uniform(1.35, 1.6), rng.uniform(0.5, 0.7)
    colour, wheel, floor = any_colour(rng), rng.uniform(0.32, 0.42), 0.25
    top, roof = floor + body, rng.uniform(0.45, 0.7)
    half = length / 2
    nose = rng.uniform(0.7, 0.95)
    side = [(-half, floor), (half, floor), (half, floor + body * nose * 0.8), (half * 0.9, floor + body * nose)]
    side += [(half * 0.35, top), (-half * 0.96, top), (-half, top - 0.1)]
    mesh.prism(colour, side, width)
    back = rng.choice([-0.95, -0.7, -0.25])  # hatchback, saloon, pickup
    glass = [(half * 0.42, top), (half * 0.12, top + roof), (half * (back + 0.16), top + roof), (half * back, top)]
    mesh.prism((0.2, 0.24, 0.3), glass, width * 0.88)
    frame = [(half * 0.15, top + roof - 0.06), (half * 0.1, top + roof + 0.07)]
    frame += [(half * (back + 0.18), top + roof + 0.07), (half * (back + 0.13), top + roof - 0.06)]
    mesh.prism(colour, frame, width * 0.92)
    pillar = half * (0.25 + back) / 2
    mesh.box(colour, (0.14, roof, width * 0.9), (pillar, top + roof / 2, 0))
    for x in (-half * 0.6, half * 0.6):
        _wheel_pair(mesh, metal(rng), x, wheel, width)
    for z in (-width * 0.33, width * 0.33):
        mesh.ball((1.0, 0.95, 0.75), (0.07, 0.12, 0.15), (half, floor + body * 0.5, z))
        mesh.box((0.75, 0.1, 0.1), (0.06, 0.14, 0.25), (-half, floor + body * 0.65, z))
    mesh.box(metal(rng), (length + 0.1, 0.12, width * 0.96), (0, floor + 0.08, 0))
    return mesh.standing()


def rocket(rng: np.random.Generator) -> ColouredMesh:
    """Build a rocket on its fins: body, nose, windows, nozzle."""
    mesh = MeshBuilder()
    radius, length, low = rng.uniform(0.45, 0.65), rng.uniform(2.2, 3.2), 0.4
    body, nose, fin = any_colour(rng), any_colour(rng), any_colour(rng)
    belly = radius * rng.uniform(1.0, 1.25)
    mesh.lathe(body, [(0, low), (radius * 0.8, low), (belly, low + length * 0.4), (radius * 0.9, low + length * 0.75)])
    tip = low + length * 0.75
    curve = [(radius * 0.9, tip), (radius * 0.6, tip + length * 0.2), (0, tip + length * rng.uniform(0.35, 0.45))]
    mesh.lathe(nose, curve)
    mesh.lathe(DARK, [(0, low), (0.3, low), (0.4, 0.12), (0, 0.2)])
    count = int(rng.integers(3, 5))
    reach, height = rng.uniform(0.5, 0.8), rng.uniform(0.9, 1.4)
    blade = [(radius * 0.6, low + 0.2), (radius + reach, 0), (radius + reach, 0.35), (radius * 0.8, low + height)]
    start = rng.uniform(0, 360)
    for number in range(count):
        mesh.prism(fin, blade, 0.12, (0, 0, 0), (0, start + number * 360 / count, 0))
    for number in range(int(rng.integers(1, 3))):
        y = low + length * (0.55 - 0.22 * number)
        for sign in (-1, 1):
            mesh.rod(metal(rng), (0, y, 0), (0, y, sign * belly * 1.02), 0.24)
            mesh.rod(DARK, (0, y, 0), (0, y, sign * belly * 1.06), 0.17)
    if rng.uniform() < 0.6:
        y = low + length * 0.12
        mesh.lathe(any_colour(rng), [(belly * 0.93, y), (belly * 1.0, y + 0.25), (0, y + 0.26)])
    return mesh.standing()


def train(rng: np.random.Generator) -> ColouredMesh:
    """Build a steam engine: boiler, chimney, cab, wheels, and sometimes a wagon behind."""
    mesh = MeshBuilder()
    boiler, cab, frame = any_colour(rng), any_colour(rng), any_colour(rng)
    length, radius, wheel = rng.uniform(1.6, 2.2), rng.uniform(0.42, 0.55), rng.uniform(0.25, 0.35)
    width, floor = 2.1 * radius, 0.5
    axle = floor + 0.12 + radius
    mesh.box(frame, (length + 1.1, 0.22, width), (-0.5, floor, 0))
    mesh.rod(boiler, (-0.1 - length / 2, axle, 0), (length / 2, axle, 0), radius)
    mesh.rod(DARK, (length / 2, axle, 0), (length / 2 + 0.08, axle, 0), radius * 0.8)
    for x in np.linspace(-0.25, 0.25, int(rng.integers(2, 4))) * length:
        mesh.rod(metal(rng), (x, axle, 0), (x + 0.08, axle, 0), radius * 1.05)
    tall = rng.uniform(0.5, 0.8)
    x = length * 0.34
    mesh.rod(DARK, (x, axle, 0), (x, axle + radius + tall, 0), 0.15, rng.uniform(0.15, 0.3))
    mesh.ball(metal(rng), (0.2, 0.22, 0.2), (-length * 0.1, axle + radius, 0))
    back, house = -length / 2 - 0.5, rng.uniform(1.4, 1.7)
    mesh.box(cab, (0.9, house, width), (back, floor + house / 2, 0))
    mesh.box(DARK, (0.45, house * 0.34, width * 1.02), (back, floor + house * 0.68, 0))
    mesh.box(DARK, (0.92, house * 0.3, width * 0.6), (back, floor + house * 0.7, 0))
    mesh.box(any_colour(rng), (1.15, 0.1, width * 1.15), (back, floor + house + 0.05, 0))
    for number in range(3):
        _wheel_pair(mesh, metal(rng), length * (0.32 - 0.45 * number), wheel, width * 0.96)
    catcher = [(0, 0.05), (0.5, 0.05), (0.0, 0.45)]
    mesh.prism(metal(rng), catcher, width * 0.85, (length / 2 + 0.02, 0, 0))
    if rng.uniform() < 0.4:
        middle = back - 1.35
        mesh.box(pale(rng) if rng.uniform() < 0.3 else any_colour(rng), (1.5, 0.8, width), (middle, floor + 0.35, 0))
        mesh.box(DARK, (1.3, 0.1, width * 0.8), (middle, floor + 0.75, 0))
        mesh.rod(DARK, (middle, floor, 0), (back, floor, 0), 0.08)
        for x in (middle - 0.45, middle + 0.45):
            _wheel_pair(mesh, metal(rng), x, 0.25, width * 0.96)
    return mesh.standing()


def _wheel_pair(mesh: MeshBuilder, hub: Colour, x: float, radius: float, width: float) -> None:
    for sign in (-1, 1):
        mesh.rod(DARK, (x, radius, sign * width * 0.36), (x, radius, sign * width * 0.52), radius)
        mesh.rod(hub, (x, radius, sign * width * 0.4), (x, radius, sign * width * 0.54), radius * 0.55)

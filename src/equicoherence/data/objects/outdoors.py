"""Buildings, plants and animals: dog, duck, house, snowman, tree, windmill; the front looks along +z."""

from __future__ import annotations

import numpy as np

from equicoherence.data.objects.mesh import ColouredMesh, MeshBuilder
from equicoherence.data.objects.palette import DARK, any_colour, leaf, pale, timber


def dog(rng: np.random.Generator) -> ColouredMesh:
    """Build a dog on four legs with snout, ears and a raised tail."""
    mesh = MeshBuilder()
    coat, patch = any_colour(rng), any_colour(rng)
    patch = coat if rng.uniform() < 0.5 else patch
    length, chest, leg = rng.uniform(1.4, 2.2), rng.uniform(0.32, 0.48), rng.uniform(0.5, 1.0)
    y = leg + chest * 0.7
    mesh.ball(coat, (chest, chest, length / 2 + 0.15), (0, y, 0))
    for x in (-chest * 0.6, chest * 0.6):
        for z in (-length * 0.36, length * 0.36):
            mesh.rod(patch, (x, 0, z), (x, y, z), 0.12, 0.16)
            mesh.ball(patch, (0.13, 0.08, 0.18), (x, 0.08, z + 0.07))
    head = np.array([0, y + rng.uniform(0.45, 0.75), length / 2 + 0.3])
    mesh.rod(coat, (0, y, length * 0.36), head, chest * 0.7, 0.24)
    size = rng.uniform(0.34, 0.44)
    mesh.ball(coat, (size * 0.95, size * 0.95, size), head)
    snout = rng.uniform(0.4, 0.62)
    mesh.rod(patch, np.add(head, (0, -0.1, 0.1)), np.add(head, (0, -0.14, 0.15 + snout)), 0.22, 0.15)
    mesh.ball(DARK, (0.09, 0.08, 0.08), np.add(head, (0, -0.07, 0.17 + snout)))
    hanging = rng.uniform() < 0.5
    for sign in (-1, 1):
        mesh.ball(DARK, (0.06, 0.07, 0.06), np.add(head, (sign * 0.17, 0.1, size * 0.88)))
        if hanging:
            mesh.ball(patch, (0.08, 0.3, 0.18), np.add(head, (sign * size, -0.05, -0.05)), (0, 0, sign * 12))
        else:
            base = np.add(head, (sign * size * 0.6, size * 0.5, -0.05))
            mesh.rod(patch, base, np.add(base, (sign * 0.08, rng.uniform(0.35, 0.5), 0)), 0.16, 0.02)
    mesh.rod(patch, (0, y + 0.1, -length / 2), (0, y + rng.uniform(0.4, 0.9), -length / 2 - 0.5), 0.1, 0.05)
    return mesh.standing()


def duck(rng: np.random.Generator) -> ColouredMesh:
    """Build a duck: boat-shaped body, upright neck, bill, wings, feet."""
    mesh = MeshBuilder()
    plumage, head, wing = any_colour(rng), any_colour(rng), any_colour(rng)
    head = plumage if rng.uniform() < 0.5 else head
    bill, foot = any_colour(rng), any_colour(rng)
    length, width, leg = rng.uniform(0.95, 1.25), rng.uniform(0.55, 0.75), rng.uniform(0.15, 0.45)
    y = leg + 0.5
    mesh.ball(plumage, (width, 0.55, length), (0, y, 0), (-8, 0, 0))
    mesh.prism(
        plumage, [(-0.3, 0), (0.3, 0), (0.12, 0.7), (-0.12, 0.7)], 0.14, (0, y + 0.15, -length + 0.15), (-65, 0, 0)
    )
    neck, tall = np.array([0, y + 0.2, length * 0.6]), rng.uniform(0.6, 1.0)
    top = np.add(neck, (0, tall, 0.15))
    mesh.rod(head, neck, top, 0.3, 0.22)
    size = rng.uniform(0.34, 0.42)
    mesh.ball(head, (size, size, size * 1.05), top)
    mesh.ball(bill, (0.2, 0.075, rng.uniform(0.3, 0.42)), np.add(top, (0, -0.06, size + 0.15)))
    for sign in (-1, 1):
        mesh.ball(DARK, (0.06, 0.08, 0.08), np.add(top, (sign * size * 0.8, 0.12, size * 0.55)))
        mesh.ball(wing, (0.13, 0.34, length * 0.65), (sign * width * 0.93, y + 0.1, -0.1), (-12, 0, 0))
        mesh.rod(foot, (sign * 0.28, 0.05, 0.1), (sign * 0.28, y - 0.2, 0), 0.07)
        mesh.ball(foot, (0.2, 0.06, 0.3), (sign * 0.28, 0.06, 0.22))
    return mesh.standing()


def house(rng: np.random.Generator) -> ColouredMesh:
    """Build walls under a gable or hipped roof, with door, windows and chimney."""
    mesh = MeshBuilder()
    width, depth, height = rng.uniform(1.8, 2.8), rng.uniform(1.6, 2.2), rng.uniform(1.1, 2.2)
    wall, roof, trim = any_colour(rng), any_colour(rng), pale(rng)
    rise, eave = rng.uniform(0.7, 1.3), 0.2
    mesh.box(wall, (width, height, depth), (0, height / 2, 0))
    if rng.uniform() < 0.7:
        mesh.prism(wall, [(-width / 2, height), (width / 2, height), (0, height + rise)], depth)
        slope = rise / (width / 2)
        edge = (width / 2 + eave, height - eave * slope)
        for sign in (-1, 1):
            plank = [(0, height + rise), (sign * edge[0], edge[1]), (sign * edge[0], edge[1] + 0.16)]
            mesh.prism(roof, [*plank, (0, height + rise + 0.16)], depth + 2 * eave)
    else:
        corner = 1 / np.sqrt(2)
        outline = [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]
        base = [(x * (width + 2 * eave), z * (depth + 2 * eave)) for x, z in outline]
        mesh.prism(roof, base, rise, (0, height + rise / 2, 0), (90, 0, 0), taper=0.25 * corner)
    x = rng.uniform(-0.2, 0.2) * width
    mesh.box(any_colour(rng), (0.42, 0.85, 0.1), (x, 0.425, depth / 2))
    floors = 2 if height > 1.7 else 1
    for level in range(floors):
        y = 0.62 + level * 0.95 if floors > 1 else height * 0.58
        for at in (-0.36, 0.36):
            for z in (-depth / 2, depth / 2):
                mesh.box(trim, (0.42, 0.46, 0.06), (at * width, y, z))
                mesh.box(DARK, (0.32, 0.36, 0.1), (at * width, y, z))
        for sign in (-1, 1):
            mesh.box(trim, (0.06, 0.46, 0.6), (sign * width / 2, y, 0))
            mesh.box(DARK, (0.1, 0.36, 0.5), (sign * width / 2, y, 0))
    top = height + rise + rng.uniform(0.1, 0.4)
    chimney = rng.choice([-0.25, 0.25]) * width
    mesh.box(any_colour(rng), (0.32, top - height, 0.32), (chimney, (top + height) / 2, -depth * 0.2))
    return mesh.standing()


def snowman(rng: np.random.Generator) -> ColouredMesh:
    """Build three balls, a hat, a long nose, twig arms and buttons."""
    mesh = MeshBuilder()
    snow = pale(rng) if rng.uniform() < 0.6 else any_colour(rng)
    radii = np.array([1.0, 0.72, 0.5]) * rng.uniform(0.9, 1.1, size=3)
    heights = [radii[0] * 0.9, radii[0] * 1.75 + radii[1] * 0.75]
    heights.append(heights[1] + radii[1] * 0.85 + radii[2] * 0.7)
    for radius, y in zip(radii, heights, strict=True):
        mesh.ball(snow, (radius, radius, radius), (0, y, 0))
    top = heights[2]
    hat, brim = any_colour(rng), radii[2] * rng.uniform(1.05, 1.35)
    crown, tall, base = brim * 0.65, rng.uniform(0.4, 0.8), top + radii[2] * 0.72
    mesh.lathe(
        hat,
        [(0, base), (brim, base), (brim, base + 0.09), (crown, base + 0.09), (crown, base + tall), (0, base + tall)],
    )
    mesh.rod(any_colour(rng), (0, top, radii[2] * 0.8), (0, top, radii[2] + rng.uniform(0.4, 0.65)), 0.12, 0.02)
    for sign in (-1, 1):
        mesh.ball(DARK, (0.08, 0.08, 0.08), (sign * 0.2, top + 0.14, radii[2] * 0.88))
        hand = (sign * (radii[1] + rng.uniform(0.6, 0.9)), heights[1] + rng.uniform(0.1, 0.7), 0.1)
        mesh.rod(timber(rng), (sign * radii[1] * 0.7, heights[1] + 0.1, 0), hand, 0.07, 0.05)
    for share in (-0.35, 0.05, 0.45):
        y = share * radii[1]
        mesh.ball(DARK, (0.08, 0.08, 0.08), (0, heights[1] + y, np.sqrt(radii[1] ** 2 - y**2)))
    if rng.uniform() < 0.7:
        scarf = any_colour(rng)
        mesh.ring(scarf, radii[2] * 0.85, 0.14, (0, (heights[1] + radii[1] + top - radii[2]) / 2, 0), (90, 0, 0))
    return mesh.standing()


def tree(rng: np.random.Generator) -> ColouredMesh:
    """Build a trunk with a crown of stacked cones or of balls."""
    mesh = MeshBuilder()
    trunk, thick = rng.uniform(0.5, 1.3), rng.uniform(0.12, 0.24)
    bark, crown = timber(rng) if rng.uniform() < 0.7 else any_colour(rng), leaf(rng)
    if rng.uniform() < 0.45:
        tiers, y = int(rng.integers(2, 5)), trunk * 0.7
        wide, tall = rng.uniform(0.8, 1.2), rng.uniform(0.8, 1.1)
        mesh.rod(bark, (0, 0, 0), (0, y + 0.3, 0), thick, thick * 0.8)
        for tier in range(tiers):
            scale = 1 - 0.62 * tier / tiers
            mesh.lathe(crown, [(0, y), (wide * scale, y), (0, y + tall * scale)], sections=10)
            y += tall * scale * 0.55
    else:
        mesh.rod(bark, (0, 0, 0), (0, trunk + 0.6, 0), thick, thick * 0.7)
        size = rng.uniform(0.7, 1.0)
        mesh.ball(crown, (size, size * rng.uniform(0.8, 1.2), size), (0, trunk + size, 0))
        for _ in range(int(rng.integers(2, 6))):
            angle, small = rng.uniform(0, 2 * np.pi), size * rng.uniform(0.45, 0.65)
            at = (np.cos(angle) * size * 0.75, trunk + size * rng.uniform(0.7, 1.6), np.sin(angle) * size * 0.75)
            mesh.ball(crown, (small, small, small), at)
        if rng.uniform() < 0.35:
            fruit = any_colour(rng)
            for _ in range(14):
                way = rng.normal(size=3)
                way *= size * 1.02 / np.linalg.norm(way)
                mesh.ball(fruit, (0.11, 0.11, 0.11), np.add(way, (0, trunk + size, 0)))
    return mesh.standing()


def windmill(rng: np.random.Generator) -> ColouredMesh:
    """Build a tapered tower with a cap and four sails in front."""
    mesh = MeshBuilder()
    height, foot = rng.uniform(2.2, 3.0), rng.uniform(0.75, 1.0)
    neck, wall, cap, sail = foot * rng.uniform(0.5, 0.75), any_colour(rng), any_colour(rng), any_colour(rng)
    sections = int(rng.choice([6, 8, 16]))
    mesh.lathe(wall, [(0, 0), (foot, 0), (neck, height), (0, height)], sections=sections)
    mesh.lathe(cap, [(neck * 1.12, height), (neck * 0.7, height + neck * 0.7), (0, height + neck)], sections=sections)
    mesh.box(any_colour(rng), (0.42, 0.75, 0.2), (0, 0.37, foot - 0.1))
    mesh.box(DARK, (0.28, 0.36, 0.2), (0, height * 0.5, (foot + neck) / 2 - 0.06))
    hub, length = height + neck * 0.15, rng.uniform(1.3, 1.7)
    front = neck + 0.25
    mesh.rod(DARK, (0, hub, 0), (0, hub, front + 0.12), 0.14)
    spar, start, width = timber(rng), rng.uniform(0, 90), rng.uniform(0.3, 0.45)
    for number in range(4):
        angle = np.radians(start + 90 * number)
        along, across = np.array([np.cos(angle), np.sin(angle), 0]), np.array([-np.sin(angle), np.cos(angle), 0])
        centre = np.array([0, hub, front])
        mesh.rod(spar, centre, centre + along * length, 0.06)
        middle = centre + along * length * 0.62 + across * width * 0.5
        mesh.box(sail, (length * 0.72, width, 0.05), middle, (0, 0, np.degrees(angle)))
    return mesh.standing()

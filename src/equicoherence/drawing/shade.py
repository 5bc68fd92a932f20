"""What each face sends back, and from samples to pixels.

Samples lie half a pixel apart, so that every second one, in both directions, is the centre of a pixel: depth, normals
and mask are read there, exactly; a pixel's colour is the mean of the 3 x 3 samples in and around it under a tent.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from equicoherence.drawing.compiled import compiled

DEPTH_STEP = 1 / 4096  # of stored depths, in radii of the object; what is farther than 65535 of them is stored as that

_F = np.float32


@compiled
def light_faces(
    surfaces: Any, rotation: Any, eye: Any, light: Any, tint: Any, lamps: Any, even_floor: bool, lit: Any
) -> None:
    """Write what each face sends back, lit (F + 1, 8) float32; the last is the floor.

    A row holds the colour without direct light, what all of the direct light adds to it, and how the z of light
    coordinates changes along the face with their x and y. Flat and two-sided: a face shows the side that the eye is on.
    surfaces: vertices of the mesh as it is, its faces, their normals (turned) and colours, and the floor's colour; eye:
    its place; light: world to light coordinates; lamps: (4,) light from all sides, what a face that looks up has more,
    from the camera, and the direct light.
    """
    vertices, faces, normals, face_colours, floor_colour = surfaces
    distance = np.sqrt(eye[0] * eye[0] + eye[1] * eye[1] + eye[2] * eye[2])
    for face in range(len(faces) + 1):
        if face < len(faces):
            nx, ny, nz = normals[face, 0], normals[face, 1], normals[face, 2]
            x, y, z = np.float64(0), np.float64(0), np.float64(0)
            for corner in range(3):
                vertex = vertices[faces[face, corner]]
                x += (rotation[0, 0] * vertex[0] + rotation[0, 1] * vertex[1] + rotation[0, 2] * vertex[2]) / 3
                y += (rotation[1, 0] * vertex[0] + rotation[1, 1] * vertex[1] + rotation[1, 2] * vertex[2]) / 3
                z += (rotation[2, 0] * vertex[0] + rotation[2, 1] * vertex[1] + rotation[2, 2] * vertex[2]) / 3
        else:
            nx, ny, nz = _F(0), _F(1), _F(0)
            x, y, z = np.float64(0), np.float64(0), np.float64(0)
        x, y, z = eye[0] - x, eye[1] - y, eye[2] - z
        if nx * x + ny * y + nz * z < 0:
            nx, ny, nz = -nx, -ny, -nz
        toward = abs(nx * eye[0] + ny * eye[1] + nz * eye[2]) / distance  # one direction for all: no seams in a plane
        facing = nx * light[2, 0] + ny * light[2, 1] + nz * light[2, 2]
        direct = lamps[3] * (1.0 if even_floor and face == len(faces) else max(facing, 0.0))
        ambient = lamps[0] + lamps[1] * ny + lamps[2] * toward
        for k in range(3):
            colour = face_colours[face, k] if face < len(faces) else floor_colour[k]
            lit[face, k], lit[face, 3 + k] = colour * ambient, colour * direct * tint[k]
        for k in range(2):
            slope = -(nx * light[k, 0] + ny * light[k, 1] + nz * light[k, 2]) / max(facing, 1e-3)
            lit[face, 6 + k] = slope


@compiled
def filter_colours(colours: Any, image: Any) -> None:
    """Write the pixels (S, S, 3) uint8 of colours (2 S + 1, 2 S + 1, 3) in [0, 1]."""
    size = len(image)
    line = np.empty((2 * size + 1, 3), np.float32)
    for row in range(size):
        for column in range(2 * size + 1):
            for k in range(3):
                middle = colours[2 * row + 1, column, k]
                line[column, k] = colours[2 * row, column, k] + middle + middle + colours[2 * row + 2, column, k]
        for column in range(size):
            for k in range(3):
                middle = line[2 * column + 1, k]
                value = (line[2 * column, k] + middle + middle + line[2 * column + 2, k]) * _F(255 / 16)
                image[row, column, k] = np.uint8(min(value, _F(255)) + _F(0.5))


@compiled
def read_centres(
    nearness: Any, face_at: Any, normals: Any, view: Any, depth: Any, normal: Any, mask: Any, box: Any
) -> None:
    """Write depth (S, S) uint16, normals (S, S, 3) int8, mask (S, S) uint8 and box (4,) from the samples at centres.

    The sky is as far as a depth can say, and has no normal. view: see `shade`.
    """
    camera, eye, pinhole, floor, grazing = view
    size = len(depth)
    n = np.empty(3, np.float32)
    box[0], box[1], box[2], box[3] = size, size, 0, 0
    for row in range(size):
        down = (2 * row + 1 - pinhole[2]) / pinhole[0]
        for column in range(size):
            across = (2 * column + 1 - pinhole[1]) / pinhole[0]
            face = face_at[2 * row + 1, 2 * column + 1]
            mask[row, column] = 1 if face >= 0 else 0
            if face >= 0:
                far = 1.0 / nearness[2 * row + 1, 2 * column + 1]
                n[0], n[1], n[2] = normals[face, 0], normals[face, 1], normals[face, 2]
                box[0], box[1] = min(box[0], column), min(box[1], row)
                box[2], box[3] = max(box[2], column + 1), max(box[3], row + 1)
            else:
                slope = camera[0, 1] * across + camera[1, 1] * down + camera[2, 1]
                seen = slope < -grazing
                far = (floor - eye[1]) / slope if seen else np.inf
                n[0], n[1], n[2] = 0, 1 if seen else 0, 0
            depth[row, column] = np.uint16(min(far / DEPTH_STEP + 0.5, 65535.0))
            x = camera[0, 0] * n[0] + camera[0, 1] * n[1] + camera[0, 2] * n[2]
            y = camera[1, 0] * n[0] + camera[1, 1] * n[1] + camera[1, 2] * n[2]
            z = camera[2, 0] * n[0] + camera[2, 1] * n[1] + camera[2, 2] * n[2]
            sign = -127.0 if x * across + y * down + z > 0 else 127.0
            normal[row, column, 0] = np.int8(np.floor(sign * x + 0.5))
            normal[row, column, 1] = np.int8(np.floor(sign * y + 0.5))
            normal[row, column, 2] = np.int8(np.floor(sign * z + 0.5))
    if box[2] == 0:
        box[0], box[1] = 0, 0

"""Sets for tasks on correspondence: turning spheres whose depth is known in closed form, and pairs of marked points."""

from __future__ import annotations

import numpy as np

from equicoherence.drawing.camera import Camera
from equicoherence.rendering.latent import rotation_matrix
from equicoherence.sets.kinds import PointPair, PointPairSet, PosedViewSet, Surface

CAMERA = Camera(elevation=0.3, distance=3.2, spread=0.335)
RADIUS = 0.9


class PaintedSpheres(PosedViewSet):
    """Views of spheres whose color is a smooth function of the place on them, alike at x and -x where ``alike``.

    angles: (views, 3) in radians about x, y and z, the same for each sphere.
    """

    def __init__(self, angles: np.ndarray, *, spheres: int = 1, size: int = 32, alike: bool = False) -> None:
        self.size, self.alike = size, alike
        self.numbers = np.repeat(np.arange(spheres), len(angles))
        self.rotations = np.stack([rotation_matrix(each) for each in angles] * spheres)

    def __len__(self) -> int:
        return len(self.numbers)

    def name(self, index: int) -> str:
        return f"view {index}"

    def points(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the depth (S, S), the mask (S, S) and the sphere's own points (S, S, 3) at the pixels' centres."""
        extrinsics = CAMERA.extrinsics()
        across = np.arange(self.size) + 0.5
        pixels = np.stack([*np.meshgrid(across, across), np.ones((self.size, self.size))], axis=-1)
        rays = pixels @ np.linalg.inv(CAMERA.intrinsics(self.size)).T  # of depth 1, from the camera
        middle = extrinsics[:3, 3]  # of the sphere, in camera coordinates
        a, b, c = (rays**2).sum(-1), rays @ middle, middle @ middle - RADIUS**2
        under = b**2 - a * c
        depth = np.where(under > 0, (b - np.sqrt(np.maximum(under, 0))) / a, 10.0)
        world = (rays * depth[..., None] - middle) @ extrinsics[:3, :3]
        return depth, under > 0, world @ self.rotations[index]

    def image(self, index: int) -> np.ndarray:
        _, mask, points = self.points(index)
        points = points * (3, 4, 5)
        if self.alike:
            points = np.abs(points * (1, 0, 0)) + points * (0, 1, 1)
        colors = 127 + 120 * np.sin(points + self.numbers[index])
        return np.where(mask[..., None], colors, 20).astype(np.uint8)

    def surface(self, index: int) -> Surface:
        depth, mask, _ = self.points(index)
        return Surface(depth.astype(np.float32), mask, CAMERA.intrinsics(self.size), CAMERA.extrinsics())


class MarkedNoise(PointPairSet):
    """Smooth images of several sizes, each second one the first of its pair moved by a few pixels, with points."""

    def __init__(self, count: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self._images, pairs = [], []
        for number in range(count):
            height, width = 40 + 4 * (number % 3), 36 + 8 * (number % 2)
            coarse = rng.integers(0, 255, (6, 6, 3))
            large = np.kron(coarse, np.ones((12, 12, 1))).astype(np.uint8)
            down, across = rng.integers(0, 8, 2)
            self._images += [large[8 : 8 + height, 8 : 8 + width], large[down : down + height, across : across + width]]
            points = rng.integers(8, 32, (4 + number % 3, 2)).astype(np.float32)
            moved = points + np.array([8 - across, 8 - down])
            box = float(rng.integers(20, 40))
            category = ("cat", "dog")[number % 2]
            pairs.append(PointPair(category, 2 * number, 2 * number + 1, points, moved.astype(np.float32), box))
        self.pairs = tuple(pairs)

    def __len__(self) -> int:
        return len(self._images)

    def name(self, index: int) -> str:
        return f"noise {index}"

    def image(self, index: int) -> np.ndarray:
        return self._images[index]

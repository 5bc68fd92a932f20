"""Frames at the size of the input, read bilinearly without antialiasing, as the published evaluations do."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F


def resize_bilinear(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Squash a frame (H, W, 3) uint8 to (h, w, 3): each pixel's centre is read between the four nearest of the frame.

    The map of OpenCV's ``resize`` with its default filter: pixels are skipped, not averaged, where a frame is shrunk.
    OpenCV rounds weights of bytes to 1/2048, so that a few values differ by 1.
    """
    if pixels.shape[:2] == size:
        return pixels
    frame = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    resized = F.interpolate(frame, size, mode="bilinear", align_corners=False, antialias=False)
    return resized[0].round().byte().permute(1, 2, 0).numpy()

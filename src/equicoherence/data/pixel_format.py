"""How many channels the images of a source have, and how many bits each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PixelFormat:
    """Channels and bits that images are kept with: 3 of 8 bits, unless they have others.

    channels: 3 for pictures, gray ones too, whose channels are all alike.
    bits: 8 or 16 a channel; what is deeper, whole numbers of 32 bits and floats, is stretched to 16.
    """

    channels: int = 3
    bits: int = 8

    @property
    def dtype(self) -> type[np.uint8 | np.uint16]:
        """Type of the values of images."""
        return np.uint8 if self.bits == 8 else np.uint16

    @property
    def white(self) -> int:
        """The largest value."""
        return 2**self.bits - 1

    @property
    def words(self) -> str:
        """What it is, in words; "" for pictures of 8 bits."""
        parts = [f"{self.channels} channels"] if self.channels != 3 else []
        return " of ".join([*parts, *([f"{self.bits} bits"] if self.bits != 8 else [])])

    def check_image(self, own: PixelFormat) -> None:
        """Raise ValueError where an image of the format ``own`` has other channels, or more bits."""
        if own.channels != self.channels:
            raise ValueError(f"it has {own.channels} channels, where the other images have {self.channels}")
        if own.bits > self.bits:
            raise ValueError(
                f"it has {own.bits} bits a channel, where the other images have {self.bits}: its depth would be lost; "
                "convert it, or keep such images together"
            )

    def check(self, channels: int, images: str, encoder: str, advice: str = "") -> None:
        """Raise ValueError where an encoder takes images of other ``channels``; the others are words for it."""
        if self.channels != channels:
            raise ValueError(
                f"{images} has images of {self.channels} channels, but {encoder} takes {channels}; "
                + (advice or "give other images, or an encoder for these")
            )


PICTURE = PixelFormat()
BACKGROUND = 0.5
"""What transparent pixels show, of white: mid-grey, equally far from dark and from light foregrounds."""

"""A rendering process: a plan in, raw bytes out. It needs numpy, trimesh and embreex, and no torch."""

from __future__ import annotations

import json
import sys

from equicoherence.data.objects.draw import Plan, draw_object


def main(order: str) -> None:
    """Draw the objects ``start``, ``start + stride``, ... of a plan (JSON); write each one's images, then its poses."""
    wanted = json.loads(order)
    plan = Plan(**wanted["plan"])
    for label, number in plan.jobs[wanted["start"] :: wanted["stride"]]:
        images, poses = draw_object(plan, label, number)
        sys.stdout.buffer.write(images.tobytes())
        sys.stdout.buffer.write(poses.tobytes())
        sys.stdout.buffer.flush()

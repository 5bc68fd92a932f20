"""Where in a file an encoder's weights stand, and by which names: prefixes and layouts of those who train encoders."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

Renames = tuple[tuple[str, str], ...]  # (pattern, replacement), each applied to a name that has lost its prefix
LAYOUTS: dict[str, Renames] = {
    "timm": (),  # also of DINO, iBOT, MAE, MoCo v3, I-JEPA, SIE and torchvision's ResNets
    "DINOv2": (
        (r"^blocks\.\d+\.(\d+)\.", r"blocks.\1."),  # blocks in chunks are numbered through
        (r"^register_tokens$", "reg_token"),
        (r"\.mlp\.w12\.", ".mlp.fc1."),
        (r"\.mlp\.w3\.", ".mlp.fc2."),
    ),
    "ResNet as nn.Sequential": (  # of its children, as lightly's examples have it
        (r"^0\.", "conv1."),
        (r"^1\.", "bn1."),
        *((rf"^{number + 3}\.", f"layer{number}.") for number in (1, 2, 3, 4)),
    ),
    "torchvision transformer": (
        (r"^conv_proj\.", "patch_embed.proj."),
        (r"^class_token$", "cls_token"),
        (r"^encoder\.pos_embedding$", "pos_embed"),
        (r"^encoder\.layers\.encoder_layer_(\d+)\.", r"blocks.\1."),
        (r"\.ln_([12])\.", r".norm\1."),
        (r"\.self_attention\.in_proj_", ".attn.qkv."),
        (r"\.self_attention\.out_proj\.", ".attn.proj."),
        (r"\.mlp\.(0|linear_1)\.", ".mlp.fc1."),
        (r"\.mlp\.(3|linear_2)\.", ".mlp.fc2."),
        (r"^encoder\.ln\.", "norm."),
        (r"^heads\.(head\.)?", "head."),
    ),
}
FIRST = ("learner.encoder.",)  # of our own checkpoints, as evaluating their run takes it
TEACHERS = {"teacher", "target", "ema"}  # words of a prefix; I-JEPA's target_encoder among them
LAST = {"student", "momentum"}  # beside a teacher, or (MoCo, BYOL) beside the encoder that is meant


@dataclass(frozen=True)
class LayoutMatch:
    """Where an encoder stands in a file. names: timm's name -> name in the file, of all tensors below ``prefix``."""

    prefix: str
    layout: str
    names: dict[str, str]


def find_matches(names: Collection[str], wanted: Collection[str]) -> list[LayoutMatch]:
    """Return where most of the ``wanted`` tensors are found among the ``names`` of a file, the best match first.

    Of several that hold equally many, a teacher comes first, and a student or a momentum encoder last.
    """
    wanted = set(wanted)
    found: list[tuple[tuple[int, int, int], LayoutMatch]] = []
    for prefix in _prefixes(names, len(wanted)):
        below = [name for name in names if name.startswith(prefix)]
        for layout, renames in LAYOUTS.items():
            renamed = {_rename(name[len(prefix) :], renames): name for name in below}
            if len(renamed) == len(below):  # else the layout is another
                match = LayoutMatch(prefix, layout, renamed)
                found.append(((-len(wanted & renamed.keys()), _rank(prefix), len(prefix)), match))
    most = min(found, key=lambda entry: entry[0])[0][0]
    best: dict[str, LayoutMatch] = {}  # of each prefix the first layout
    for _, match in sorted((entry for entry in found if entry[0][0] == most), key=lambda entry: entry[0]):
        best.setdefault(match.prefix, match)
    return list(best.values())


def _prefixes(names: Collection[str], wanted: int) -> list[str]:
    """Return the prefixes, ending in dots, below which at least half as many tensors stand as are wanted; and ""."""
    counts: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        counts.update(".".join(parts[:depth]) + "." for depth in range(1, len(parts)))
    return ["", *(prefix for prefix, count in counts.items() if 2 * count >= wanted)]


def _rename(name: str, renames: Renames) -> str:
    for pattern, replacement in renames:
        name = re.sub(pattern, replacement, name)
    return name


def _rank(prefix: str) -> int:
    if prefix.startswith(FIRST):
        return 0
    words = set(re.split(r"[._]", prefix))
    return 1 if words & TEACHERS else 3 if words & LAST else 2

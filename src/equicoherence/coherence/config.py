"""Settings of the auxiliary task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from equicoherence.errors import unknown
from equicoherence.models.decoders import DECODERS
from equicoherence.paths.views import Spacing

ORACLE = "oracle"
TARGETS = ("intermediate", "final", "views", "either", "base", "intermediate+final")
OWN = "own"
CONVOLUTIONAL = ("conv", "moments")  # splits that read several layers


@dataclass(frozen=True)
class CoherenceConfig:
    """Settings of the task; defaults are [P2]'s.

    Args:
        d_equi: Number of equivariant features of z (z_equi).
        states: Number K of intermediate states that are reconstructed; 0 or more.
        targets: What is reconstructed: intermediate, final (view 2), views (view 2, and view 1 from the views
            in the other order), either (of each sample one of these two, which is half of the work), base (u) or
            intermediate+final; or each decoder's own: views for cross-attention, as in [P1], intermediate for
            the others, as in [P2]; the oracle has none. Of several decoders, one for all of them, or one for each in
            their order, with commas between. Or by name, cross-attention=either, with commas between: decoders that
            are not named have their own, and names of decoders that are not used change nothing.
        weight: Lambda, the weight of the loss of each decoder.
        decoder: Decoder of the states: conv [P2], cross-attention [P1] (cross-attention-other: from the tokens of
            view 1 alone), render (ours), geodesic (ours, for views.path between), solid (ours, for views.path poses),
            or several on one z_equi, with + between: render+cross-attention. Or oracle, which regresses theta as
            labels: alone it is the control, beside other decoders it adds labels to the method, which cost nothing
            where training draws g itself.
        parts: What the render decoder predicts, among affine, color, blur, flow.
        width: Channels inside the cross-attention decoder, a multiple of 4; its time grows with their square.
        scales: Sides, in pixels, of the squares over which the error of the geodesic and the solid decoder is
            averaged before it is squared, so that large shifts are felt.
        spacing: Where the K states lie on the path: at k / (K + 1) (even [P2]), or each is drawn for each image
            and step, in its own K-th of the path, and the decoder is conditioned on it (random).
        layers: Encoder layers that z_equi is read from, counted from 0 (negative ones from the last); empty for
            the output. The first one's tokens are those of z_equi.
        split: How z_equi is read: by a linear map of the patch tokens of one layer (linear), by a small
            convolutional head over one layer or several (conv, see `LayeredHead`; moments: some of its
            channels are weighted by the place of a token, so that their mean tells it), or as the last d_equi
            outputs of the method's own head, as published for iBOT and DINOv2 (head).
        share: Share, in (0, 1], of the samples of a batch (of each process and part) that has the task: the first
            ones, which are a random choice; a part of a sample is rounded up. The others cost no time of the
            task.
    """

    d_equi: int = 256
    states: int = 2
    targets: str = OWN
    weight: float = 1.0
    decoder: str = "conv"
    parts: tuple[str, ...] = ("affine", "color", "blur")
    width: int = 256
    scales: tuple[int, ...] = (2, 4)
    spacing: Spacing = "even"
    layers: tuple[int, ...] = ()
    split: Literal["linear", "conv", "moments", "head"] = "linear"
    share: float = 1.0

    def __post_init__(self) -> None:
        """Refuse combinations that would train nothing."""
        if self.d_equi < 1:
            raise ValueError(f"d_equi must be at least 1, got {self.d_equi}; without the task, leave coherence out")
        if self.states < 0:
            raise ValueError(f"states must be 0 or more, got {self.states}")
        if self.width < 4 or self.width % 4:
            raise ValueError(f"coherence.width must be a multiple of 4, got {self.width}")
        if not 0 < self.share <= 1:
            raise ValueError(f"coherence.share must lie in (0, 1], got {self.share}; without the task, --no-coherence")
        if self.split == "head" and self.layers:
            raise ValueError(
                f"the method's head reads the output, so with coherence.split head coherence.layers must be empty, got "
                f"{self.layers}"
            )
        if self.split == "linear" and len(self.layers) > 1:
            raise ValueError(
                f"coherence.split linear reads one layer, but coherence.layers are {self.layers}: name one, or give "
                "--coherence.split conv"
            )
        if not self.scales or min(self.scales) < 1 or any(side % min(self.scales) for side in self.scales):
            raise ValueError(
                f"coherence.scales must be sides of 1 pixel or more, multiples of the smallest, got {self.scales}"
            )
        self._check_decoders()
        self._check_states()

    def _check_decoders(self) -> None:
        names = self.decoders
        for name in names:
            if name not in (*DECODERS, ORACLE):
                raise unknown("decoder", name, (*DECODERS, ORACLE))
        if len(set(names)) < len(names):
            raise ValueError(f"coherence.decoder {self.decoder!r} names one decoder twice: name each once")
        for name, targets in self.targets_of().items():
            if DECODERS[name].from_view2 and targets not in ("intermediate", "base"):
                drawn = self.reconstructing
                others = "" if len(drawn) == 1 else f", with commas one for each of {', '.join(drawn)}"
                raise ValueError(
                    f"the {name} decoder starts from view 2, so targets {targets!r} would be free: "
                    f"choose intermediate or base{others}, or another decoder"
                )
            if DECODERS[name].path and targets != "intermediate":
                raise ValueError(
                    f"the {name} decoder starts from both ends of the path, so targets {targets!r} would be free: "
                    "choose intermediate, or another decoder"
                )

    def _check_states(self) -> None:
        """Refuse a decoder that is left without a target beside others, and places that nothing has."""
        positions = self.positions_of()
        idle = [name for name, places in positions.items() if not places]
        if 0 < len(idle) < len(self.decoders):
            raise ValueError(
                f"coherence.states is {self.states}, so the {idle[0]} decoder of {self.decoder!r} has nothing to "
                "reconstruct: leave it out, or give --coherence.states 1 or more"
            )
        if self.spacing == "random" and not any(0 < place < 1 for place in self.positions()):
            raise ValueError(
                f"coherence.spacing is random, but of decoder {self.decoder!r} nothing is reconstructed between the "
                "ends of the path, so there is no place to draw: give --coherence.spacing even, or a decoder that has "
                "intermediate targets (--coherence.states 1 or more)"
            )

    @property
    def decoders(self) -> tuple[str, ...]:
        """Names of the decoders."""
        return tuple(self.decoder.split("+"))

    @property
    def reconstructing(self) -> tuple[str, ...]:
        """Names of the decoders that reconstruct something: all but the oracle."""
        return tuple(name for name in self.decoders if name != ORACLE)

    def targets_of(self) -> dict[str, str]:
        """Return decoder -> what it reconstructs, of `TARGETS`."""
        names = self.reconstructing
        asked = self._named_targets() if "=" in self.targets else self._targets_in_order(names)
        targets = {name: asked.get(name, OWN) for name in names}
        return {name: DECODERS[name].targets if target == OWN else target for name, target in targets.items()}

    def _targets_in_order(self, names: tuple[str, ...]) -> dict[str, str]:
        """Return decoder -> targets of text such as own,either: one for all ``names``, or one for each."""
        targets = [_known(target) for target in self.targets.split(",")]
        if targets != [OWN] and not names:
            raise ValueError(
                f"coherence.decoder is {self.decoder!r}, which reconstructs nothing: leave coherence.targets out, got "
                f"{self.targets!r}"
            )
        if len(targets) not in (1, len(names)):
            raise ValueError(
                f"coherence.targets {self.targets!r} are {len(targets)}, but of coherence.decoder {self.decoder!r} "
                f"{len(names)} reconstruct something: give one for all, or one for each"
            )
        return dict(zip(names, targets * len(names) if len(targets) == 1 else targets))

    def _named_targets(self) -> dict[str, str]:
        """Return decoder -> targets of text such as cross-attention=either,conv=final."""
        named: dict[str, str] = {}
        for part in self.targets.split(","):
            name, given, targets = (text.strip() for text in part.partition("="))
            if not given:
                raise ValueError(
                    f"coherence.targets {self.targets!r} names a decoder in some parts only: write NAME=TARGETS in "
                    "each, or in none"
                )
            if name == ORACLE:
                raise ValueError(
                    f"coherence.targets {self.targets!r} name the oracle, which reconstructs nothing: leave it out"
                )
            if name not in DECODERS:
                raise unknown("decoder", name, DECODERS)
            if name in named:
                raise ValueError(f"coherence.targets {self.targets!r} names the {name} decoder twice: name it once")
            named[name] = _known(targets)
        return named

    def positions_of(self) -> dict[str, tuple[float, ...]]:
        """Return decoder -> where on the path its targets lie: 0 is the base image u, 1 is view 2."""
        between = tuple(k / (self.states + 1) for k in range(1, self.states + 1))
        places = {
            "intermediate": between,
            "final": (1.0,),
            "views": (1.0,),
            "either": (1.0,),
            "base": (0.0,),
            "intermediate+final": (*between, 1.0),
        }
        return {name: places[targets] for name, targets in self.targets_of().items()}

    def positions(self) -> tuple[float, ...]:
        """Return where on the path the targets of all decoders lie, in order, each once."""
        return tuple(sorted({place for places in self.positions_of().values() for place in places}))


def _known(targets: str) -> str:
    if targets not in (OWN, *TARGETS):
        raise unknown("targets", targets, (OWN, *TARGETS))
    return targets

"""Retrieval of a predicted view: is the feature that a predictor expects after a rotation the nearest to the true one?

[SIE; Garrido et al., 2023, table 2] A source view and what changes to a target view give a predicted feature; the views
of the same object, source included, are ranked by their cosine to it. Equal cosines (closer than 1e-6, float32's
rounding) count as what a random order among them scores on average: a collapsed encoder or a predictor that says
nothing scores at chance. Their average rank would not (MRR .04 of 50 views instead of .09).

PRE is the error of the pose of the nearest view: ``pre`` of the object's own views, ``pre_split``, SIE's figure, of
all views of the split. Both are to be read beside their floors: where extreme poses lie nearest to most of feature
space, a random predictor of good features is worse than chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.devices import float64
from equicoherence.evaluation.poses.nearest_view import TIE, WholeSplit
from equicoherence.evaluation.poses.quaternions import pose_errors
from equicoherence.evaluation.poses.renders import Renders, view_changes
from equicoherence.evaluation.task import Row
from equicoherence.finite import NotFinite

Predictor = Callable[[Tensor, Tensor], Tensor]  # features (N, C), theta (N, T, 6) of `view_changes` -> (N, T, C)
METRICS = ("mrr", "hit_at_1", "hit_at_5", "pre", "pre_split")
ELEMENTS = 2**25  # of the largest tensors held at a time


def retrieval(
    renders: Renders,
    representation: str,
    predictor: Predictor,
    name: str,
    *,
    sources: int | None = None,
    source_counts: bool = False,
) -> Iterator[Row]:
    """Yield rows of MRR, H@1, H@5 (higher is better) and PRE (lower is) of a predictor, and of the identity.

    name: what the predictor is, `OwnPredictor.name` or `LinearMap.name`; the rows' ``probe``.
    sources: the first so many views of each object are sources, all if None; every other view is a target.
    source_counts: whether the source is a target too, from which nothing changes.

    Every row has a ``floor``, the score of the mean feature as the prediction, and a ``chance``, of a random order. The
    probe ``identity`` has the source itself as the prediction, which has H@1 of no other target.
    """
    features = renders.features[representation]
    mean = torch.stack([part.float().sum(dim=(0, 1)) for part in features.split(1024)]).sum(dim=0)

    def constant(first: Tensor, theta: Tensor) -> Tensor:
        return mean.expand(*theta.shape[:2], -1)

    def identity(first: Tensor, theta: Tensor) -> Tensor:
        return first[:, None].expand(-1, theta.shape[1], -1)

    floor = retrieval_scores(renders, representation, constant, sources=sources, source_counts=source_counts)
    chance = retrieval_chance(renders.rotations)
    for probe, guess in ((name, predictor), ("identity", identity)):
        found = retrieval_scores(renders, representation, guess, sources=sources, source_counts=source_counts)
        for metric in METRICS:
            value, least, lucky = (scored[metric] for scored in (found, floor, chance))
            yield Row(metric, value, representation=representation, probe=probe, floor=least, chance=lucky)


@torch.no_grad()
def retrieval_scores(
    renders: Renders,
    representation: str,
    predictor: Predictor,
    *,
    sources: int | None = None,
    source_counts: bool = False,
) -> dict[str, float]:
    """Return the mean of each of `METRICS` over objects, sources and targets; arguments as of `retrieval`.

    The predictor gets the features (N, C) of sources, as they are, and theta (N, V, 6), what changes from each to all
    views of its object, as `view_changes` gives it, and returns the features (N, V, C) it expects.
    Raises ValueError for ``sources`` outside 1 to V and predictions of another shape, `NotFinite` where one is not.
    """
    features = renders.features[representation]
    objects, views, width = features.shape
    sources = views if sources is None else sources
    if not 1 <= sources <= views:
        raise ValueError(f"sources is {sources}, but must be 1 to {views}, the views of an object")
    size = max(1, ELEMENTS // (sources * views * max(width, views)))
    totals, finite = [], []
    split = WholeSplit(features, renders.rotations)
    targets = torch.ones(sources, views, dtype=torch.bool, device=features.device)
    if not source_counts:
        targets.fill_diagonal_(False)
    for z, q, hues in zip(*(part.split(size) for part in (features, renders.rotations, renders.hues))):
        theta = view_changes(q, hues, sources)
        predicted = predictor(z[:, :sources].flatten(0, 1).float(), theta.flatten(0, 1))
        if predicted.shape != (len(z) * sources, views, width):
            raise ValueError(f"the predictor returned {tuple(predicted.shape)}, not {(len(z) * sources, views, width)}")
        if predicted.stride(1) == 0:  # one and the same for all targets: sought once
            predicted = predicted[:, :1]
        predicted = F.normalize(predicted.float(), dim=-1)
        finite.append(predicted.isfinite().all())
        of_split = split.errors(predicted, q.repeat_interleave(sources, dim=0)).unflatten(0, (len(z), sources))
        predicted = predicted.expand(-1, views, -1).unflatten(0, (len(z), sources)).flatten(1, 2)
        cosines = predicted @ F.normalize(z.float(), dim=-1).transpose(1, 2)
        found = rank_scores(cosines.unflatten(1, (sources, views)), pose_errors(q, q))
        totals.append(float64(torch.cat([found, of_split[None]]) * targets).sum(dim=(1, 2, 3)))
    if not bool(torch.stack(finite).all()):
        raise NotFinite("the predictor returned features that are not finite")
    means = torch.stack(totals).sum(dim=0) / (objects * int(targets.sum()))
    return dict(zip(METRICS, means.tolist()))


def rank_scores(cosines: Tensor, errors: Tensor) -> Tensor:
    """Return the `METRICS` (4, O, S, V) of each prediction, all but the last, ties as the mean over their orders.

    cosines: (O, S, V, V), of the prediction for source s and target t with each view. errors: (O, V, V) between poses.
    """
    views = cosines.shape[-1]
    true = cosines.diagonal(dim1=-2, dim2=-1)[..., None]
    before = (cosines > true + TIE).sum(dim=-1)
    tied = ((cosines - true).abs() <= TIE).sum(dim=-1)  # the true view is one of them
    harmonic = F.pad(1 / torch.arange(1, views + 1, device=cosines.device), (1, 0)).cumsum(dim=0)
    reciprocal = (harmonic[before + tied] - harmonic[before]) / tied
    hits = [(k - before).clamp_min(0).minimum(tied) / tied for k in (1, 5)]
    nearest = (cosines >= cosines.amax(dim=-1, keepdim=True) - TIE).to(errors.dtype)
    error = torch.einsum("ostv,otv->ost", nearest, errors) / nearest.sum(dim=-1)
    return torch.stack([reciprocal, *hits, error])


def retrieval_chance(rotations: Tensor) -> dict[str, float]:
    """Return the `METRICS` of a random order of the V views of rotations (O, V, 4).

    .09, .02, .10 for 50 views; PRE .61 to .63 for poses as in 3DIEBench.
    """
    views = rotations.shape[1]
    mrr = sum(1 / rank for rank in range(1, views + 1)) / views
    errors = torch.stack([float64(pose_errors(q, q)).mean(dim=(1, 2)).sum() for q in rotations.split(1024)])
    pre = float(errors.sum()) / len(rotations)
    q = float64(rotations.flatten(0, 1))
    pre_split = 1 - float((q.T @ q / len(q)).square().sum())  # the mean over all pairs of 1 - (q . q')^2
    return dict(zip(METRICS, (mrr, min(1, views) / views, min(5, views) / views, pre, pre_split)))

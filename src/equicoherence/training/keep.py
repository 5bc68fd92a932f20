"""Measurements during a run, and the state that it ends with if too much is lost."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from equicoherence.finite import NotFinite
from equicoherence.metric_fields import ENDS_WITH
from equicoherence.notice import say
from equicoherence.training.checkpoint import checkpoint_of, load_checkpoint
from equicoherence.training.health import REMEDY
from equicoherence.training.parts import Parts


class NotKept(RuntimeError):
    """The encoder has lost more than ``keep`` allows."""


def measure(run: Parts, step: int) -> bool:
    """Measure the encoder after ``step`` steps: on held-out images, and how much it has kept; return whether
    that state is good, as `Watch` says.

    All processes call this together; the first one measures. Raises, on all of them, `NotKept` where too much is lost,
    and `NotFinite` where the encoder's features are not.
    """
    weights, watch = run.weights(), run.watch
    good, lost, broken = False, "", None
    try:
        if run.held_out is not None:
            run.metrics.note(step, run.held_out.measure(weights))
        if watch is not None:
            seen = watch.measure(step, weights)
            run.metrics.note(step, watch.fields(seen))
            good, lost = watch.is_kept(seen), watch.sentence(seen) if watch.is_lost(seen) else ""
            if step == run.total and not lost:
                say(f"{run.out}: {watch.sentence(seen)}")
    except NotFinite as error:
        broken = error
    run.metrics.restart_clock()
    if run.any_process(broken is not None):
        raise broken or NotFinite("the features of the watched images are not finite")
    if run.any_process(bool(lost)):
        raise NotKept(lost)
    return run.any_process(good)


def last_good(run: Parts, error: NotFinite | NotKept) -> Mapping[str, Tensor]:
    """Return the weights of the last good state, and say what happened.

    error: what ended the training; raised again if nothing is measured. The weights are on the first process alone.
    """
    if not run.config.keep:
        raise error
    if run.watch is None:
        return {}
    step, lost = run.watch.good
    state = f"its state after step {step}, with {max(0.0, lost):.4f} lost" if step else "what it began with"
    said = f"{str(error).removesuffix(f'; {REMEDY}')}; so the run ends with {state}"
    weights = load_checkpoint(checkpoint_of(run.out, step))["learner"]
    run.metrics.note(run.metrics.step, {"stopped": said, ENDS_WITH: step})
    say(f"{run.out}: {said}")
    return weights

"""Measurements during a run, and the state that it ends with if too much is lost."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from torch import Tensor

from equicoherence.files import Damaged
from equicoherence.finite import NotFinite
from equicoherence.metric_fields import ENDS_WITH, STOPPED
from equicoherence.notice import say
from equicoherence.training.checkpoint import checkpoint_of, load_checkpoint, step_of
from equicoherence.training.new_run import checkpoints
from equicoherence.training.parts import Parts
from equicoherence.training.resume_command import ADAPTS, resume_command


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

    error: what ended the training. The weights are on the first process alone.

    Raises `NotFinite`, with what is left of the run and what to do, if no state is known as good: where nothing is
    measured (``keep`` is 0) and `adapt` did not begin the run, or has no good checkpoint.
    """
    if run.config.keep:
        if run.watch is None:
            return {}
        step, lost = run.watch.good
        state = f"its state after step {step}, with {max(0.0, lost):.4f} lost" if step else "what it began with"
        found = load_checkpoint(checkpoint_of(run.out, step))
        return _ending(run, step, found, f"{error}; so the run ends with {state}")
    step, whole = _newest_good(run)
    if not run.any_process(whole is not None):
        raise _broken(run, error) from error
    if whole is None:  # not the first process
        return {}
    advice = "to train further, begin again in another --out with a lower --optim.lr"
    return _ending(run, step, whole, f"{error}; so the run ends with its state after step {step}; {advice}")


def _ending(run: Parts, step: int, checkpoint: Mapping[str, Any], said: str) -> Mapping[str, Tensor]:
    """Note and say that the run ends with a checkpoint, that of ``step``; return its weights."""
    run.metrics.note(run.metrics.step, {STOPPED: said, ENDS_WITH: step})
    say(f"{run.out}: {said}")
    return checkpoint["learner"]


def _newest_good(run: Parts) -> tuple[int, Mapping[str, Any] | None]:
    """Return step and content of the newest checkpoint from before the loss broke, of a run that `adapt` began.

    None on other processes than the first, for other runs, and where there is none, or the folder cannot be read: the
    other processes wait for the first one, so nothing is raised here. The state that the first broken loss was computed
    with is not good, although its weights are finite.
    """
    bad = run.metrics.step if run.metrics.broken is None else run.metrics.broken - 1
    try:
        if not run.accelerator.is_main_process or not (run.out / ADAPTS).is_file():
            return 0, None
        for path in checkpoints(run.out):
            if step_of(path) < bad:
                with suppress(Damaged):
                    return step_of(path), load_checkpoint(path)
    except OSError as error:
        say(f"{run.out} has no checkpoint that the run could end with: it cannot be read ({error.strerror})")
    return 0, None


def _broken(run: Parts, error: NotFinite | NotKept) -> NotFinite:
    """Note why a run ends that measures nothing; return the error that says so, what is left, and what to do."""
    found, optim = checkpoints(run.out), run.config.optim
    broken, lower = run.metrics.broken or run.metrics.step, f"--optim.lr {optim.lr / 10:g}"
    gentler = [] if 0 < optim.clip <= 1 else ["--optim.clip 1"]
    if found:
        newest = step_of(found[0])
        said = f"{error}; its newest checkpoint is of step {newest}"
        advice = f"`evaluate`, `embed` and `export` take {run.out} as it was then. Go on from there with "
        if broken == newest + 1:
            said += ", right before"
            before = f"go on from step {step_of(found[1])}" if found[1:] else "begin again"
            advice = f"Move {found[0]} away to {before}, or keep it; in both cases go on with "
        advice += f"{' or with '.join(['a lower rate', *gentler])}: {resume_command(run.out, lower)}"
    else:
        said = f"{error}, before the first checkpoint"
        gentler += [] if run.precision == "fp32" else ["--precision fp32"]
        advice = f"Begin again, in the same --out or in another, with {' or '.join(['a lower --optim.lr', *gentler])}"
    run.metrics.note(run.metrics.step, {STOPPED: said})
    return NotFinite(f"{said}. {advice}")

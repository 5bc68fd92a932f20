"""The run directory: start, continue and read a run."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from equicoherence.data import ImageSource, data_identity, some_sizes
from equicoherence.data.loader import usable_cores
from equicoherence.metric_fields import CHANGED
from equicoherence.models.model_folder import check_run_folder
from equicoherence.models.shared_files import HEADS, WEIGHTS
from equicoherence.models.trained_lora import merge_lora
from equicoherence.notice import say
from equicoherence.tensor_files import read_safetensors
from equicoherence.training.build import build_learner, build_whole
from equicoherence.training.checkpoint import newest_whole_checkpoint, step_of
from equicoherence.training.config import PretrainConfig
from equicoherence.training.config_file import differences, from_dict, load_config, save_config
from equicoherence.training.learner import Learner
from equicoherence.training.metrics import Metrics, drop_after, has_stopped
from equicoherence.training.new_run import check_new_run, checkpoints, config_to_resume
from equicoherence.training.resume_command import resume_command
from equicoherence.training.trackers import FOLDER, IDENTITIES

ENCODER = "encoder.model."  # begins the names of the timm model's weights in a learner
FREE = (
    "encoder.weights",
    "bad_image_tolerance",
    "threads",
    "cache",
    "log_every",
    "checkpoint_every",
    "watch",
    "track",
    "sharding",
    "device",
)
"""Fields that do not change the result of a run, so a resumed run may have other values.

Of weights to start from, the fingerprint counts, not the place."""
GENTLER = ("optim.lr", "optim.clip")
"""Fields that may also change where a loss was not finite, until the next checkpoint: with the same it would be so
again."""


def check_run(config: PretrainConfig, out: Path, resume: bool) -> None:
    """Check that ``out`` can become a new run, or is this run, to be continued; nothing is written.

    A run that ended before its first checkpoint cannot be continued, and may be started again.

    Raises FileExistsError for a directory in use, FileNotFoundError for nothing to resume, ValueError for a resumed run
    whose configuration is another.
    """
    if not resume:
        check_new_run(out)
        return
    saved = checkpoints(out)
    unsaved = not saved or has_stopped(out / "metrics.jsonl", since=step_of(saved[0]))
    free = (*FREE, *GENTLER) if unsaved and not is_finished(out) else FREE
    changed = other_results(load_config(config_to_resume(out), whole=True), config, free)
    if changed:
        raise ValueError(
            f"{out} was started with another configuration, so it cannot be resumed: {'; '.join(changed)}; "
            f"to go on with its own: {resume_command(out)}"
        )


def other_results(before: PretrainConfig, now: PretrainConfig, free: Sequence[str] = FREE) -> list[str]:
    """Return one line for each field in which a run's configuration and another give other results.

    free: fields that may differ. Where the data are is none of it: the images are compared themselves (`check_same`).
    """
    changed = differences(before, now)
    return [f"{name}: {change}" for name, change in changed.items() if name not in (*free, "data")]


def begin_run(config: PretrainConfig, out: Path, step: int, trained: Mapping[str, Any] | None = None) -> None:
    """Make the directory of a run that begins, or cut what a resumed one wrote after ``step``, its checkpoint's.

    Nothing is kept of a start without a checkpoint. The file of a resumed run has the changed fields.

    trained: configuration that the checkpoint was trained with; that of the file if None.
    """
    path = out / "config.yaml"
    if not step:
        for name in ("metrics.jsonl", "bad_images.txt", IDENTITIES):
            (out / name).unlink(missing_ok=True)
        shutil.rmtree(out / FOLDER, ignore_errors=True)
        out.mkdir(parents=True, exist_ok=True)
        save_config(config, path)
        return
    drop_after(out / "metrics.jsonl", step)
    before = load_config(path)
    changed = differences(before, config)
    if others := other_results(from_dict(dict(trained)) if trained else before, config):
        Metrics(out / "metrics.jsonl", start=step).note(step, {CHANGED: f"from step {step} on {'; '.join(others)}"})
    if data_identity(before.data) == data_identity(config.data):
        changed.pop("data", None)
    if changed:
        say(f"{out} goes on with {'; '.join(f'{name}: {change}' for name, change in changed.items())}")
        save_config(config, path)


def check_shared(steps: list[int], out: Path) -> None:
    """Raise ValueError where the processes of a job found checkpoints of different ``steps`` in ``out``."""
    if len(set(steps)) > 1:
        found = ", ".join(f"process {rank} step {step}" for rank, step in enumerate(steps))
        raise ValueError(
            f"the processes of this job see different checkpoints in {out} ({found}; 0 is none): --out must be a "
            "folder that all nodes share"
        )


def shape_of(processes: int, source: ImageSource) -> dict[str, Any]:
    """Return what must stay the same for a run to be resumed: processes, number of images, digest of their names, and
    sizes of some of their files."""
    digest = hashlib.blake2b(digest_size=8)
    for index in range(len(source)):
        digest.update(f"{source.name(index)}\n".encode(errors="surrogatepass"))
    return {"processes": processes, "images": len(source), "names": digest.hexdigest(), "sizes": some_sizes(source)}


def check_same(before: Mapping[str, Any], now: Mapping[str, Any], out: Path) -> None:
    """Raise ValueError where a resumed run has other processes or images, and so another order and schedule.

    Images of the same names are others where most files have other sizes: some may have been repaired.
    """
    changed = [
        f"{name} {before.get(name)} -> {now[name]}" for name in ("processes", "images") if before.get(name) != now[name]
    ]
    if not changed and before.get("names") != now["names"]:
        changed = ["the names of its images, or their order, are others"]
    resized = sum(size != then for size, then in zip(now["sizes"], before.get("sizes", now["sizes"])))
    if not changed and 2 * resized > len(now["sizes"]):
        changed = ["its images have the same names, but their files are others: most have other sizes"]
    if changed:
        raise ValueError(
            f"{out} cannot be resumed: {', '.join(changed)}; resume it with the number of processes and the images it "
            "was started with (--data says where they are now), or start again in another --out"
        )


def keep_threads(before: int) -> None:
    """Take as many threads as a run had that is resumed, for its bits depend on them; say so where there are too few
    cores."""
    if before <= max(usable_cores(), torch.get_num_threads()):
        torch.set_num_threads(before)
    else:
        say(
            f"the run had {before} threads and goes on with {torch.get_num_threads()}, as this machine has no more "
            "cores: its weights will differ by rounding from those of a run that was never stopped"
        )


def run_config(run: Path) -> PretrainConfig:
    """Return the configuration of a run. Raises FileNotFoundError for a folder that is no run."""
    check_run_folder(run)
    return load_config(run / "config.yaml")


def load_run(run: Path) -> tuple[PretrainConfig, Learner]:
    """Return the configuration and the trained learner of a finished run (its safetensors), else of its checkpoint.

    LoRA is merged into the weights. Raises FileNotFoundError for a folder that is no run or has no weights, ValueError
    for a damaged one, among them one whose weights are not finite.
    """
    config = run_config(run)
    if (run / HEADS).is_file() and (run / WEIGHTS).is_file():
        learner = without_fixed_teacher(build_whole(config))
        load_learner(learner, read_weights(run, f"written anew by {resume_command(run)}"), run)
        return config, learner.eval()
    state, remark = newest_whole_checkpoint(run)
    if state is None:
        raise FileNotFoundError(f"{run} has no weights yet: neither model.safetensors nor a checkpoint")
    if remark:
        say(remark)
    learner = without_fixed_teacher(build_learner(config, pretrained=False))
    load_learner(learner, heads_and_encoder(state["learner"], learner), run)
    merge_lora(learner)
    return config, learner.eval()


def heads_of(weights: Mapping[str, Tensor], learner: Learner) -> dict[str, Tensor]:
    """Return what `load_run` needs of a learner's weights beside the timm model's."""
    kept = heads_and_encoder(weights, learner)
    return {name: tensor for name, tensor in kept.items() if not name.startswith(ENCODER)}


def heads_and_encoder(weights: Mapping[str, Tensor], learner: Learner) -> dict[str, Tensor]:
    """Return a learner's weights without those of a teacher that stays as it is, which training alone needs."""
    return {k: v for k, v in weights.items() if not (learner.method.fixed_teacher and k.startswith("teacher."))}


def without_fixed_teacher(learner: Learner) -> Learner:
    """Leave out a teacher that stays as it is, in place; return the learner."""
    if learner.method.fixed_teacher:
        learner.teacher = None
    return learner


def read_weights(folder: Path, advice: str) -> dict[str, Tensor]:
    """Return the weights of a finished run's files, or of those that are shared of one, as a learner names them.

    advice: what to do where a file is damaged. Raises `Damaged` for such a file.
    """
    heads = read_safetensors(folder / HEADS, advice)
    return heads | {f"{ENCODER}{name}": part for name, part in read_safetensors(folder / WEIGHTS, advice).items()}


def load_learner(
    learner: Learner, weights: Mapping[str, Tensor], run: Path, about: str = "config.yaml", parts: Sequence[str] = ("",)
) -> None:
    """Load weights by name into a learner.

    about: the file of the folder that says what they are the weights of.
    parts: what names begin with that are loaded; by default all are.

    Raises ValueError where they are not those that are asked for.
    """
    wanted = {name: tensor for name, tensor in learner.state_dict().items() if name.startswith((*parts,))}
    odd = [f"{name}, which is missing" for name in wanted if name not in weights]
    odd += [f"{name}, which nothing asks for" for name in weights if name not in wanted]
    odd += [
        f"{name}, of shape {tuple(weights[name].shape)} where {tuple(tensor.shape)} is asked for"
        for name, tensor in wanted.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    if odd:
        raise ValueError(
            f"the weights in {run} do not fit its {about} ({len(odd)} tensors, such as {odd[0]}): one of "
            "them is of another run"
        )
    learner.load_state_dict(dict(weights), strict=False)  # all that is asked for is there


def is_finished(run: Path) -> bool:
    """Return whether a run has written its last file."""
    return (run / "samples.npz").is_file()

"""Metrics of a run: losses kept on the device, read back and written once every few steps."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import torch
from torch import Tensor

from equicoherence.files import write_aside
from equicoherence.training.health import (
    CollapseWatch,
    NotFinite,
    effective_rank,
    feature_std,
    first_not_finite,
    relative_spread,
)
from equicoherence.training.learner import LearnerOutput


class Metrics:
    """Collect loss terms without waiting for the device; ``flush`` averages, checks and writes them.

    path: ``metrics.jsonl``, None on processes that do not write. board: a folder for TensorBoard event files, or None.
    total_steps, prototypes: of the run and of its teacher, which say what is a collapse. start: steps that a resumed
    run has done; what its lines up to there said of a collapse is not said again.
    """

    def __init__(
        self, path: Path | None, board: Path | None = None, total_steps: int = 0, prototypes: int = 0, start: int = 0
    ) -> None:
        self.path, self.names = path, [""]
        self._watch = CollapseWatch(total_steps, prototypes)
        for line in lines_until(path, start) if path is not None and start else ():
            self._watch.note(json.loads(line))
        self._steps: list[Tensor] = []
        self._images, self._clock = 0, time.perf_counter()
        self._writer = None
        if board is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise ImportError("track=tensorboard needs the extra: pip install 'equicoherence[track]'") from error
            self._writer = SummaryWriter(str(board), purge_step=start + 1 if start else None)

    def add(self, losses: dict[str, Tensor], gradient_norm: Tensor, images: int) -> None:
        """Note one step's terms; nothing is read back."""
        self.names = [*losses, "gradient_norm"]
        self._steps.append(torch.stack([*(v.detach().float() for v in losses.values()), gradient_norm.float()]))
        self._images += images

    def flush(
        self, step: int, epoch: float, lr: float, output: LearnerOutput, watched: tuple[Tensor, int] | None = None
    ) -> tuple[dict[str, float], str | None]:
        """Average the terms since the last flush, write a line, return it, and a sentence where the method collapsed.

        step: steps done. watched: see `Method.watched`.

        Raises `NotFinite`, naming the first term and step, where one is NaN or infinite.
        """
        history = torch.stack(self._steps).cpu()
        sentence = first_not_finite(history, self.names, step - len(history) + 1)
        if sentence:
            raise NotFinite(
                f"{sentence}; the run stops, and its last checkpoint is from before. A lower optim.lr, optim.clip "
                "above 0 or precision fp32 are the usual remedies."
            )
        seconds = time.perf_counter() - self._clock
        means = dict(zip(self.names, history.mean(dim=0).tolist()))
        line = {
            "step": step,
            "epoch": round(epoch, 4),
            "loss": sum(v for k, v in means.items() if k != "gradient_norm"),
        }
        line |= means | {"lr": lr}
        for part, z in output.pooled.items():
            line |= {f"std_{part}": float(feature_std(z)), f"rank_{part}": float(effective_rank(z))}
            line[f"spread_{part}"] = float(relative_spread(z))
        if watched is not None:
            line |= dict(zip(("teacher_entropy", "prototype_entropy"), watched[0].tolist()))
        line |= {"images_per_second": self._images / seconds, "seconds": seconds}
        line = {k: float(f"{v:.6g}") if isinstance(v, float) and math.isfinite(v) else v for k, v in line.items()}
        collapse = self._watch.note(line)
        self._steps.clear()
        self._images, self._clock = 0, time.perf_counter()
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line if collapse is None else {**line, "collapse": collapse}) + "\n")
        if self._writer is not None:
            for name, value in line.items():
                self._writer.add_scalar(name, value, step)
        return line, collapse

    def restart_clock(self) -> None:
        """Leave out of the speed what lies between two steps, such as a checkpoint."""
        self._clock = time.perf_counter()

    def close(self) -> None:
        """Close the event files."""
        if self._writer is not None:
            self._writer.close()


def drop_after(path: Path, step: int) -> None:
    """Cut the lines of ``metrics.jsonl`` past ``step``: a resumed run writes them anew. A damaged last line goes
    too."""
    if path.exists():
        write_aside(path, "".join(line + "\n" for line in lines_until(path, step)))


def lines_until(path: Path, step: int) -> list[str]:
    """Return the whole lines of ``metrics.jsonl`` up to ``step``; none where there is no such file."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except (json.JSONDecodeError, KeyError, TypeError):
            continue
    return kept

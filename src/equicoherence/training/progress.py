"""The progress line of a run: loss parts, images per second, time left."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from equicoherence.metric_fields import HEALTH


class TrainingProgress:
    """A bar on a terminal; plain lines, about twenty a run, elsewhere; silent on processes other than the first."""

    def __init__(self, name: str, done: int, total: int, enabled: bool) -> None:
        self.name, self.total, self.enabled = name, total, enabled
        self.console = Console(stderr=True)
        self.every, self._printed = max(1, total // 20), done
        self.bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}"),
            console=self.console,
            disable=not (enabled and self.console.is_terminal),
        )
        self.task = self.bar.add_task(name, total=total, completed=done, text="")

    def __enter__(self) -> TrainingProgress:
        self.bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bar.stop()

    def show(self, line: dict[str, float]) -> None:
        """Show a line of metrics."""
        skipped = ("step", "epoch", "lr", "gradient_norm", "images_per_second", "seconds")
        parts = [f"{k} {v:.3g}" for k, v in line.items() if k not in skipped and not k.startswith(HEALTH)]
        text = f"{'  '.join(parts)}  {line['images_per_second']:.0f} images/s"
        step = int(line["step"])
        self.bar.update(self.task, completed=step, text=text)
        if self.enabled and not self.console.is_terminal and (step - self._printed >= self.every or step == self.total):
            self._printed = step
            self.console.print(f"{self.name}  step {step}/{self.total}  {text}", highlight=False, soft_wrap=True)

    def warn(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        if self.enabled:
            self.console.print(f"{self.name}  warning: {sentence}", style="yellow", highlight=False, soft_wrap=True)

"""A callback: your own code, called by a run. This one records how far the features of fixed images have moved.

python examples/callback.py [STEPS] [DATA] [OUT]    DATA: a folder of images, tar shards, an archive, or objects
"""

import dataclasses
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

from equicoherence import Callback, Loader, Moment, open_images, pretrain
from equicoherence.recipes import recipe

STEPS, DATA = int(sys.argv[1]) if len(sys.argv) > 1 else 20, sys.argv[2] if len(sys.argv) > 2 else "objects"
OUT = Path(sys.argv[3] if len(sys.argv) > 3 else "runs/callback")


class Drift(Callback):
    """Note, at each checkpoint, the mean cosine of the features of 64 images to those that they had at the start."""

    @torch.no_grad()
    def _features(self, moment: Moment) -> torch.Tensor:
        encoder = moment.learner.encoder
        was_training = encoder.training
        features = encoder.eval()(self.images.to(encoder.mean.device)).pooled("mean")
        encoder.train(was_training)  # as it was: the run goes on with it
        return F.normalize(features, dim=1)

    def on_start(self, moment: Moment) -> None:
        size = moment.config.views.size
        source = open_images(moment.config.data, "val")
        batch = next(Loader(source, size).batches([range(min(64, len(source)))]))
        self.images = batch.images.float() / 255
        self.start = self._features(moment)

    def on_checkpoint(self, moment: Moment, path: Path) -> None:
        cosine = (self._features(moment) * self.start).sum(dim=1).mean().item()
        moment.note({"cosine_to_start": cosine})  # a line of metrics.jsonl, and of the trackers
        if moment.is_main:
            print(f"step {moment.step} of {moment.total}: cosine to the start {cosine:.3f}, saved as {path.name}")

    def on_end(self, moment: Moment) -> None:
        if moment.is_main:
            print(f"{moment.out} is done")


config = dataclasses.replace(recipe("vicreg-tiny"), data=DATA, max_steps=STEPS, checkpoint_every=max(1, STEPS // 2))
config = dataclasses.replace(config, optim=dataclasses.replace(config.optim, batch_size=16))
pretrain(config, OUT, callbacks=[Drift()])

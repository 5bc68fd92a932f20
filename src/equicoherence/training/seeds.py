"""Seeds as pure functions of where a run is, so that nothing random needs saving."""

import numpy as np
import torch


def step_seed(seed: int, step: int, rank: int = 0, stream: int = 0) -> int:
    """Return a 63-bit seed for one stream of one step of one process."""
    words = np.random.SeedSequence([seed, step, rank, stream]).generate_state(2, np.uint32)
    return int(words[0]) << 31 | int(words[1]) >> 1


def seed_step(generator: torch.Generator, seed: int, step: int, rank: int = 0) -> None:
    """Seed the views' generator and torch's global one (drop-path, dropout) for a step."""
    generator.manual_seed(step_seed(seed, step, rank, 0))
    torch.manual_seed(step_seed(seed, step, rank, 1))

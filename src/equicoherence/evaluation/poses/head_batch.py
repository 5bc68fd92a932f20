"""Many probe heads as one module, so that all train in one pass over cached features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Head:
    """What one head reads, ``width`` channels of ``source``, and how many ``outputs`` it predicts, of ``task``.

    hidden: width of the two hidden ReLU layers of an MLP; 0 for a linear head.
    """

    source: str
    width: int
    task: str
    outputs: int
    hidden: int

    @property
    def kind(self) -> str:
        """Name of the probe."""
        return "mlp" if self.hidden else "linear"


class HeadBatch(nn.Module):
    """Heads that share nothing but the passes: first layers side by side, the others with heads as a batch dimension.

    The first layers of all heads that read one source are the columns of one matrix; later layers are batched products,
    the last one as wide as the widest MLP's output. Initialised as `nn.Linear` is, from ``generator``. Raises
    ValueError for no heads, MLPs of different hidden widths, and heads that do not agree on a source's width.
    """

    def __init__(self, heads: Sequence[Head], generator: torch.Generator) -> None:
        super().__init__()
        if not heads:
            raise ValueError("there are no heads; give at least one")
        self.heads = tuple(heads)
        widths = {head.source: head.width for head in heads}
        if any(head.width != widths[head.source] for head in heads):
            raise ValueError(f"heads do not agree on the width of a source: {[(h.source, h.width) for h in heads]}")
        self.deep = [head for head in heads if head.hidden]
        hidden = {head.hidden for head in self.deep}
        if len(hidden) > 1:
            raise ValueError(f"MLP heads have hidden widths {sorted(hidden)}, but are trained together with one")
        self.readers = {source: [h for h in heads if h.source == source] for source in widths}

        def uniform(fan_in: int, *shape: int) -> nn.Parameter:
            return nn.Parameter((torch.rand(shape, generator=generator) * 2 - 1) / fan_in**0.5)

        columns = {source: sum(h.hidden or h.outputs for h in readers) for source, readers in self.readers.items()}
        self.first = nn.ParameterList(uniform(widths[s], widths[s], n) for s, n in columns.items())
        self.first_bias = nn.ParameterList(uniform(widths[s], n) for s, n in columns.items())
        count, width = len(self.deep), max(hidden, default=1)
        outputs = max((head.outputs for head in self.deep), default=1)
        self.second, self.third = uniform(width, count, width, width), uniform(width, count, width, outputs)
        self.second_bias, self.third_bias = uniform(width, count, 1, width), uniform(width, count, 1, outputs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[Head, Tensor]:
        """Map each source (B, width) to the predictions (B, outputs) of each head."""
        begun: dict[Head, Tensor] = {}
        for (source, readers), weight, bias in zip(self.readers.items(), self.first, self.first_bias):
            columns = torch.addmm(bias, inputs[source], weight).split([h.hidden or h.outputs for h in readers], dim=1)
            begun |= dict(zip(readers, columns))
        if self.deep:
            x = torch.stack([begun[head] for head in self.deep]).relu()
            x = torch.baddbmm(self.second_bias, x, self.second).relu()
            x = torch.baddbmm(self.third_bias, x, self.third)
            begun |= {head: y[:, : head.outputs] for head, y in zip(self.deep, x)}
        return {head: begun[head] for head in self.heads}

    def single(self, head: Head) -> nn.Sequential:
        """Return a copy of one head as plain layers."""
        place = list(self.readers).index(head.source)
        readers = self.readers[head.source]
        sizes = [h.hidden or h.outputs for h in readers]
        at = readers.index(head)
        weights, biases = self.first[place].split(sizes, dim=1), self.first_bias[place].split(sizes)
        layers = [(weights[at], biases[at])]
        if head.hidden:
            i = self.deep.index(head)
            layers += [(self.second[i], self.second_bias[i, 0])]
            layers += [(self.third[i, :, : head.outputs], self.third_bias[i, 0, : head.outputs])]
        modules: list[nn.Module] = []
        for weight, bias in layers:
            linear = nn.Linear(*weight.shape, device=weight.device)
            linear.load_state_dict({"weight": weight.T.detach().clone(), "bias": bias.detach().clone()})
            modules += [linear, nn.ReLU()]
        return nn.Sequential(*modules[:-1])

"""The decoder of [P1]: learned queries that attend to the tokens of the views."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.models.attention import attend
from equicoherence.models.decoders.decoder import Decoder, Decoding, named
from equicoherence.models.decoders.position import PositionEmbedding


class CrossAttentionDecoder(Decoder):
    """One cross-attention block with learned positional queries [P1; the sizes are our defaults].

    Keys and values are the tokens of both views with a learned view embedding, or of view 1 alone (``other_only``),
    since a view that attends to its own tokens can degenerate to an autoencoder. Each query becomes one patch of
    pixels. With ``any_time`` all states share the queries, and each adds its position on the path.
    """

    def __init__(
        self,
        d_equi: int,
        targets: int,
        size: int,
        grid: tuple[int, int],
        *,
        width: int = 256,
        heads: int = 4,
        other_only: bool = False,
        any_time: bool = False,
        channels: int = 3,
    ) -> None:
        super().__init__()
        if grid[0] != grid[1]:
            raise ValueError(f"the cross-attention decoder draws square images, so its grid must be square, got {grid}")
        if size % grid[0]:
            raise ValueError(
                f"the cross-attention decoder draws a patch of whole pixels for each token, but views of {size} pixels "
                f"have {grid[0]} x {grid[1]} tokens: give a size that {grid[0]} divides, such as "
                f"{-(-size // grid[0]) * grid[0]}, or another decoder, such as render"
            )
        self.place = PositionEmbedding(width) if any_time else None
        self.patch, self.other_only, self.channels = size // grid[0], other_only, channels
        tokens = grid[0] * grid[1]
        self.queries = nn.Parameter(torch.randn((1 if any_time else targets) * tokens, width) * 0.02)
        self.positions = nn.Parameter(torch.randn(tokens, width) * 0.02)
        self.views = nn.Parameter(torch.randn(2, width) * 0.02)
        self.embed = nn.Linear(d_equi, width)
        self.normalise = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.pixels = nn.Linear(width, channels * self.patch**2)

    def forward(
        self, z1: Tensor, z2: Tensor, grid: tuple[int, int], views: tuple[Tensor, Tensor], times: Tensor
    ) -> Tensor:
        tokens = [self.embed(z) + self.positions + view for z, view in zip((z1, z2), self.views)]
        memory = self.normalise(tokens[0] if self.other_only else torch.cat(tokens, dim=1))
        queries = self.queries.to(memory.dtype)
        if self.place is not None:
            queries = (queries + self.place(times)[:, :, None].to(memory.dtype)).flatten(1, 2)
        x = queries + self._attended(queries, memory)
        x = self.pixels(x + self.feed_forward(x))
        h, w = grid
        x = x.view(len(z1), -1, h, w, self.channels, self.patch, self.patch)
        return x.permute(0, 1, 4, 2, 5, 3, 6).reshape(len(z1), -1, self.channels, h * self.patch, w * self.patch)

    def _attended(self, queries: Tensor, memory: Tensor) -> Tensor:
        """Return what queries read of memory (B, M, width), as `attention` does: (B, T * N, width).

        queries: (T * N, width), the same for all samples, so that they are projected once and not for each; or those of
        each sample.
        """
        attention, width = self.attention, memory.shape[-1]
        of_queries, of_memory = attention.in_proj_weight.split([width, 2 * width])
        bias_of_queries, bias_of_memory = attention.in_proj_bias.split([width, 2 * width])
        queries = F.linear(queries, of_queries, bias_of_queries).expand(len(memory), -1, -1)
        keys, values = F.linear(memory, of_memory, bias_of_memory).chunk(2, dim=-1)
        query, key, value = (x.unflatten(2, (attention.num_heads, -1)).transpose(1, 2) for x in (queries, keys, values))
        return attention.out_proj(attend(query, key, value).transpose(1, 2).flatten(2))


@named("cross-attention", targets="views")
def _of_both(wanted: Decoding) -> CrossAttentionDecoder:
    return _built(wanted, other_only=False)


@named("cross-attention-other", targets="views")
def _of_view1(wanted: Decoding) -> CrossAttentionDecoder:
    return _built(wanted, other_only=True)


def _built(wanted: Decoding, *, other_only: bool) -> CrossAttentionDecoder:
    return CrossAttentionDecoder(
        *(wanted.d_equi, wanted.targets, wanted.size, wanted.grid),
        width=wanted.width,
        other_only=other_only,
        any_time=wanted.any_time,
        channels=wanted.channels,
    )

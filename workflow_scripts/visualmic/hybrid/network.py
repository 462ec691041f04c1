r"""The networks: what response of the object to expect, and a mask of the beam's cells.

The first reads what the recording shows at each frequency and gives the logarithm of the power of
the object's response there, and how far it may be wrong, by dilated convolutions along frequency
and self-attention over all of it: whether a peak is the object's or the voice's shows in the
others. The mask starts from the Wiener gain `w` and shifts its logit,

.. math:: G(f, t) = \frac{1}{1 + e^{-(\operatorname{logit} w + \delta)}} ,

by dilated convolutions over time and frequency. Both end in layers that begin at zero: the
untrained networks expect a flat response, and leave the Wiener filter as it is.
"""

import torch
from torch import Tensor, nn

from visualmic.hybrid.features import CELL_FEATURES, STATISTICS

# Bounds of the logarithm of the error that the network may own to.
_LEAST_SPREAD, _MOST_SPREAD = -4.0, 3.0


class Response(nn.Module):
    """From statistics (B, F, STATISTICS) to the log power of the response and the log spread."""

    DILATIONS = (1, 2, 4, 8, 16, 4)

    def __init__(self, width: int = 64, heads: int = 4) -> None:
        super().__init__()
        self.enter = nn.Linear(STATISTICS, width)
        self.near = nn.ModuleList(
            nn.Conv1d(width, width, 5, padding=2 * step, dilation=step) for step in self.DILATIONS
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in self.DILATIONS)
        self.attention = nn.ModuleList(Attention(width, heads) for _ in self.DILATIONS[1::2])
        self.leave = nn.Linear(width, 2)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, statistics: Tensor) -> tuple[Tensor, Tensor]:
        """Give the logarithms of power, up to a constant, and of its standard error: (B, F)."""
        hidden = self.enter(statistics)
        for number, (convolution, norm) in enumerate(zip(self.near, self.norms, strict=True)):
            along = convolution(norm(hidden).transpose(1, 2)).transpose(1, 2)
            hidden = hidden + nn.functional.gelu(along)
            if number % 2:
                hidden = hidden + self.attention[number // 2](hidden)
        both = self.leave(hidden)
        return both[..., 0], both[..., 1].clamp(_LEAST_SPREAD, _MOST_SPREAD)


class Attention(nn.Module):
    """Self-attention over all frequencies, (B, F, width) to the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.inward = nn.Linear(width, 3 * width)
        self.outward = nn.Linear(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        """Mix the frequencies by how much they have to do with one another."""
        batch, bins, width = hidden.shape
        each = width // self.heads
        three = self.inward(self.norm(hidden)).reshape(batch, bins, 3, self.heads, each)
        query, key, value = three.permute(2, 0, 3, 1, 4).unbind(0)
        weight = torch.softmax(query @ key.transpose(2, 3) / each**0.5, dim=-1)
        return self.outward((weight @ value).transpose(1, 2).reshape(batch, bins, width))


class Mask(nn.Module):
    """From cell features (CELL_FEATURES, windows, F) to the shift of the logit (windows, F)."""

    DILATIONS = ((1, 1), (2, 1), (4, 2), (8, 4), (16, 8), (4, 2), (2, 1), (1, 1))

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.enter = nn.Conv2d(CELL_FEATURES, width, 1)
        self.near = nn.ModuleList(
            nn.Conv2d(width, width, (3, 5), padding=(t, 2 * f), dilation=(t, f), groups=width)
            for t, f in self.DILATIONS
        )
        self.mixed = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, 2 * width, 1), nn.GELU(), nn.Conv2d(2 * width, width, 1))
            for _ in self.DILATIONS
        )
        self.leave = nn.Conv2d(width, 1, 1, bias=False)
        nn.init.zeros_(self.leave.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Give the shift."""
        hidden = self.enter(features.unsqueeze(0))
        for near, mixed in zip(self.near, self.mixed, strict=True):
            hidden = hidden + mixed(near(hidden))
        return 4 * torch.tanh(self.leave(hidden)[0, 0] / 4)


# Windows to each side that a cell of the mask sees.
REACH = sum(t for t, _ in Mask.DILATIONS)

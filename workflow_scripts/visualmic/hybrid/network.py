r"""The networks: what response of the object to expect, and a mask of the beam's cells.

The first reads what the recording shows at each frequency and gives the logarithm of the power of
the object's response there, and how far it may be wrong, by dilated convolutions along frequency
and self-attention over all of it: whether a peak is the object's or the voice's shows in the
others. The mask starts from the Wiener gain `w` and shifts its logit,

.. math:: G(f, t) = \frac{1}{1 + e^{-(\operatorname{logit} w + \delta)}} ,

by convolutions over time and frequency in cells and in squares of them, a U-Net [1]_. Both end in
layers that begin at zero: the untrained networks expect a flat response, and leave the Wiener
filter as it is.

References
----------
.. [1] O. Ronneberger, P. Fischer and T. Brox, "U-Net: convolutional networks for biomedical image
   segmentation", MICCAI 2015.
"""

import itertools

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
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        return self.outward(mixed.transpose(1, 2).reshape(batch, bins, width))


class Mask(nn.Module):
    """From cell features (CELL_FEATURES, windows, F) to the shift of the logit (windows, F).

    Cells are looked at by themselves, and in squares of two and of four to a side, where more is
    known of each and more of what is around it is seen; what the coarser squares tell comes to what
    was seen in finer ones.
    """

    WIDTHS = (24, 48, 96)
    DILATIONS = (1, 2, 4, 8)
    # The shift in units of what comes out of the last layer: it learns faster than the others.
    STEP = 4.0
    # The most that a gain may be shifted.
    MOST = 8.0

    def __init__(self) -> None:
        super().__init__()
        pairs = list(itertools.pairwise(self.WIDTHS))
        self.enter = nn.Conv2d(CELL_FEATURES, self.WIDTHS[0], 1)
        self.fine = nn.ModuleList(Near(width) for width, _ in pairs)
        self.coarser = nn.ModuleList(nn.Conv2d(*pair, 2, stride=2) for pair in pairs)
        self.coarsest = nn.Sequential(*(Near(self.WIDTHS[-1], step) for step in self.DILATIONS))
        self.finer = nn.ModuleList(nn.ConvTranspose2d(*pair[::-1], 2, stride=2) for pair in pairs)
        self.told = nn.ModuleList(Near(width) for width, _ in pairs)
        self.leave = nn.Conv2d(self.WIDTHS[0], 1, 1, bias=False)
        nn.init.zeros_(self.leave.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Give the shift."""
        windows, bins = features.shape[1], features.shape[2]
        whole = nn.functional.pad(features.unsqueeze(0), (0, -bins % SQUARE, 0, -windows % SQUARE))
        hidden = self.enter(whole)
        seen = []
        for fine, coarser in zip(self.fine, self.coarser, strict=True):
            seen.append(fine(hidden))
            hidden = coarser(seen[-1])
        hidden = self.coarsest(hidden)
        for level in reversed(range(len(seen))):
            hidden = self.told[level](seen[level] + self.finer[level](hidden))
        shift = self.STEP * self.leave(hidden)[0, 0, :windows, :bins]
        return self.MOST * torch.tanh(shift / self.MOST)


class Near(nn.Module):
    """What is near a cell, added to what is known of it: (B, width, windows, F) to the same."""

    def __init__(self, width: int, step: int = 1) -> None:
        super().__init__()
        across = min(step, 2)
        self.near = nn.Conv2d(width, width, 3, padding=(step, across), dilation=(step, across))
        self.mixed = nn.Conv2d(width, width, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        """Add it."""
        added: Tensor = hidden + self.mixed(nn.functional.gelu(self.near(hidden)))
        return added


# Cells to a side of the coarsest squares: pieces must begin at a multiple of it.
SQUARE = 2 ** (len(Mask.WIDTHS) - 1)
# Windows to each side that a cell of the mask sees: in squares of each size, and the squares'.
REACH = sum(2 * 2**level for level in range(len(Mask.WIDTHS) - 1)) + SQUARE * (
    sum(Mask.DILATIONS) + 1
)

r"""The network: an equaliser of the whole recording, and a mask of its cells.

The equaliser reads what the recording shows at each frequency and gives one complex response that
undoes what resonances are left,

.. math:: E(f) = \exp(a(f) + i b(f)),

by dilated convolutions along frequency and self-attention over all of it: whether a peak is the
object's or the voice's shows in the others. The mask starts from the Wiener gain `w` and
shifts its logit,

.. math:: G(f, t) = \frac{1}{1 + e^{-(\operatorname{logit} w + \delta)}} ,

by dilated convolutions over time and frequency. Both end in layers that begin at zero, so that the
untrained network is the Wiener filter itself.
"""

import torch
from torch import Tensor, nn

from visualmic.hybrid.features import CELL_FEATURES, STATISTICS

MOST_LOG_GAIN, MOST_PHASE = 2.5, 3.2


class Equaliser(nn.Module):
    """From statistics (F, STATISTICS) to the logarithm of gain and the phase, each (F,)."""

    def __init__(self, width: int = 48, heads: int = 4) -> None:
        super().__init__()
        self.enter = nn.Linear(STATISTICS, width)
        self.near = nn.ModuleList(
            nn.Conv1d(width, width, 5, padding=2 * step, dilation=step) for step in (1, 2, 4, 8)
        )
        self.attention = nn.ModuleList(Attention(width, heads) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(4))
        self.leave = nn.Linear(width, 2)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, statistics: Tensor) -> tuple[Tensor, Tensor]:
        """Give log gain and phase."""
        hidden = self.enter(statistics)
        for number, (convolution, norm) in enumerate(zip(self.near, self.norms, strict=True)):
            along = norm(hidden).T.unsqueeze(0)
            hidden = hidden + nn.functional.gelu(convolution(along)[0].T)
            if number % 2:
                hidden = hidden + self.attention[number // 2](hidden)
        both = self.leave(hidden)
        return (
            MOST_LOG_GAIN * torch.tanh(both[:, 0] / MOST_LOG_GAIN),
            MOST_PHASE * torch.tanh(both[:, 1] / MOST_PHASE),
        )


class Attention(nn.Module):
    """Self-attention over all frequencies, (F, width) to the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.inward = nn.Linear(width, 3 * width)
        self.outward = nn.Linear(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        """Mix the frequencies by how much they have to do with one another."""
        width = hidden.shape[1]
        each = width // self.heads
        three = self.inward(self.norm(hidden)).reshape(-1, 3, self.heads, each)
        query, key, value = three.permute(1, 2, 0, 3).unbind(0)
        weight = torch.softmax(query @ key.transpose(1, 2) / each**0.5, dim=-1)
        return self.outward((weight @ value).transpose(0, 1).reshape(-1, width))


class Mask(nn.Module):
    """From cell features (CELL_FEATURES, windows, F) to the shift of the logit (windows, F)."""

    DILATIONS = ((1, 1), (1, 2), (2, 4), (4, 8), (2, 16), (1, 1))

    def __init__(self, width: int = 20) -> None:
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


class Hybrid(nn.Module):
    """Equaliser and mask together, as they are trained."""

    def __init__(self) -> None:
        super().__init__()
        self.equaliser = Equaliser()
        self.mask = Mask()

    def forward(self, statistics: Tensor, cells: Tensor, logit: Tensor, sound: Tensor) -> Tensor:
        """Clear and equalise a beam.

        Parameters
        ----------
        statistics : Tensor, (F, STATISTICS)
        cells : Tensor, (CELL_FEATURES, windows, F)
            With the colour of the noise before the equaliser.
        logit : Tensor, (windows, F)
            Of the Wiener gain.
        sound : Tensor, complex, (windows, F)
            The beam, equalised as far as the modes allow.
        """
        log_gain, phase = self.equaliser(statistics)
        colour = cells[3:4] + 2 / 3 * log_gain
        cells = torch.cat([cells[:3], colour, cells[4:]])
        gain = torch.sigmoid(logit + self.mask(cells))
        return gain * sound * torch.polar(torch.exp(log_gain), phase)

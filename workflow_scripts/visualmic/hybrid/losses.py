"""What the hybrid's networks are to make small: how wrong a response is, how far off a sound."""

import numpy as np
import torch
from torch import Tensor, nn

from visualmic.evaluate.intelligibility import (
    FRAME,
    HOP,
    STRETCH,
    WINDOW,
    stoi_resampler,
    third_octaves,
)

Item = dict[str, Tensor]
# Degrees of freedom of the error of the response that is expected: some are far out.
_FREEDOM = 4.0
# Decibels of log-spectral distance that weigh as much as one of distortion.
_SPECTRAL_WEIGHT = 0.2
# The range of levels, below the mean of all cells, in which spectra are compared.
_COMPARED_DB = 45.0
# Decibels of distortion that weigh as much as an ESTOI of one; where its lowest band is complete;
# and what is next to nothing in a band, of sounds of unit power.
_ESTOI_WEIGHT = 20.0
_LEAST_RATE_HZ = 340
_LEAST_POWER = 1e-10
_LEAST_SQUARE_DB = 1e-6


def response_loss(item: Item, log_power: Tensor, log_spread: Tensor) -> Tensor:
    """Minus the log-likelihood, a frequency, of the responses; a constant of each is free."""
    weight = item["weight"]
    heard = weight.sum(dim=1, keepdim=True)
    error = item["power"] - log_power
    error = error - (weight * error).sum(dim=1, keepdim=True) / (heard + 1e-3)
    square = (error / torch.exp(log_spread)) ** 2
    loss = (_FREEDOM + 1) / 2 * torch.log1p(square / _FREEDOM) + log_spread
    return ((weight * loss).sum(dim=1) / (heard[:, 0] + 2)).mean()


def distortion_db(target: Tensor, heard: Tensor) -> Tensor:
    """SI-SDR of spectra (windows, F) in dB; the sign of the sound does not matter."""
    power = (target.abs() ** 2).sum() + 1e-20
    scale = (target.conj() * heard).real.sum() / power
    left = ((heard - scale * target).abs() ** 2).sum() + 1e-7 * (heard.abs() ** 2).sum()
    return 10 * torch.log10(scale**2 * power / (left + 1e-20) + 1e-9)


def spectral_distance_db(target: Tensor, heard: Tensor) -> Tensor:
    """Log-spectral distance of spectra at the same power, in dB, above a floor."""
    levels = []
    for spectra in (target, heard):
        power = spectra.abs() ** 2 / ((spectra.abs() ** 2).mean() + 1e-20)
        levels.append(10 * torch.log10(power + 10 ** (-_COMPARED_DB / 10)))
    # At nought the slope of a root is not a number, and nothing audible is like nothing audible.
    return (((levels[0] - levels[1]) ** 2).mean(dim=1) + _LEAST_SQUARE_DB).sqrt().mean()


def intelligibility(target: Tensor, heard: Tensor, rate: int) -> Tensor:
    """Measure spectra (windows, F) as ESTOI does, with a slope; 0 where there is too little to.

    Parameters
    ----------
    target, heard : Tensor, complex, (windows, F)
        Hann windows, of which four overlap.
    rate : int
        Samples per second, in hertz.
    """
    nothing = heard.real.sum() * 0
    if rate < _LEAST_RATE_HZ:
        return nothing
    window = torch.from_numpy(WINDOW.astype(np.float32))
    frames = [_frames(_at_stoi_rate(_in_time(one), rate)) * window for one in (target, heard)]
    loudness = frames[0].norm(dim=1)
    audible = loudness > loudness.max() * 10 ** (-40 / 20)
    bands = torch.from_numpy(third_octaves().astype(np.float32))
    normal = []
    for one in frames:
        halves = one[audible].reshape(-1, 2, HOP)
        joined = nn.functional.pad(halves[:, 0], (0, 0, 0, 1))
        joined = joined + nn.functional.pad(halves[:, 1], (0, 0, 1, 0))
        if len(joined) < STRETCH + 2:
            return nothing
        spectra = torch.fft.rfft(_frames(joined.flatten()) * window, 2 * FRAME)
        envelopes = (spectra.abs() ** 2 @ bands.T + _LEAST_POWER).sqrt()
        piece = envelopes.unfold(0, STRETCH, 1)
        for axis in (2, 1):
            piece = piece - piece.mean(dim=axis, keepdim=True)
            piece = piece / (piece.norm(dim=axis, keepdim=True) + _LEAST_POWER**0.5)
        normal.append(piece)
    return (normal[0] * normal[1]).sum(dim=(1, 2)).mean() / STRETCH


def _in_time(spectra: Tensor) -> Tensor:
    """Overlap and add spectra, to unit power."""
    length = 2 * (spectra.shape[1] - 1)
    window = torch.hann_window(length)
    quarters = (torch.fft.irfft(spectra, length) * window).reshape(len(spectra), 4, -1)
    added = sum(nn.functional.pad(quarters[:, part], (0, 0, part, 3 - part)) for part in range(4))
    assert isinstance(added, Tensor)
    signal = added.flatten()
    return signal / (signal.pow(2).mean() + 1e-20).sqrt()


def _at_stoi_rate(signal: Tensor, rate: int) -> Tensor:
    design = stoi_resampler(rate)
    filters = torch.from_numpy(design.filters.astype(np.float32))[:, None]
    padded = nn.functional.pad(signal, (design.side, filters.shape[2]))
    return nn.functional.conv1d(padded[None, None], filters, stride=design.down)[0].T.flatten()


def _frames(signal: Tensor) -> Tensor:
    return signal.unfold(0, FRAME, HOP)


def masked(item: Item, shift: Tensor) -> Tensor:
    """Add what a shifted gain changes to what the Wiener filter leaves."""
    change = torch.sigmoid(item["logit"] + shift) - torch.sigmoid(item["logit"])
    return item["plain"] + change * item["sound"]


def mask_loss(item: Item, shift: Tensor) -> Tensor:
    """Weigh distortion, log spectra, intelligibility and harm of what a mask leaves, in dB."""
    plain, target, heard = item["plain"], item["target"], masked(item, shift)
    clear, before = (distortion_db(target, one) for one in (heard, plain))
    # To spoil what was clear is worse than to leave it: harm counts twice, and more the clearer
    # the sound was.
    harm = torch.relu(before - clear) * (1 + torch.relu(before) / 10)
    distance = spectral_distance_db(target, heard)
    told = intelligibility(target, heard, int(item["rate"]))
    return _SPECTRAL_WEIGHT * distance - clear + harm - _ESTOI_WEIGHT * told

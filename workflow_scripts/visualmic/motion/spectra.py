"""Short-time spectra of long signals, piece by piece, and the filter before them."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.fft import irfft, rfft
from numpy.typing import NDArray

from visualmic.motion.reference import Floats
from visualmic.threads import default_threads, in_threads

Spectra = NDArray[np.complexfloating[Any, Any]]
Rows = Callable[[int, int], Floats]

# Power of the slow motion over that of the rest, below which a signal's start holds none.
_SLOW_SHARE = 0.02
# Windows that are transformed back together.
_AT_ONCE = 64


def highpass(signals: Floats, fps: float, cutoff_hz: float) -> Floats:
    """Remove slow motion from signals (T, C) with a zero-phase Butterworth response of order 4.

    The ends are continued by reflection about where a line through each end arrives, so that an
    offset or a drift leaves no step, and a sound that is cut off there none either.
    """
    total = len(signals)
    padding = min(total - 1, int(4 * fps / cutoff_hz))
    near = min(total, max(2, int(fps / cutoff_hz / 2)))
    before = 2 * _slow_at_start(signals, near) - signals[padding:0:-1]
    after = 2 * _slow_at_start(signals[::-1], near) - signals[-2 : -padding - 2 : -1]
    extended = np.concatenate([before, signals, after])
    length = _fast_length(len(extended))
    frequency = np.fft.rfftfreq(length, 1 / fps)
    with np.errstate(divide="ignore"):
        response = (1 / (1 + (cutoff_hz / frequency) ** 8)).astype(np.float32)
    out = np.empty_like(signals)

    def filter_one(channel: int) -> None:
        spectrum = rfft(extended[:, channel], length) * response
        out[:, channel] = irfft(spectrum, length)[padding : padding + total]

    in_threads(filter_one, range(signals.shape[1]))
    return out


def _fast_length(least: int) -> int:
    """Give a length of at least so many samples that the fast Fourier transform likes."""
    powers = [2**i * 3**j for i in range(least.bit_length() + 1) for j in range(5)]
    return min(one for one in powers if one >= least)


def _slow_at_start(signals: Floats, near: int) -> Floats:
    """Give where the slow motion of signals (T, C) starts, (C,).

    It is taken for a line: over `near` samples, or over four times as many where the means of the
    quarters show nothing slow beside the line.
    """
    short = signals[:near]
    start = _fit_of_line(len(short)) @ short
    far = signals[: 4 * near]
    if near < 3 or len(far) < 4 * near:
        return np.asarray(start, signals.dtype)
    weight = _fit_of_line(len(far))
    ends = weight @ far, weight[::-1] @ far
    share = np.linspace(0, 1, len(far))[:, None]
    left = far - (1 - share) * ends[0] - share * ends[1]
    quarters = left.reshape(4, near, -1).mean(axis=1)
    fast = (quarters**2).mean(axis=0) < _SLOW_SHARE * (left**2).mean(axis=0)
    return np.asarray(np.where(fast, ends[0], start), signals.dtype)


def _fit_of_line(count: int) -> Floats:
    """Weights (N,) of N values for where the line of least squares through them starts."""
    if count < 2:
        return np.ones(count)
    return (4 * count - 2 - 6 * np.arange(count)) / (count * (count + 1.0))


def neighbours_mean(values: Floats, size: tuple[int, int]) -> Floats:
    """Mean of each cell (N, M) and its neighbours, in boxes of odd `size`; edges are repeated.

    Examples
    --------
    >>> neighbours_mean(np.array([[0.0, 3.0, 6.0]]), (1, 3))
    array([[1., 3., 5.]])
    """
    # As scipy.ndimage does, whose import alone takes longer than this.
    for axis, width in enumerate(size):
        reach = width // 2
        wide = np.pad(values, [(reach * (i == axis),) * 2 for i in range(2)], mode="edge")
        count = values.shape[axis]
        values = sum(
            (np.take(wide, range(i, i + count), axis) for i in range(1, width)),
            start=np.take(wide, range(count), axis),
        ) / np.asarray(width, values.dtype)
    return values


def blurred_over_frequency(covariance: Spectra, bins: float, first: int) -> Spectra:
    """Average covariances (F, K, K) under a Gaussian of standard deviation `bins`.

    Bins below the `first` do not count.
    """
    at = np.arange(len(covariance))
    weight = np.exp(-0.5 * ((at[:, None] - at) / bins) ** 2)
    weight[:, :first] = 0
    weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-30)
    return np.asarray(np.tensordot(weight, covariance, 1))


class ShortTimeFourier:
    """Windowed spectra that overlap, and the way back.

    Parameters
    ----------
    length : int
        Window in samples, even.
    overlap : int
        Windows over each sample: 2 or 4.
    window : {"hann", "blackman-harris"}
        Hann windows of which 4 overlap can be inverted; Blackman-Harris keeps strong slow motion
        out of the other frequencies (side lobes below -92 dB).
    """

    def __init__(self, length: int, overlap: int, window: str) -> None:
        phase = 2 * np.pi * np.arange(length) / length
        terms = {"hann": (0.5, -0.5), "blackman-harris": (0.35875, -0.48829, 0.14128, -0.01168)}
        self.length = length
        self.hop = length // overlap
        order = np.arange(len(terms[window]))
        self.window = (np.cos(np.outer(phase, order)) @ terms[window]).astype(np.float32)
        self.energy = float((self.window.astype(np.float64) ** 2).sum())

    def count(self, total: int) -> int:
        """Tell how many windows cover `total` samples."""
        return -(-(total + self.length - self.hop) // self.hop)

    def pieces(
        self, rows: Rows, total: int, at_once: int = 24, whole: bool = False
    ) -> Iterator[Spectra]:
        """Yield spectra (windows, F, C), scaled so that white noise keeps its variance.

        Parameters
        ----------
        rows : callable
            Gives the samples from one index to another, (n, C).
        total : int
            Number of samples; beyond them the signals are zero.
        at_once : int
            Windows in a piece.
        whole : bool
            Leave out windows that the ends of the signals cut, where others are left: the step
            there spreads strong slow motion over all frequencies.
        """
        lead = self.length - self.hop
        windows = self.count(total)
        scaled = self.window / np.float32(np.sqrt(self.energy))
        begin = 0
        if whole and total >= 2 * self.length:
            begin, windows = lead // self.hop, (total + lead - self.length) // self.hop + 1
        for first in range(begin, windows, at_once):
            last = min(windows, first + at_once)
            start = first * self.hop - lead
            stop = (last - 1) * self.hop - lead + self.length
            inside = rows(max(start, 0), min(stop, total))
            block = np.zeros((stop - start, inside.shape[1]), np.float32)
            block[max(0, -start) : max(0, -start) + len(inside)] = inside
            view = np.lib.stride_tricks.sliding_window_view(block, self.length, axis=0)
            spectra = np.empty((last - first, inside.shape[1], self.length // 2 + 1), np.complex64)

            def transform(
                windows: NDArray[np.intp],
                samples: Floats = view[:: self.hop],
                spectra: Spectra = spectra,
            ) -> None:
                for window in windows:
                    rfft(samples[window] * scaled, axis=-1, out=spectra[window])

            in_threads(transform, np.array_split(np.arange(last - first), default_threads()))
            yield spectra.transpose(0, 2, 1)

    def inverse(self, spectra: Spectra, total: int) -> Floats:
        """Overlap and add spectra (windows, F) as :meth:`pieces` scales them: (total,)."""
        overlap = self.length // self.hop
        out = np.zeros((len(spectra) + overlap - 1, self.hop))
        scaled = self.window * (np.sqrt(self.energy) * self.hop / self.energy)
        for first in range(0, len(spectra), _AT_ONCE):
            pieces = irfft(spectra[first : first + _AT_ONCE], self.length, axis=1) * scaled
            parts = pieces.reshape(len(pieces), overlap, self.hop)
            for part in range(overlap):
                out[first + part : first + part + len(parts)] += parts[:, part]
        lead = self.length - self.hop
        return out.ravel()[lead : lead + total]


def covariances(stft: ShortTimeFourier, signals: Floats) -> Spectra:
    """Covariances (F, K, K) of signals (T, K) at each frequency."""
    covariance: Spectra = np.zeros((stft.length // 2 + 1, *signals.shape[1:] * 2), np.complex128)
    windows = 0
    for spectra in stft.pieces(lambda start, stop: signals[start:stop], len(signals), whole=True):
        by_frequency = spectra.transpose(1, 2, 0)
        covariance += by_frequency @ by_frequency.conj().transpose(0, 2, 1)
        windows += len(spectra)
    return covariance / windows

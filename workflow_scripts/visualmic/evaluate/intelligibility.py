r"""Metrics of speech: how much of it a listener would understand, and how it would please.

They listen between 150 Hz and 4.3 kHz, so that a film of 2200 frames per second, whose sound ends
at 1.1 kHz, is compared with a reference cut at the same frequency: 1 means "as intelligible as
the reference through the same band". The conventions are those of
:mod:`visualmic.evaluate.waveform`.
"""

import importlib.util
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from visualmic.evaluate.alignment import resample
from visualmic.evaluate.waveform import Signal, UndefinedMetric, framed, paired

STOI_RATE = 10_000
"""The rate at which STOI is defined, in hertz."""

FRAME, HOP, STRETCH = 256, 128, 30
"""Frames of 25.6 ms, half overlapping, and stretches of 384 ms of them."""

WINDOW = np.hanning(FRAME + 2)[1:-1]
"""Of a frame."""

_LEAST_SPEECH_S = 0.4


def stoi(reference: ArrayLike, estimate: ArrayLike, rate: float) -> float:
    """Measure short-time objective intelligibility.

    The mean correlation of the envelopes of 15 third-octave bands over stretches of 384 ms, as
    the package `pystoi` computes it; here in blocks, so that memory does not grow with length, and
    the same every time. About 0 to 1. A perfect copy scores 1, silence 0.

    Parameters
    ----------
    reference, estimate : array_like, (N,)
        Two aligned sounds.
    rate : float
        Samples per second, in hertz; where it is not 10 kHz both are resampled.

    Returns
    -------
    float

    Raises
    ------
    UndefinedMetric
        See :func:`~visualmic.evaluate.waveform.paired`; also where less than 0.4 s of speech is
        left after pauses are taken out.

    References
    ----------
    C. H. Taal, R. C. Hendriks, R. Heusdens, J. Jensen, "An algorithm for intelligibility prediction
    of time-frequency weighted noisy speech", IEEE Trans. ASLP 19 (2011).
    """
    envelopes = _band_envelopes(reference, estimate, rate)
    if envelopes is None:
        return 0.0
    tiny = np.finfo(float).eps
    total, count = 0.0, 0
    for x, y in zip(*map(_stretches, envelopes), strict=True):
        gain = np.linalg.norm(x, axis=2) / (np.linalg.norm(y, axis=2) + tiny)
        # A band is held to 15 dB of distortion, so that one bad stretch cannot count more.
        y = np.minimum(y * gain[:, :, None], x * (1 + 10 ** (15 / 20)))
        x = x - x.mean(axis=2, keepdims=True)
        y = y - y.mean(axis=2, keepdims=True)
        norm = (np.linalg.norm(x, axis=2) + tiny) * (np.linalg.norm(y, axis=2) + tiny)
        total += float(((x * y).sum(axis=2) / norm).sum())
        count += norm.size
    return total / count


def estoi(reference: ArrayLike, estimate: ArrayLike, rate: float) -> float:
    """Measure extended short-time objective intelligibility.

    The mean correlation of short-time spectra after each band and each instant is normalised, as
    the package `pystoi` computes it. About 0 to 1. A perfect copy scores 1, silence 0.

    Parameters
    ----------
    reference, estimate : array_like, (N,)
        Two aligned sounds.
    rate : float
        Samples per second, in hertz; where it is not 10 kHz both are resampled.

    Returns
    -------
    float

    Raises
    ------
    UndefinedMetric
        As :func:`stoi`.

    References
    ----------
    J. Jensen, C. H. Taal, "An algorithm for predicting the intelligibility of speech masked by
    modulated noise maskers", IEEE Trans. ASLP 24 (2016).
    """
    envelopes = _band_envelopes(reference, estimate, rate)
    if envelopes is None:
        return 0.0
    dither = np.random.default_rng(0)
    total, count = 0.0, 0
    for x, y in zip(*map(_stretches, envelopes), strict=True):
        spectra = [_normalised(_normalised(block, 2, dither), 1, dither) for block in (x, y)]
        total += float((spectra[0] * spectra[1]).sum()) / STRETCH
        count += len(x)
    return total / count


def _band_envelopes(
    reference: ArrayLike, estimate: ArrayLike, rate: float
) -> tuple[Signal, Signal] | None:
    """Envelopes in third-octave bands ``(15, M)`` of both, pauses of the reference taken out.

    None where the estimate is silent.
    """
    truth, sound = paired(reference, estimate, least=math.ceil(_LEAST_SPEECH_S * rate))
    if not sound.any():
        return None
    truth = truth / np.abs(truth).max()
    sound = sound / np.abs(sound).max()
    whole = round(rate)
    if abs(rate - whole) > 1e-9:
        truth, sound = resample(truth, rate, whole), resample(sound, rate, whole)
    if whole != STOI_RATE:
        truth, sound = _at_stoi_rate(truth, whole), _at_stoi_rate(sound, whole)
    truth, sound = _without_pauses(truth, sound)
    # The reference implementation does not look at the last frame.
    if len(truth) // HOP - 2 < STRETCH:
        raise UndefinedMetric("less than 0.4 s of sound is left after pauses are taken out")
    bands = third_octaves()
    return _envelopes(truth, bands), _envelopes(sound, bands)


def third_octaves() -> Signal:
    """Tell which frequencies of a frame belong to each of the 15 bands from 150 Hz, ``(15, F)``."""
    step_hz = STOI_RATE / (2 * FRAME)
    edges = np.round(150 * 2 ** ((2 * np.arange(16) - 1) / 6) / step_hz)
    bins = np.arange(FRAME + 1)
    return ((bins >= edges[:-1, None]) & (bins < edges[1:, None])).astype(np.float64)


@dataclass(frozen=True)
class Resampler:
    """Filters that bring a sound to 10 kHz as the published measure does.

    A Kaiser-windowed sinc with 60 dB of rejection, as in GNU Octave's ``resample``. Above the old
    Nyquist frequency it leaves faint images, which the normalised bands see: another filter would
    give another score.

    Attributes
    ----------
    filters : ndarray, float64, (up, taps)
        Of each of `up` outputs, over the same inputs.
    down : int
        Inputs from one such group of outputs to the next.
    side : int
        Zeros that are put before the sound; and at least `taps` behind it.
    """

    filters: Signal
    down: int
    side: int


@cache
def stoi_resampler(rate: int) -> Resampler:
    """Design the filters from `rate`, in hertz, to 10 kHz."""
    up, down = STOI_RATE // math.gcd(STOI_RATE, rate), rate // math.gcd(STOI_RATE, rate)
    cutoff = 1 / (2 * max(up, down))
    half = math.ceil((60 - 8) / (28.714 * cutoff / 10))
    kernel = np.kaiser(2 * half + 1, 0.1102 * (60 - 8.7))
    kernel *= np.sinc(2 * cutoff * np.arange(-half, half + 1))
    kernel *= up / kernel.sum()
    # One output in `up` meets the same taps of the kernel: its phase.
    side = half // up + 1
    filters = np.zeros((up, 2 * side + 1 + (up - 1) * down // up))
    for phase in range(up):
        first, offset = divmod(phase * down, up)
        place = half + offset + np.arange(side, -side - 1, -1) * up
        inside = (place >= 0) & (place < len(kernel))
        filters[phase, first : first + len(place)][inside] = kernel[place[inside]]
    return Resampler(filters, down, side)


def _at_stoi_rate(signal: Signal, rate: int) -> Signal:
    design = stoi_resampler(rate)
    taps, down = design.filters.shape[1], design.down
    padded = np.concatenate([np.zeros(design.side), signal, np.zeros(taps)])
    rows = framed(padded, taps, down)
    resampled = np.concatenate([block @ design.filters.T for block in rows]).ravel()
    return resampled[: -(-len(signal) * len(design.filters) // down)]


def _frames(signal: Signal) -> Signal:
    return sliding_window_view(signal, FRAME)[: len(signal) - FRAME : HOP]


def _without_pauses(truth: Signal, sound: Signal) -> tuple[Signal, Signal]:
    """Leave out frames that are 40 dB under the reference's loudest, and join the others."""
    frames = _frames(truth)
    energy = np.sqrt((frames**2) @ (WINDOW**2)) + np.finfo(float).eps
    kept = energy > energy.max() * 10 ** (-40 / 20)
    joined = []
    for signal in (truth, sound):
        windowed = _frames(signal)[kept] * WINDOW
        halves = np.zeros((len(windowed) + 1, HOP))
        halves[:-1] += windowed[:, :HOP]
        halves[1:] += windowed[:, HOP:]
        joined.append(halves.ravel())
    return joined[0], joined[1]


def _envelopes(signal: Signal, bands: Signal) -> Signal:
    frames = _frames(signal)
    found = np.empty((len(bands), len(frames)))
    for start in range(0, len(frames), 4096):
        part = slice(start, start + 4096)
        spectrum = scipy.fft.rfft(frames[part] * WINDOW, 2 * FRAME)
        found[:, part] = np.sqrt(bands @ (np.abs(spectrum) ** 2).T)
    return found


def _stretches(envelopes: Signal) -> Iterator[Signal]:
    """Yield blocks of all stretches of 30 frames, ``(B, 15, 30)``: a few megabytes at a time."""
    windows = sliding_window_view(envelopes, STRETCH, axis=1).transpose(1, 0, 2)
    for start in range(0, len(windows), 512):
        yield windows[start : start + 512]


def _normalised(block: Signal, axis: int, dither: np.random.Generator) -> Signal:
    """Take out the mean and bring the norm to 1 along an axis.

    The published measure adds noise of the size of rounding errors, so that what is constant
    becomes uncorrelated with everything; where nothing is constant it makes no difference.
    """
    centred = block - block.mean(axis=axis, keepdims=True)
    norm = np.sqrt((centred**2).sum(axis=axis, keepdims=True))
    if (norm < 1e-9).any():
        noisy = block + np.finfo(float).eps * dither.standard_normal(block.shape)
        centred = noisy - noisy.mean(axis=axis, keepdims=True)
        norm = np.sqrt((centred**2).sum(axis=axis, keepdims=True))
    return np.asarray(centred / np.maximum(norm, 1e-300))


def pesq(reference: ArrayLike, estimate: ArrayLike, rate: float) -> float:
    """Evaluate the perceived quality of speech (ITU-T P.862, narrow band).

    The optional package `pesq` computes it. About 1 to 4.5 (MOS-LQO). A perfect copy scores 4.55;
    silence has no value.

    Parameters
    ----------
    reference, estimate : array_like, (N,)
        Two aligned sounds.
    rate : float
        Samples per second, in hertz; both are resampled to 8 kHz.

    Returns
    -------
    float

    Raises
    ------
    UndefinedMetric
        See :func:`~visualmic.evaluate.waveform.paired`; also where the optional package `pesq` is
        not installed, or finds no speech.

    References
    ----------
    ITU-T Recommendation P.862 (2001) and P.862.1 (2003).
    """
    truth, sound = paired(reference, estimate, least=math.ceil(0.25 * rate))
    if not sound.any():
        raise UndefinedMetric("the recovered sound is silent")
    if importlib.util.find_spec("pesq") is None:
        raise UndefinedMetric("pesq is not installed: pip install 'visualmic[pesq]'")
    from pesq import PesqError
    from pesq import pesq as measure

    truth, sound = (resample(x / np.abs(x).max(), rate, 8000.0) for x in (truth, sound))
    try:
        return float(measure(8000, truth, sound, "nb"))
    except PesqError as error:
        raise UndefinedMetric(f"pesq has no value: {error}") from error

r"""Metrics of speech: how much of it a listener would understand, and how it would please.

They listen between 150 Hz and 4.3 kHz, so that a film of 2200 frames per second, whose sound ends
at 1.1 kHz, is compared with a reference cut at the same frequency: 1 means "as intelligible as
the reference through the same band". The conventions are those of
:mod:`visualmic.evaluate.waveform`.
"""

import importlib.util
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import ArrayLike

from visualmic.evaluate.alignment import resample
from visualmic.evaluate.waveform import UndefinedMetric, paired

STOI_RATE = 10_000
"""The rate at which STOI is defined, in hertz."""

_LEAST_SPEECH_S = 0.4
"""STOI compares stretches of 384 ms."""


def stoi(reference: ArrayLike, estimate: ArrayLike, rate: float) -> float:
    """Measure short-time objective intelligibility.

    The mean correlation of the envelopes of 15 third-octave bands over stretches of 384 ms, as
    `pystoi` computes it. About 0 to 1. A perfect copy scores 1, silence 0.

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
    return _intelligibility(reference, estimate, rate, extended=False)


def estoi(reference: ArrayLike, estimate: ArrayLike, rate: float) -> float:
    """Measure extended short-time objective intelligibility.

    The mean correlation of short-time spectra after each band and each instant is normalised, as
    `pystoi` computes it. About 0 to 1. A perfect copy scores 1, silence 0.

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
    return _intelligibility(reference, estimate, rate, extended=True)


def _intelligibility(
    reference: ArrayLike, estimate: ArrayLike, rate: float, extended: bool
) -> float:
    import pystoi

    least = math.ceil(_LEAST_SPEECH_S * rate)
    truth, sound = paired(reference, estimate, least=least)
    if not sound.any():
        return 0.0
    truth = truth / np.abs(truth).max()
    sound = sound / np.abs(sound).max()
    whole = round(rate)
    if abs(rate - whole) > 1e-9:
        truth, sound = resample(truth, rate, whole), resample(sound, rate, whole)
    with warnings.catch_warnings(), _repeatable_noise():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(pystoi.stoi(truth, sound, whole, extended=extended))
        except RuntimeWarning as warning:
            if "Not enough STFT frames" not in str(warning):
                raise
            raise UndefinedMetric(
                "less than 0.4 s of sound is left after pauses are taken out"
            ) from warning


@contextmanager
def _repeatable_noise() -> Iterator[None]:
    """Give pystoi, which dithers with numpy's global generator, the same noise every time."""
    state = np.random.get_state()  # noqa: NPY002 - the generator that pystoi uses
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


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

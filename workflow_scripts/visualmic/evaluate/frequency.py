"""How much of the sound is heard at each frequency.

The conventions are those of :mod:`visualmic.evaluate.waveform`.
"""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike

from visualmic.evaluate.waveform import Signal, UndefinedMetric, framed, paired

OCTAVES_HZ = (31.5, 63.0, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16000.0)
"""Centres of the octave bands (IEC 61260)."""

SNR_RANGE_DB = (-20.0, 60.0)
"""What is below cannot be told from chance, what is above from a perfect copy."""


def coherence(
    reference: ArrayLike,
    estimate: ArrayLike,
    rate: float,
    low_hz: float = 100.0,
    high_hz: float = 1000.0,
) -> float:
    r"""Mean magnitude-squared coherence between 100 and 1000 Hz.

    .. math:: \frac{1}{F} \sum_f \frac{|S_{xy}(f)|^2}{S_{xx}(f) \, S_{yy}(f)}

    with Welch's spectra (Hann windows of 125 ms, half overlapping; shorter where the sound does not
    hold 16 of them). 0 to 1. A perfect copy, at any colour that does not change in time, scores 1;
    silence scores 0 by convention. Unrelated noise scores about one over the number of independent
    windows, not 0: see the `chance` column of the scores.

    Parameters
    ----------
    reference, estimate : array_like, (N,)
        Two aligned sounds.
    rate : float
        Samples per second, in hertz.
    low_hz, high_hz : float
        The band, in hertz; it ends at the Nyquist frequency.

    Returns
    -------
    float

    Raises
    ------
    UndefinedMetric
        See :func:`~visualmic.evaluate.waveform.paired`; also where no frequency of the band is
        resolved.

    References
    ----------
    G. C. Carter, C. H. Knapp, A. H. Nuttall, "Estimation of the magnitude-squared coherence
    function via overlapped fast Fourier transform processing", IEEE Trans. AE 21 (1973).

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal(4400)
    >>> round(coherence(noise, -2 * noise, 2200.0), 9)
    1.0
    """
    spectra = _cross_spectra(reference, estimate, rate)
    band = (spectra.frequency_hz >= low_hz) & (spectra.frequency_hz <= min(high_hz, rate / 2))
    if not band.any():
        raise UndefinedMetric(
            f"no frequency between {low_hz:g} and {high_hz:g} Hz is resolved by"
            f" {np.size(reference)} samples at {rate:g} Hz"
        )
    return float(np.mean(spectra.coherence[band]))


def snr_per_frequency(
    reference: ArrayLike, estimate: ArrayLike, rate: float
) -> tuple[Signal, Signal]:
    r"""Signal-to-noise ratio at each frequency, in dB.

    .. math:: 10 \log_{10} \frac{\gamma^2(f)}{1 - \gamma^2(f)}, \qquad
        \gamma^2 = \frac{\hat\gamma^2 - 1/L}{1 - 1/L}

    with the coherence that :func:`coherence` averages, less what chance alone gives with `L`
    independent windows. It is the SNR after the best equaliser of any length that fits the window.

    Parameters
    ----------
    reference, estimate : array_like, (N,)
        Two aligned sounds.
    rate : float
        Samples per second, in hertz.

    Returns
    -------
    frequency_hz, snr_db : ndarray, float64, (F,)
        Between -20 dB, which chance does not let one tell from nothing, and 60 dB.

    Raises
    ------
    UndefinedMetric
        As :func:`coherence`.
    """
    spectra = _cross_spectra(reference, estimate, rate)
    return spectra.frequency_hz, _ratio_db(spectra.unbiased)


def snr_per_band(reference: ArrayLike, estimate: ArrayLike, rate: float) -> tuple[Signal, Signal]:
    """Signal-to-noise ratio in each octave band, in dB.

    Of the reference's power in the band, what the recovered sound explains over what it does not:
    :func:`snr_per_frequency` weighted by the reference's spectrum.

    Parameters
    ----------
    reference, estimate : array_like, (N,)
        Two aligned sounds.
    rate : float
        Samples per second, in hertz.

    Returns
    -------
    centre_hz, snr_db : ndarray, float64, (B,)
        Bands that hold at least one frequency, centred on 31.5, 63, 125, 250, ... Hz.

    Raises
    ------
    UndefinedMetric
        As :func:`coherence`.
    """
    spectra = _cross_spectra(reference, estimate, rate)
    centres, ratios = [], []
    for centre in OCTAVES_HZ:
        band = (spectra.frequency_hz >= centre / 2**0.5) & (spectra.frequency_hz < centre * 2**0.5)
        power = spectra.reference_power[band]
        if power.sum() > 0:
            centres.append(centre)
            ratios.append(float(power @ spectra.unbiased[band]) / float(power.sum()))
    return np.array(centres), _ratio_db(np.array(ratios))


@dataclass(frozen=True)
class _CrossSpectra:
    frequency_hz: Signal
    coherence: Signal
    unbiased: Signal
    reference_power: Signal


def _cross_spectra(reference: ArrayLike, estimate: ArrayLike, rate: float) -> _CrossSpectra:
    truth, sound = paired(reference, estimate, least=64)
    segment = max(min(round(rate / 8), len(truth) // 8), 8)
    truth = truth / np.abs(truth).max()
    sound = sound / np.abs(sound).max() if sound.any() else sound
    hop = segment - segment // 2
    window = np.hanning(segment + 1)[:-1]
    cross = np.zeros(segment // 2 + 1, dtype=complex)
    power, other = np.zeros((2, segment // 2 + 1))
    count = 0
    for played, heard in zip(framed(truth, segment, hop), framed(sound, segment, hop), strict=True):
        spectra = [
            scipy.fft.rfft((frames - frames.mean(axis=1, keepdims=True)) * window)
            for frames in (played, heard)
        ]
        cross += (np.conj(spectra[0]) * spectra[1]).sum(axis=0)
        power += (np.abs(spectra[0]) ** 2).sum(axis=0)
        other += (np.abs(spectra[1]) ** 2).sum(axis=0)
        count += len(played)
    product = power * other
    squared = np.abs(cross) ** 2 / np.where(product > 0, product, 1.0)
    squared = np.minimum(squared, 1.0)
    frequency = np.asarray(np.arange(len(power)) * (rate / segment), dtype=np.float64)
    # Hann windows that overlap by half are correlated by (1/6)^2 in power.
    independent = max(count / (1 + 2 / 36), 1.5)
    unbiased = np.maximum(squared - 1 / independent, 0.0) / (1 - 1 / independent)
    return _CrossSpectra(frequency, squared, unbiased, power)


def _ratio_db(coherence: Signal) -> Signal:
    ratio = coherence / np.maximum(1 - coherence, 1e-12)
    return np.clip(10 * np.log10(np.maximum(ratio, 1e-12)), *SNR_RANGE_DB)

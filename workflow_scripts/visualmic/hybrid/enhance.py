"""Hearing with the hybrid: the shipped networks on onnxruntime, without torch."""

from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from visualmic.errors import VisualMicError
from visualmic.hybrid.features import cells_of, statistics
from visualmic.hybrid.weight_files import MASK, RESPONSE, WEIGHTS
from visualmic.motion.beam import Beam, long_term_snr
from visualmic.motion.hearing import HearingSettings, combine_lucas_kanade
from visualmic.motion.modal_model import Expected
from visualmic.motion.noise_suppression import as_beam
from visualmic.motion.recovery import Recovery
from visualmic.motion.reference import Floats
from visualmic.motion.signals import MotionSignals
from visualmic.motion.spectra import Spectra
from visualmic.motion.wiener import Learned, WienerSettings, wiener_gain

# Windows in a piece, and beside it: more than a cell of the mask sees, so pieces have no seams, and
# multiples of the squares that it sees them in.
_PIECE, _BESIDE = 1024, 80
# Predicted ratio of signal to distortion, in dB, above which the mask has nothing to add.
_CLEAR_DB = 20.0
# Neighbouring frequencies at which the response that is expected errs alike.
_ALIKE_BINS = 15.0


@cache
def _network(name: str, folder: Path) -> Any:
    import onnxruntime

    path = folder / name
    if not path.exists():
        raise VisualMicError(
            f"the weights of the hybrid, {path}, are missing: install the project again, or use"
            " --method lucas-kanade"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 0
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def expect_response(beam: Beam, frequency_hz: Floats, folder: Path = WEIGHTS) -> Expected:
    """Say from a beam what response of the object to expect.

    Parameters
    ----------
    beam : Beam
        As the motion gives it, without the object's modes.
    frequency_hz : ndarray, float64, (F,)
    folder : path, optional
        Of the weights.
    """
    cells = np.abs(beam.spectra) ** 2
    told, heard = statistics(cells, frequency_hz, beam.bias, beam.level)
    log_power, log_spread = _network(RESPONSE, folder).run(None, {"input": told[None]})
    # The factor signals are in units of their noise.
    power = log_power[0].astype(np.float64) - np.log(beam.level)
    weight = heard * np.exp(-2 * log_spread[0].astype(np.float64)) / _ALIKE_BINS
    return Expected(power, weight)


def clear_beam(
    beam: Beam, settings: WienerSettings, frequency: Floats, folder: Path = WEIGHTS
) -> tuple[Spectra, Floats]:
    """Clear a beam: spectra of the sound (windows, F), and its mean SNR (F,).

    In the place of :func:`visualmic.motion.wiener.wiener_gain`, to which it adds what the mask
    changes. What that leaves clear enough is left as it is.
    """
    snr = long_term_snr(beam)
    shape = beam.gain * np.sqrt(beam.level)
    shape[frequency < settings.highpass_hz / 2] = 0
    if not settings.suppress_noise or predicted_sdr_db(snr, np.abs(shape) ** 2) > _CLEAR_DB:
        return wiener_gain(beam, settings, frequency)
    cells = cells_of(beam, frequency)
    mask = _network(MASK, folder)
    change = np.empty(cells.logit.shape, np.float32)
    count = len(change)
    for first in range(0, count, _PIECE):
        last = min(first + _PIECE, count)
        begin, end = max(first - _BESIDE, 0), min(last + _BESIDE, count)
        shift = mask.run(None, {"input": cells.planes[:, begin:end]})[0][first - begin :]
        before = cells.logit[first:last]
        change[first:last] = _logistic(before + shift[: last - first]) - _logistic(before)
    heard = (cells.plain + change * cells.spectra).astype(np.complex64)
    sound = cells.stft.inverse(heard, cells.total)
    return (as_beam(beam, sound) * shape).astype(np.complex64), snr


def _logistic(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-values)))


def predicted_sdr_db(snr: Floats, noise: Floats) -> float:
    """Predict the signal-to-distortion ratio that a Wiener filter leaves, in dB.

    Parameters
    ----------
    snr : ndarray, float64, (F,)
        Mean ratio of sound to noise.
    noise : ndarray, float64, (F,)
        Power of the noise as the sound has it.

    Examples
    --------
    >>> round(predicted_sdr_db(np.array([9.0, 9.0]), np.array([1.0, 4.0])), 6)
    10.0
    """
    sound = noise * snr
    left = float((sound / (1 + snr)).sum())
    return float(10 * np.log10(max(float(sound.sum()), 1e-30) / max(left, 1e-30)))


def learned(folder: Path = WEIGHTS) -> Learned:
    """Both networks in `folder`, as hearing takes them."""
    return Learned(partial(expect_response, folder=folder), partial(clear_beam, folder=folder))


def combine_hybrid(motion: MotionSignals, settings: HearingSettings | None = None) -> Recovery:
    """Combine motion as `lucas-kanade` does, with networks for the resonances and the noise.

    Parameters
    ----------
    motion : MotionSignals
        Of :func:`visualmic.motion.lucas_kanade.measure_lucas_kanade`.
    settings : HearingSettings, optional

    Returns
    -------
    Recovery

    Raises
    ------
    VisualMicError
        If the weights are not where they were installed.
    """
    recovery = combine_lucas_kanade(motion, settings, learned())
    recovery.method = "hybrid"
    return recovery

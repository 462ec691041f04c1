"""Hearing with the hybrid: the shipped networks on onnxruntime, without torch."""

from functools import partial
from pathlib import Path

import numpy as np

from visualmic.hybrid.features import CLEAR_DB, Cells, cells_of, predicted_sdr_db
from visualmic.hybrid.response import expect_response, undo_response
from visualmic.hybrid.weight_files import MASK, WEIGHTS, network
from visualmic.motion.beam import Beam, long_term_snr
from visualmic.motion.hearing import HearingSettings, combine_lucas_kanade
from visualmic.motion.noise_suppression import as_beam
from visualmic.motion.recovery import Recovery
from visualmic.motion.reference import Floats
from visualmic.motion.signals import MotionSignals
from visualmic.motion.spectra import Spectra
from visualmic.motion.wiener import Learned, WienerSettings, wiener_gain

# Windows in a piece, and beside it: more than a cell of the mask sees, so pieces have no seams, and
# multiples of the squares that it sees them in.
_PIECE, _BESIDE = 1024, 80
# The mask was taught no sounds that are lower: what is clear there it would take for noise.
_LOWEST_HZ = 40.0


def clear_beam(
    beam: Beam, settings: WienerSettings, frequency: Floats, folder: Path = WEIGHTS
) -> tuple[Spectra, Floats]:
    """Clear a beam: spectra of the sound (windows, F), and its mean SNR (F,).

    In the place of :func:`visualmic.motion.wiener.wiener_gain`, to which it adds what the mask
    changes. What that leaves clear enough is left as it is, unless a codec lost something: then
    there is more noise than is known of.
    """
    if settings.undo_resonances:
        beam = undo_response(beam, frequency, folder)
    snr = long_term_snr(beam)
    shape = beam.gain * np.sqrt(beam.level)
    shape[frequency < settings.highpass_hz / 2] = 0
    clear = predicted_sdr_db(snr, np.abs(shape) ** 2) > CLEAR_DB
    if (clear and not beam.lossy) or not settings.suppress_noise:
        return wiener_gain(beam, settings, frequency)
    cells = cells_of(beam, frequency)
    mask = network(MASK, folder)
    change = np.empty_like(cells.logit)
    count = len(change)
    for first in range(0, count, _PIECE):
        last = min(first + _PIECE, count)
        begin, end = max(first - _BESIDE, 0), min(last + _BESIDE, count)
        shift = mask.run(None, {"input": cells.planes[:, begin:end]})[0][first - begin :]
        before = cells.logit[first:last]
        change[first:last] = _logistic(before + shift[: last - first]) - _logistic(before)
    if clear:
        # A codec's errors are all there is to take out: nothing is brought back.
        change = np.minimum(change, 0)
        change[:, : _first_heard(cells, frequency[-1])] = 0
    heard = (cells.plain + change * cells.spectra).astype(np.complex64)
    sound = cells.stft.inverse(heard, cells.total)
    return (as_beam(beam, sound) * shape).astype(np.complex64), snr


def _first_heard(cells: Cells, highest_hz: float) -> int:
    """Give the first of the cells' frequencies that is no lower than sounds of the training.

    Nor is it one that what is lower leaks into, louder than it.
    """
    bins = cells.logit.shape[1]
    first = min(int(np.ceil(_LOWEST_HZ * (bins - 1) / highest_hz)), bins)
    loud = (np.abs(cells.spectra[:, first - 1 : first + 1]) ** 2).mean(axis=0)
    return first + int(loud[-1] < loud[0])


def _logistic(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-values)))


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

"""Hearing with the hybrid: the shipped network on onnxruntime, without torch."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from visualmic.errors import VisualMicError
from visualmic.hybrid.features import cell_features, logit, noise_colour, statistics
from visualmic.motion.hearing import HearingSettings, combine_lucas_kanade
from visualmic.motion.recovery import Recovery
from visualmic.motion.reference import Floats
from visualmic.motion.signals import MotionSignals
from visualmic.motion.spectra import Spectra
from visualmic.motion.wiener import Beam, WienerSettings, local_gain

WEIGHTS = Path(__file__).parent / "weights"
EQUALISER, MASK = "equaliser.onnx", "mask.onnx"
# Windows in a piece, and beside it: more than a cell of the mask sees, so pieces have no seams.
_PIECE, _BESIDE = 256, 16


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


def network_gain(
    beam: Beam, settings: WienerSettings, frequency: Floats, folder: Path = WEIGHTS
) -> tuple[Spectra, Floats]:
    """Clear and equalise a beam: spectra of the sound (windows, F), and its mean SNR (F,).

    In the place of :func:`visualmic.motion.wiener.wiener_gain`, where it starts from.
    """
    wiener, snr = local_gain(beam, settings.suppress_noise)
    log_gain, phase = _network(EQUALISER, folder).run(None, {"input": statistics(beam, frequency)})
    if beam.modes is not None:
        # Found from the motion itself, they leave nothing to be guessed.
        log_gain, phase = np.zeros_like(log_gain), np.zeros_like(phase)
    colour = noise_colour(beam) + 2 * log_gain
    mask = _network(MASK, folder)
    gain = np.empty(beam.spectra.shape, np.float32)
    count = len(gain)
    for first in range(0, count, _PIECE):
        last = min(first + _PIECE, count)
        begin, end = max(first - _BESIDE, 0), min(last + _BESIDE, count)
        part = Beam(
            beam.spectra[begin:end],
            beam.gain,
            beam.power,
            beam.level,
            beam.pattern,
            beam.bias,
            beam.modes,
        )
        features = cell_features(part, frequency, wiener[begin:end], colour)
        shift = mask.run(None, {"input": features})[0]
        piece = 1 / (1 + np.exp(-(logit(wiener[begin:end]) + shift)))
        gain[first:last] = piece[first - begin : last - begin]
    shape = beam.gain * np.sqrt(beam.level) * np.exp(log_gain + 1j * phase) * (snr > 0)
    shape[frequency < settings.highpass_hz / 2] = 0
    return (gain * beam.spectra * shape).astype(np.complex64), snr


def combine_hybrid(motion: MotionSignals, settings: HearingSettings | None = None) -> Recovery:
    """Combine motion as `lucas-kanade` does, and let the network clear and equalise the beam.

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
    recovery = combine_lucas_kanade(motion, settings, network_gain)
    recovery.method = "hybrid"
    return recovery

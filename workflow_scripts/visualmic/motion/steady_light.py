r"""Light that was taken out of the blocks though it never changed.

Gain and offset of the light are fitted to a part of every frame, and the sensor's noise makes them
tremble by a known variance even where the lamp is steady. What is taken out of the blocks then is
one noise for all of them, with a pattern of its own that a beam would take for motion. A Wiener
filter keeps of each series `x` what stands above that noise,

.. math:: H(f) = \max\left(1 - \sigma^2 / P_x(f), 0\right),

and the rest, :math:`x - h * x`, is given back to the blocks, to which it couples by known numbers.
"""

import numpy as np

from visualmic.motion.block_tracker import BlockTracker
from visualmic.motion.projection import whiten_blocks
from visualmic.motion.reference import Floats
from visualmic.motion.signals import MotionSignals
from visualmic.motion.spectra import ShortTimeFourier

_WINDOW_S = 0.25
# Standard deviations by which the power of the light must stand above that of the noise.
_ABOVE_CHANCE = 3.0


def light_coupling(tracker: BlockTracker) -> Floats:
    """Give what a unit of the frame's gain, and of its offset, changes in each channel, (2, C).

    Zeros where neither is taken out of the blocks.
    """
    coupling = np.zeros((2, 2 * tracker.grid.count), np.float32)
    if tracker.illumination and not tracker.local_illumination:
        templates = tracker.templates
        still = int(templates.slots(templates.quantise(np.zeros(2))[0]))
        one = templates.with_one[still]
        # The gain is about the mean level of the comparison, the templates' about their own.
        contrast = templates.with_centred[still]
        contrast = contrast + (tracker.mean_level - tracker.comparison.mean) * one
        for row, left in zip(coupling, (contrast, one), strict=True):
            solved = np.einsum("bij,bj->bi", templates.inverse[still], left)
            whiten_blocks(solved[None].astype(np.float32), tracker.whitener, row[None])
    return coupling


def unneeded_light(motion: MotionSignals) -> tuple[Floats, Floats] | None:
    """Find what of the light that was taken out is noise.

    Parameters
    ----------
    motion : MotionSignals
        With ``arrays["gain"]``, ``["offset"]`` and ``["light_coupling"]``, and
        ``attributes["light_variance"]``, of
        :func:`visualmic.motion.lucas_kanade.measure_lucas_kanade`.

    Returns
    -------
    trembling : ndarray, float32, (T, 2)
        Of gain and offset.
    coupling : ndarray, float32, (2, C)
        What a unit of each takes from the channels. None where nothing was taken.
    """
    coupling = np.asarray(motion.arrays.get("light_coupling", []), np.float32)
    total = motion.signals.shape[0]
    length = max(16, 2 ** round(np.log2(_WINDOW_S * motion.capture_fps)))
    if not coupling.any() or total < 2 * length:
        return None
    light = np.column_stack([motion.arrays[name] for name in ("gain", "offset")])
    variance = np.asarray(motion.attributes["light_variance"], np.float64)
    return light.astype(np.float32) - _above_noise(light, variance, length), coupling


def _above_noise(light: Floats, variance: Floats, length: int) -> Floats:
    """Keep of series (T, K) what stands above white noise of a variance (K,)."""
    total = len(light)
    mean = light.mean(axis=0)
    centred = (light - mean).astype(np.float32)
    stft = ShortTimeFourier(length, 4, "hann")
    pieces = stft.pieces(lambda start, stop: centred[start:stop], total, whole=True)
    power = np.concatenate([(np.abs(one) ** 2) for one in pieces]).mean(axis=0)
    wide = np.pad(power, [(1, 1), (0, 0)], mode="edge")
    power = 0.25 * wide[:-2] + 0.5 * power + 0.25 * wide[2:]
    # A codec takes noise away, too.
    noise = np.minimum(variance, np.median(power, axis=0))
    # Independent looks, of which the taper over frequencies joins two.
    chance = 1 + _ABOVE_CHANCE / np.sqrt(2 * 1.8 * total / length)
    share = np.where(power > chance * noise, 1 - noise / np.maximum(power, 1e-30), 0)
    padded = np.pad(centred, [(length, length), (0, 0)], mode="reflect")
    spectrum = np.fft.rfft(padded, axis=0)
    at = np.linspace(0, length / 2, len(spectrum))
    for one, kept in zip(spectrum.T, share.T, strict=True):
        one *= np.interp(at, np.arange(len(kept)), kept)
    filtered = np.fft.irfft(spectrum, len(padded), axis=0)[length : length + total]
    return np.asarray(filtered + mean, np.float32)

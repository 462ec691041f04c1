"""Slow sway of the whole picture: the camera's, or the object's as a whole."""

import numpy as np

from visualmic.motion.signals import MotionSignals

SWAY_BELOW_HZ = 15.0
LEAST_SWAY_PX = 0.05


def sway_rms_px(motion: MotionSignals) -> float:
    """Root mean square of the picture's motion below :data:`SWAY_BELOW_HZ`, in pixels."""
    shift = np.asarray(motion.arrays.get("global_shift", np.zeros((0, 2))), np.float64)
    if len(shift) < 16:
        return 0.0
    window = np.hanning(len(shift) + 2)[1:-1, None]
    spectrum = np.fft.rfft((shift - shift.mean(axis=0)) * window, axis=0)
    frequency = np.fft.rfftfreq(len(shift), 1 / motion.capture_fps)
    spectrum[frequency > SWAY_BELOW_HZ] = 0
    power = (np.fft.irfft(spectrum, len(shift), axis=0) ** 2).sum() / (window**2).sum()
    return float(np.sqrt(power))

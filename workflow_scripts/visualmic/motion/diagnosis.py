"""Say what a film did to its sound: light, codec, camera, sensor, and what was heard."""

import numpy as np

from visualmic.motion.interference import Cleaner
from visualmic.motion.recovery import Diagnosis
from visualmic.motion.signals import MotionSignals
from visualmic.motion.wiener import Combined

_SHAKE_PX = 0.05
_SHAKE_BELOW_HZ = 15.0
_FLICKER_SHARE = 0.001


def diagnose(motion: MotionSignals, combined: Combined, cleaner: Cleaner) -> Diagnosis:
    """Put into words and numbers what the measurement and the combination found.

    Parameters
    ----------
    motion : MotionSignals
        Motion of the blocks.
    combined : Combined
        The sound.
    cleaner : Cleaner
        What was taken out before.

    Returns
    -------
    Diagnosis
    """
    bound = float(motion.attributes.get("cramer_rao_px", np.inf))
    result = Diagnosis(
        verdict=_verdict(motion, combined),
        warnings=_warnings(motion, combined, cleaner),
        crb_px=bound if np.isfinite(bound) else None,
        frequency_hz=combined.frequency_hz,
        snr=combined.snr,
    )
    if np.isfinite(bound):
        result.noise_floor_px = bound * float(np.sqrt(combined.noise_level))
    if combined.heard:
        result.effective_bandwidth_hz = _bandwidth(combined)
        result.heat = _heat(motion, combined)
    return result


def _bandwidth(combined: Combined) -> float:
    above = np.flatnonzero(combined.snr > 1.0)
    return float(combined.frequency_hz[above[-1]]) if len(above) else 0.0


def _verdict(motion: MotionSignals, combined: Combined) -> str:
    if not np.isfinite(motion.attributes.get("cramer_rao_px", np.inf)):
        return "no sound: the picture has no texture that motion could show in"
    if not combined.heard:
        return "no sound: nothing in the film moves above the noise; the recovered sound is silence"
    peak = float(10 * np.log10(max(float(combined.snr.max()), 1e-3)))
    above = combined.frequency_hz[combined.snr > 1.0]
    if len(above) == 0:
        return "a faint sound, below the noise at every frequency"
    return f"a sound from {above[0]:.0f} to {above[-1]:.0f} Hz, up to {peak:.0f} dB over the noise"


def _warnings(motion: MotionSignals, combined: Combined, cleaner: Cleaner) -> list[str]:
    found = []
    fps = motion.capture_fps
    gain = np.asarray(motion.arrays.get("gain", []), np.float64)
    if cleaner.flicker_hz and len(gain) and gain.std() > _FLICKER_SHARE:
        lines = ", ".join(f"{line:.1f}" for line in cleaner.flicker_hz)
        found.append(
            f"the lamp flickers by {100 * np.sqrt(2) * gain.std():.1f} % (seen at {lines} Hz); it"
            " was removed, but light from direct current is better"
        )
    if motion.attributes.get("illumination") == "local":
        found.append(
            "light changes differently over the frame; it was removed block by block, which"
            " costs some of the motion"
        )
    if cleaner.period is not None:
        found.append(
            f"the codec repeats itself every {cleaner.period} frames, which makes lines at"
            f" multiples of {fps / cleaner.period:.2f} Hz; they were removed"
        )
    shift = np.asarray(motion.arrays.get("global_shift", np.zeros((0, 2))), np.float64)
    if len(shift) > 16:
        frequency = np.fft.rfftfreq(len(shift), 1 / fps)
        spectrum = np.fft.rfft(shift - shift.mean(axis=0), axis=0)
        spectrum[frequency > _SHAKE_BELOW_HZ] = 0
        slow = float(np.sqrt((np.fft.irfft(spectrum, len(shift), axis=0) ** 2).sum(1).mean()))
        if slow > _SHAKE_PX:
            found.append(
                f"the camera or the object sways by {slow:.2f} px rms below"
                f" {_SHAKE_BELOW_HZ:.0f} Hz; it was followed and removed, but a tripod is better"
            )
    unusable = float(motion.attributes.get("unusable_fraction", 0.0))
    if unusable > 0.01:
        found.append(
            f"{100 * unusable:.0f} % of the pixels are clipped or stuck and carry nothing; expose"
            " so that nothing is white or black"
        )
    read = float(motion.attributes.get("noise_read", 1.0))
    shot = float(motion.attributes.get("noise_shot", 0.0))
    if read + shot * 128 < 0.08:
        found.append(
            "the noise is far below one grey level: motion smaller than the rounding to 8 bits may"
            " be lost; more gain or less denoising in the camera would keep it"
        )
    detail = float(motion.attributes.get("gradient_aliasing", 0.0))
    if detail > 0.25:
        found.append(
            f"{100 * detail:.0f} % of the detail is finer than two pixels: the film was downsampled"
            " too coarsely or without a filter; film or crop at full resolution"
        )
    if combined.heard and combined.noise_level > 2.0:
        found.append(
            f"the noise is {10 * np.log10(combined.noise_level):.0f} dB above that of the sensor:"
            " compression, or motion that no block follows"
        )
    return found


def _heat(motion: MotionSignals, combined: Combined) -> dict[str, object]:
    """Signal-to-noise ratio of the sound in each block, in dB."""
    height, width = (int(side) for side in motion.arrays["block_size"])
    power = combined.channel_snr.reshape(-1, 2).sum(axis=1)
    value = 10 * np.log10(np.maximum(power / max(float(power.max()), 1e-30), 1e-4))
    return {
        "x_px": (motion.arrays["block_x"] + width / 2).astype(float).tolist(),
        "y_px": (motion.arrays["block_y"] + height / 2).astype(float).tolist(),
        "size_px": float(max(height, width)),
        "value": [round(float(v), 2) for v in value],
        "unit": "dB re loudest",
    }

"""From the motion of blocks to one sound, with a diagnosis of film and sound."""

from dataclasses import dataclass, replace

import numpy as np

from visualmic.motion.agreement import is_coded_between_frames, measure_agreement
from visualmic.motion.diagnosis import diagnose
from visualmic.motion.frame_types import CodedFrames
from visualmic.motion.interference import Cleaner
from visualmic.motion.recovery import Recovery
from visualmic.motion.signals import MotionSignals
from visualmic.motion.wiener import Learned, WienerSettings, combine_channels


@dataclass(frozen=True)
class HearingSettings(WienerSettings):
    """Settings of the combination, with a switch for each cure.

    Attributes
    ----------
    remove_comb : bool
        Take out lines that repeat with the film's group of pictures, where they are found.
    remove_flicker : bool
        Take out what follows the brightness of the frame, where the lamp flickers.
    doubt_copied_frames : bool
        Let frames that a codec mostly copied from their neighbours count for less.
    even_frames : bool
        Make up for motion that frames predicted from both sides show smaller than the others.
    require_agreement : bool
        Give silence when a film is coded between frames and no distant parts of it move together:
        what stands out of the noise then is the codec's own.
    """

    remove_comb: bool = True
    remove_flicker: bool = True
    doubt_copied_frames: bool = True
    even_frames: bool = True
    require_agreement: bool = True


def combine_lucas_kanade(
    motion: MotionSignals,
    settings: HearingSettings | None = None,
    learned: Learned | None = None,
) -> Recovery:
    """Combine what :func:`visualmic.motion.lucas_kanade.measure_lucas_kanade` measured.

    Parameters
    ----------
    motion : MotionSignals
        Whitened motion of the blocks.
    settings : HearingSettings, optional
    learned : Learned, optional
        What a network adds: none for `lucas-kanade`.

    Returns
    -------
    Recovery
        Sound in pixels, zeros where nothing stands above the noise, with its diagnosis.
    """
    settings = settings or HearingSettings()
    cleaner = Cleaner(motion, comb=settings.remove_comb, flicker=settings.remove_flicker)
    frames = CodedFrames(motion, cleaner.rows, settings.doubt_copied_frames)
    even = frames.even if settings.even_frames else None
    combined = combine_channels(motion, frames.rows, settings, learned, even)
    agreement = None
    # A film that lost nothing here may have been coded before: its noise then tells.
    clean = combined.sensor_noise and motion.attributes.get("lossless", False)
    coded = is_coded_between_frames(motion) and not clean
    if settings.require_agreement and combined.heard and coded:
        lowest_hz = max(settings.highpass_hz, combined.above_hz)
        agreement = measure_agreement(motion, cleaner.rows, lowest_hz)
        if agreement is not None and not agreement.found.any():
            combined = replace(
                combined,
                sound=np.zeros_like(combined.sound),
                heard=False,
                snr=np.zeros_like(combined.snr),
            )
    diagnosis = diagnose(motion, combined, cleaner, agreement, settings.highpass_hz)
    if combined.heard and combined.modes is not None:
        diagnosis.resonances = [
            {"frequency_hz": round(float(frequency), 1), "damping_ratio": round(float(damping), 4)}
            for frequency, damping in zip(
                combined.modes.frequency_hz, combined.modes.damping, strict=True
            )
        ]
    if frames.copied_share:
        diagnosis.found["copied_frames"] = {"share": round(frames.copied_share, 4)}
        diagnosis.warnings.append(
            f"the codec mostly copied {100 * frames.copied_share:.0f} % of the frames from their"
            " neighbours; they count for less, and the sound is poorer: film with less compression"
        )
    if combined.heard and frames.smaller is not None:
        diagnosis.found["uneven_frames"] = {"gain": round(frames.smaller, 4)}
        diagnosis.warnings.append(
            "frames that the codec predicted from both sides show"
            f" {100 * frames.smaller:.0f} % of the motion of the others; made up for, as far as"
            " they show it: film with less compression, or without B-frames"
        )
    return Recovery(
        combined.sound,
        motion.capture_fps,
        motion.method,
        diagnosis,
        np.asarray(motion.arrays["reference"], np.uint8),
    )

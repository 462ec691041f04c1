"""From the motion of blocks to one sound, with a diagnosis of film and sound."""

from dataclasses import dataclass

from visualmic.motion.diagnosis import diagnose
from visualmic.motion.frame_types import FreshFrames
from visualmic.motion.interference import Cleaner
from visualmic.motion.recovery import Recovery
from visualmic.motion.signals import MotionSignals
from visualmic.motion.wiener import WienerSettings, combine_channels


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
    """

    remove_comb: bool = True
    remove_flicker: bool = True
    doubt_copied_frames: bool = True


def combine_lucas_kanade(
    motion: MotionSignals, settings: HearingSettings | None = None
) -> Recovery:
    """Combine what :func:`visualmic.motion.lucas_kanade.measure_lucas_kanade` measured.

    Parameters
    ----------
    motion : MotionSignals
        Whitened motion of the blocks.
    settings : HearingSettings, optional

    Returns
    -------
    Recovery
        Sound in pixels, zeros where nothing stands above the noise, with its diagnosis.
    """
    settings = settings or HearingSettings()
    cleaner = Cleaner(motion, comb=settings.remove_comb, flicker=settings.remove_flicker)
    fresh = FreshFrames(motion, cleaner.rows, settings.doubt_copied_frames)
    combined = combine_channels(motion, fresh.rows, settings)
    diagnosis = diagnose(motion, combined, cleaner)
    if fresh.copied_share:
        diagnosis.warnings.append(
            f"the codec mostly copied {100 * fresh.copied_share:.0f} % of the frames from their"
            " neighbours; they count for less, and the sound is poorer: film with less compression"
        )
    return Recovery(combined.sound, motion.capture_fps, motion.method, diagnosis)

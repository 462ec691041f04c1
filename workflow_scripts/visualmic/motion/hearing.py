"""From the motion of blocks to one sound, with a diagnosis of film and sound."""

from dataclasses import dataclass

from visualmic.motion.diagnosis import diagnose
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
    """

    remove_comb: bool = True
    remove_flicker: bool = True


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
    combined = combine_channels(motion, cleaner.rows, settings)
    return Recovery(
        combined.sound, motion.capture_fps, motion.method, diagnose(motion, combined, cleaner)
    )

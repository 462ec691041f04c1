"""The methods that need no training, by name, and one call from frames to sound for any of them."""

import difflib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visualmic.errors import VisualMicError
from visualmic.film.source import FrameSource
from visualmic.motion.recovery import Diagnosis, Recovery
from visualmic.motion.reference import Floats
from visualmic.motion.signals import MotionSignals
from visualmic.progress import Progress

DEFAULT_METHOD = "lucas-kanade"
METHODS = ("lucas-kanade", "hybrid", "pyramid")


@dataclass(frozen=True)
class Method:
    """How one method measures motion and combines it.

    Attributes
    ----------
    name : str
    measure_settings, combine_settings : type
        Dataclasses of settings; their fields are the keys in config.yaml.
    measure : callable
        ``measure(source, settings, threads=, spool=, progress=) -> MotionSignals``.
    combine : callable
        ``combine(motion, settings) -> Recovery``.
    """

    name: str
    measure_settings: type
    combine_settings: type
    measure: Callable[..., MotionSignals]
    combine: Callable[..., Recovery]


def method_named(name: str) -> Method:
    """Find a method; only its own modules are imported.

    Raises
    ------
    VisualMicError
        If there is no such method; the message names the nearest.
    """
    if name == "lucas-kanade":
        from visualmic.motion.hearing import HearingSettings, combine_lucas_kanade
        from visualmic.motion.lucas_kanade import LucasKanadeSettings, measure_lucas_kanade

        return Method(
            name, LucasKanadeSettings, HearingSettings, measure_lucas_kanade, combine_lucas_kanade
        )
    if name == "hybrid":
        from visualmic.hybrid.enhance import combine_hybrid
        from visualmic.motion.hearing import HearingSettings
        from visualmic.motion.lucas_kanade import LucasKanadeSettings, measure_lucas_kanade

        return Method(
            name, LucasKanadeSettings, HearingSettings, measure_lucas_kanade, combine_hybrid
        )
    if name == "pyramid":
        from visualmic.motion.pyramid import PyramidSettings, combine_pyramid, measure_pyramid

        def combine(motion: MotionSignals, settings: PyramidSettings | None = None) -> Recovery:
            sound = combine_pyramid(motion, settings)
            verdict = "nothing moves in the film" if not np.any(sound) else ""
            return Recovery(sound, motion.capture_fps, name, Diagnosis(verdict=verdict))

        return Method(name, PyramidSettings, PyramidSettings, measure_pyramid, combine)
    near = difflib.get_close_matches(name, METHODS, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise VisualMicError(f"there is no method {name!r}; choose {', '.join(METHODS)}{hint}")


def recover(
    source: FrameSource,
    method: str = DEFAULT_METHOD,
    *,
    measure_settings: Any = None,
    combine_settings: Any = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Recovery:
    """Recover the sound from the frames of a film.

    Parameters
    ----------
    source : FrameSource
        A film, a frame store, or frames in memory.
    method : str
        A name in :data:`METHODS`.
    measure_settings, combine_settings : optional
        The method's own settings.
    threads : int, optional
        Threads to compute with; all cores by default.
    progress : Progress, optional

    Returns
    -------
    Recovery
        A film of variable frame rate gives a sound at its mean rate, in even time.

    Raises
    ------
    VisualMicError
        If the method is unknown or the film is unusable.
    """
    chosen = method_named(method)
    with tempfile.TemporaryDirectory(prefix="visualmic-") as folder:
        motion = chosen.measure(
            source,
            measure_settings,
            threads=threads,
            spool=Path(folder) / "motion.h5",
            progress=progress,
        )
        recovery = chosen.combine(motion, combine_settings)
        file = getattr(motion.signals, "file", None)
        if file is not None:
            file.close()
    if getattr(source, "variable_frame_rate", False):
        recovery.sound = even_time(recovery.sound, source.time_s(), recovery.capture_fps)
    return recovery


def even_time(sound: Floats, time_s: NDArray[np.float64], fps: float) -> NDArray[np.float64]:
    """Bring a sound from the uneven times of its frames to even ones at `fps` hertz."""
    from visualmic.film.timing import uniform_time

    return uniform_time(sound, time_s, fps)[0]

"""One recording as learning sees it: its frames, what was heard in it, and what was played."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visualmic.audio.wav import read_audio
from visualmic.errors import VisualMicError
from visualmic.film.frames import StoredFrames
from visualmic.learn.labels import even_at, read_samples

Signal = NDArray[np.float64]


@dataclass(frozen=True)
class Footage:
    """A recording.

    Attributes
    ----------
    name : str
    film : StoredFrames
    heard : ndarray, float64, (N,)
        What a classical method heard, at the capture rate, in even time.
    amplitudes : ndarray, float64, (T,), or None
        What was played at the time of each frame, in [-1, 1]; None where it is not known.
    """

    name: str
    film: StoredFrames
    heard: Signal
    amplitudes: Signal | None = None

    @property
    def frame_count(self) -> int:
        """Number of frames."""
        return self.film.frame_count or 0

    def at_frames(self, sound: Signal | None = None) -> Signal:
        """Read a sound in even time, by default what was heard, at the time of each frame."""
        times = self.film.time_s()
        return even_at(
            self.heard if sound is None else sound, (times - times[0]) * self.film.capture_fps
        )


def read_footage(
    name: str,
    frames: str | Path,
    heard: str | Path,
    samples: str | Path | None = None,
) -> Footage:
    """Gather a recording from its files.

    Parameters
    ----------
    name : str
        The recording.
    frames : path
        Its frame store.
    heard : path
        The sound that a classical method heard in it.
    samples : path, optional
        SampledData.csv, or the recording's own rows of it.

    Raises
    ------
    VisualMicError
        If a file cannot be read, or they are of different films.
    """
    film = StoredFrames(frames)
    sound, _ = read_audio(heard)
    times = film.time_s()
    steps = (times[-1] - times[0]) * film.capture_fps + 1
    if abs(sound.size - steps) > 2:
        raise VisualMicError(
            f"{heard} has {sound.size} samples where {frames} has {steps:.0f} frames; recover the"
            " sound from the same film"
        )
    amplitudes = None if samples is None else read_samples(samples, name)
    return Footage(name, film, sound, amplitudes)

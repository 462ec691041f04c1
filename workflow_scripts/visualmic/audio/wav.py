"""Sound files: WAV that plays everywhere, and reading whatever a recorder wrote."""

import math
import os
import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visualmic.atomic import atomic_path
from visualmic.errors import VisualMicError

LISTENING_RATE = 48000
"""Sampling rate of the copy made for players, in hertz."""

_PEAK = 0.9


def write_wav(
    path: str | os.PathLike[str],
    samples: ArrayLike,
    rate: float,
    normalise: bool = True,
    listen: bool = False,
) -> None:
    """Write a mono sound as 16-bit PCM, a file that appears whole or not at all.

    Parameters
    ----------
    path : path
        The WAV to make.
    samples : array_like, (N,)
        The sound; full scale is 1.
    rate : float
        Samples per second in hertz; a WAV holds it rounded to a whole number.
    normalise : bool
        Scale the greatest absolute sample to 0.9; else samples beyond full scale are clipped.
    listen : bool
        Also write ``<stem>_48k.wav`` beside it, resampled to 48 kHz, which every player plays.

    Raises
    ------
    VisualMicError
        If there are no samples, one is not finite, the rate is not positive, or the file cannot
        be written.
    """
    path = Path(path)
    sound = np.asarray(samples, dtype=np.float64)
    if sound.ndim != 1 or sound.size == 0:
        raise VisualMicError(
            f"{path} would be a sound of shape {sound.shape}; one sample or more in one channel"
            " is needed"
        )
    if not np.isfinite(sound).all():
        raise VisualMicError(f"{path} would hold samples that are not numbers; check the settings")
    if not (math.isfinite(rate) and rate >= 1):
        raise VisualMicError(f"{path} cannot have {rate:g} samples per second; give 1 or more")
    if normalise:
        peak = float(np.max(np.abs(sound)))
        sound = sound * (_PEAK / peak) if peak > 0 else sound
    _write_pcm(path, sound, round(rate))
    if listen:
        from scipy.signal import resample_poly

        ratio = Fraction(LISTENING_RATE / rate).limit_denominator(2000)
        resampled = resample_poly(sound, ratio.numerator, ratio.denominator)
        _write_pcm(path.with_name(f"{path.stem}_48k.wav"), resampled, LISTENING_RATE)


def read_audio(path: str | os.PathLike[str]) -> tuple[NDArray[np.float64], int]:
    """Read a sound file as one channel, the mean of its channels.

    Parameters
    ----------
    path : path
        WAV, FLAC, OGG, MP3 and the like; any other format that ffmpeg can read, films included.

    Returns
    -------
    samples : ndarray, float64, (N,)
        The sound; full scale is 1.
    rate : int
        Samples per second in hertz.

    Raises
    ------
    VisualMicError
        If the file is missing, empty or holds no sound.
    """
    import soundfile

    from visualmic.film.ffmpeg import require_file

    require_file(path)
    try:
        samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError):
        from visualmic.audio.reference import read_sound_track

        return read_sound_track(path)
    if samples.shape[0] == 0:
        raise VisualMicError(f"{path} holds no sound samples; give another sound file")
    return samples.mean(axis=1), int(rate)


def _write_pcm(path: Path, sound: NDArray[np.float64], rate: int) -> None:
    pcm = np.round(np.clip(sound, -1.0, 1.0) * 32767).astype("<i2")
    with atomic_path(path) as temporary, wave.open(str(temporary), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm.tobytes())

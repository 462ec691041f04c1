"""The microphone's sound beside the film: extracted, and sampled once a frame.

Convention of the offset: `offset_s` is the time in the reference at which the first frame was
taken. It is positive when the microphone started before the camera. A film's own track is
extracted so that it begins with the first frame, so its offset is zero.
"""

import csv
import math
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visualmic.atomic import atomic_path
from visualmic.audio.wav import read_audio, write_wav
from visualmic.errors import VisualMicError, VisualMicWarning
from visualmic.film import ffmpeg as runner
from visualmic.film.probe import FilmInfo
from visualmic.film.timing import uniform_time

SAMPLED_COLUMNS = ("recording", "frame", "time_s", "amplitude")
"""Columns of SampledData.csv."""

TOLERANCE_S = 0.1
"""How much earlier than the film a reference may end: sound tracks end at a packet's border."""

_STOP_DB = 80.0
_SILENCE = 1e-3
_INTERPOLATION_TAPS = 32


def read_sound_track(
    path: str | os.PathLike[str], begin_s: float | None = None
) -> tuple[NDArray[np.float64], int]:
    """Decode the first sound track of a film or sound file, mixed to one channel.

    Parameters
    ----------
    path : path
        Any file that ffmpeg can read.
    begin_s : float, optional
        Container time of the first sample wanted, in seconds: what is earlier is cut, what is
        missing is silence. By default the track as it is.

    Returns
    -------
    samples : ndarray, float64, (N,)
        The sound; full scale is 1.
    rate : int
        Samples per second in hertz.

    Raises
    ------
    VisualMicError
        If the file cannot be read or holds no sound.
    """
    filters = "aformat=sample_fmts=flt"
    if begin_s is not None:
        # In seconds through asetpts, for the sampling rate is not known yet.
        filters = f"asetpts=PTS-({begin_s:.9f})/TB,aresample=async=1:first_pts=0,{filters}"
    stream = runner.film_input(path).output(
        "pipe:", format="wav", acodec="pcm_f32le", map="0:a:0", af=filters
    )
    with runner.piped(runner.command(stream, log_level="level+error")) as (process, errors):
        assert process.stdout is not None
        with open(process.stdout.fileno(), "rb", closefd=False) as pipe:
            content = pipe.read()
        status = process.wait()
        said = runner.complaints(runner.read_log(errors))
    if any("matches no streams" in line for line in said):
        raise VisualMicError(
            f"{path} has no sound track; leave the reference empty or name a sound file"
        )
    if status != 0 or len(content) < 44:
        reason = said[0] if said else "ffmpeg gave nothing"
        raise VisualMicError(f"{path} is not a sound that can be read ({reason}); give a WAV file")
    channels = int.from_bytes(content[22:24], "little")
    rate = int.from_bytes(content[24:28], "little")
    data = content.index(b"data") + 8
    samples = np.frombuffer(content, "<f4", count=(len(content) - data) // 4, offset=data)
    sound = samples.reshape(-1, channels).mean(axis=1, dtype=np.float64)
    if sound.size == 0:
        raise VisualMicError(f"{path} has a sound track without samples; name a sound file instead")
    return sound, rate


def film_sound(path: str | os.PathLike[str], info: FilmInfo) -> tuple[NDArray[np.float64], float]:
    """Sound of a film's own track in real time, beginning with the first frame.

    A slow-motion film that plays its sound slowly too (a track about as long as the film plays)
    gets it back at the speed of life: its sampling rate is raised as its frame rate is. A track
    about as long as the scene took is left as it is.

    Parameters
    ----------
    path : path
        The film.
    info : FilmInfo
        What :func:`visualmic.film.probe.probe_film` said about it.

    Returns
    -------
    samples : ndarray, float64, (N,)
        The sound; full scale is 1.
    rate : float
        Samples per second of real time, in hertz.

    Raises
    ------
    VisualMicError
        If the film has no sound track.
    """
    if info.audio_rate is None:
        raise VisualMicError(
            f"{path} has no sound track; leave its reference empty or name a sound file"
        )
    sound, rate = read_sound_track(path, begin_s=info.start_s)
    slowness = info.capture_fps / info.container_fps
    played_s, track_s = info.frames / info.container_fps, sound.size / rate
    slowed = abs(math.log(track_s / played_s)) < abs(math.log(track_s / info.duration_s))
    if abs(slowness - 1) > 0.005 and slowed:
        warnings.warn(
            f"{path}: its sound track plays as slowly as the film; it is sped up"
            f" {slowness:g} times to real time",
            VisualMicWarning,
            stacklevel=2,
        )
        return sound, rate * slowness
    return sound, float(rate)


def extract_reference(
    sound: str | os.PathLike[str],
    out_wav: str | os.PathLike[str],
    info: FilmInfo | None = None,
) -> None:
    """Write the reference sound of a recording as a mono WAV, at the level it came with.

    Parameters
    ----------
    sound : path
        A sound file, or the film itself together with `info`.
    out_wav : path
        The WAV to make.
    info : FilmInfo, optional
        `sound` is the film of the recording, of which
        :func:`visualmic.film.probe.probe_film` said this: take its track from the first frame
        on, in real time, as :func:`film_sound` does.

    Raises
    ------
    VisualMicError
        If there is no such file, no sound in it, or the WAV cannot be written.
    """
    if info is not None:
        samples, rate = film_sound(sound, info)
    else:
        samples, rate = read_audio(sound)
    write_wav(out_wav, samples, rate, normalise=False)


def subsample_to_frames(
    audio: ArrayLike,
    rate: float,
    time_s: ArrayLike,
    offset_s: float = 0.0,
    name: str = "the reference",
) -> NDArray[np.float64]:
    r"""One sample of a sound for each frame, free of aliases, scaled to [-1, 1].

    What the frame rate cannot hold is first removed by a linear-phase low-pass filter (Kaiser
    window, pass band to 0.45 of the frame rate, 80 dB down at 0.5), then the sound is read
    between its samples at the time of each frame:

    .. math:: y(t) = \sum_n x_n \, \mathrm{sinc}(r t - n) \, w(r t - n)

    with the sampling rate :math:`r` and a Kaiser window :math:`w` of 32 samples to each side.

    Parameters
    ----------
    audio : array_like, (N,)
        The sound.
    rate : float
        Its samples per second, in hertz.
    time_s : array_like, (T,)
        Time of each frame since the first, in seconds; need not be even.
    offset_s : float
        Time in the sound at which the first frame was taken, in seconds.
    name : str
        What to call the sound in messages.

    Returns
    -------
    ndarray, float64, (T,)
        Without its mean, and with 1 as the greatest absolute value (all zero for silence,
        which is 60 dB below the sound's peak).

    Raises
    ------
    VisualMicError
        If the sound ends more than `TOLERANCE_S` before the last frame, or begins after the first.
    """
    sound = np.asarray(audio, dtype=np.float64)
    frames_s = np.asarray(time_s, dtype=np.float64) + offset_s
    _require_cover(sound.size / rate, frames_s, offset_s, name)
    loudest = float(np.max(np.abs(sound)))
    fps = (frames_s.size - 1) / (frames_s[-1] - frames_s[0]) if frames_s.size > 1 else rate
    position = frames_s * rate
    if fps < rate:
        sound = _low_pass(sound, rate, fps)
    samples = read_between(sound, position)
    samples -= samples.mean()
    peak = float(np.max(np.abs(samples)))
    # What the filter's stop band leaves of sounds above the frame rate is not worth full scale.
    if peak <= _SILENCE * loudest:
        return np.zeros_like(samples)
    return samples / peak


def _require_cover(
    sound_s: float, frames_s: NDArray[np.float64], offset_s: float, name: str
) -> None:
    film_s = float(frames_s[-1] - frames_s[0])
    at = f" from {offset_s:g} s on" if offset_s else ""
    if frames_s[-1] > sound_s + TOLERANCE_S or frames_s[0] < -TOLERANCE_S:
        raise VisualMicError(
            f"{name} lasts {sound_s:.3f} s and does not cover the film, which lasts {film_s:.3f} s"
            f"{at}; give the right reference or offset, or trim the film"
        )


def _low_pass(sound: NDArray[np.float64], rate: float, fps: float) -> NDArray[np.float64]:
    """Remove what lies above half the frame rate, without delay."""
    from scipy.signal import firwin, kaiserord, oaconvolve

    taps, beta = kaiserord(_STOP_DB, 0.05 * fps / (rate / 2))
    taps |= 1
    kernel = firwin(taps, 0.475 * fps, window=("kaiser", beta), fs=rate)
    return np.asarray(oaconvolve(sound, kernel, mode="same" if sound.size >= taps else "full"))[
        0 if sound.size >= taps else taps // 2 :
    ][: sound.size]


def read_between(sound: NDArray[np.float64], position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate a sound, band-limited, between its samples.

    Parameters
    ----------
    sound : ndarray, float64, (N,)
        The sound; zero outside.
    position : ndarray, float64, (T,)
        Where to read it, in samples since the first; 32 samples to either side are used.

    Returns
    -------
    ndarray, float64, (T,)
    """
    half = _INTERPOLATION_TAPS
    padded = np.pad(sound, (half, half + 1))
    reach = np.arange(-half + 1, half + 1)
    values = np.empty(position.size)
    for begin in range(0, position.size, 1 << 14):
        at = np.clip(position[begin : begin + (1 << 14)], -1.0, sound.size)
        base = np.floor(at).astype(np.int64)
        distance = (at - base)[:, None] - reach
        window = np.i0(8.0 * np.sqrt(np.maximum(0.0, 1 - (distance / half) ** 2))) / np.i0(8.0)
        near = padded[np.clip(base[:, None] + reach + half, 0, padded.size - 1)]
        values[begin : begin + at.size] = np.sum(near * np.sinc(distance) * window, axis=1)
    return values


def write_subsampled(
    recording: str,
    samples: ArrayLike,
    time_s: ArrayLike,
    fps: float,
    out_csv: str | os.PathLike[str],
    out_wav: str | os.PathLike[str],
) -> None:
    """Write what :func:`subsample_to_frames` gave: rows of SampledData.csv, and a WAV.

    Parameters
    ----------
    recording : str
        Name of the recording, for the rows.
    samples : array_like, (T,)
        One sample a frame, in [-1, 1].
    time_s : array_like, (T,)
        Time of each frame since the first, in seconds.
    fps : float
        Capture rate in hertz: the rate of the WAV.
    out_csv, out_wav : path
        The files to make. Where the times are uneven the WAV holds the samples at even times.

    Raises
    ------
    VisualMicError
        If a file cannot be written.
    """
    amplitudes = np.asarray(samples, dtype=np.float64)
    times = np.asarray(time_s, dtype=np.float64)
    write_table(out_csv, SAMPLED_COLUMNS, sampled_rows(recording, times, amplitudes))
    if np.max(np.abs(times - times[0] - np.arange(times.size) / fps), initial=0.0) > 0.01 / fps:
        amplitudes, _ = uniform_time(amplitudes, times, fps)
    write_wav(out_wav, amplitudes, fps, normalise=False)


def sampled_rows(
    recording: str, time_s: NDArray[np.float64], samples: NDArray[np.float64]
) -> Iterator[tuple[str, int, str, str]]:
    """Yield the rows of one recording in SampledData.csv, in the order of `SAMPLED_COLUMNS`."""
    for frame, (time, amplitude) in enumerate(zip(time_s, samples, strict=True)):
        yield recording, frame, f"{time:.9g}", f"{amplitude:.9g}"


def write_table(
    path: str | os.PathLike[str], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Write a CSV file that appears whole or not at all.

    Parameters
    ----------
    path : path
        The file to make.
    columns : sequence of str
        Names of the columns.
    rows : iterable of sequence
        The rows.

    Raises
    ------
    VisualMicError
        If the file cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def gather_samples(tables: Iterable[str | os.PathLike[str]], path: str | os.PathLike[str]) -> None:
    """Join tables of :func:`write_subsampled` into SampledData.csv, a line at a time.

    Parameters
    ----------
    tables : iterable of path
        A table for each recording.
    path : path
        The file to make.

    Raises
    ------
    VisualMicError
        If a table is not one of SampledData.csv's, or the file cannot be written.
    """
    heading = ",".join(SAMPLED_COLUMNS)
    with atomic_path(path) as temporary, temporary.open("w") as joined:
        joined.write(heading + "\n")
        for table in tables:
            with open(table) as rows:
                if rows.readline().rstrip("\n") != heading:
                    raise VisualMicError(
                        f"{table} does not begin with {heading}; delete it and run again"
                    )
                joined.writelines(rows)

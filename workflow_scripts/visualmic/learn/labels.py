"""What a network is to say at each frame: the sound that was played, in step with the film.

A film is late against its microphone by an unknown time, and nobody knows whether the object moved
towards the loudspeaker or away from it. Both are estimated by comparing the classical recovery of
the film with the sound, over frames of the training part alone: what was played during the test
part is never looked at.
"""

import csv
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visualmic.audio.reference import SAMPLED_COLUMNS, read_between
from visualmic.errors import VisualMicError, VisualMicWarning
from visualmic.evaluate.alignment import align
from visualmic.film.timing import uniform_time
from visualmic.learn.splits import Range

Signal = NDArray[np.float64]

_DOUBTFUL = 0.1


@dataclass(frozen=True)
class Labels:
    """The label of every frame of one recording.

    Attributes
    ----------
    samples : ndarray, float64, (T,)
        The sound at the time of each frame, at the lag and with the sign of the film, in the unit
        of SampledData.csv: [-1, 1].
    known : ndarray, bool, (T,)
        Frames whose label lies within the reference whatever the lag may be, so that methods with
        different lags are compared on the same frames.
    lag_s : float
        How late the film is, in seconds.
    polarity : int
        +1 or -1.
    correlation : float
        Of the classical recovery with the sound at that lag, 0 to 1.
    """

    samples: Signal
    known: NDArray[np.bool_]
    lag_s: float
    polarity: int
    correlation: float


def read_samples(path: str | os.PathLike[str], recording: str) -> Signal:
    """Read the amplitudes of one recording from SampledData.csv or from its own rows of it.

    Returns
    -------
    ndarray, float64, (T,)
        One amplitude a frame, in [-1, 1].

    Raises
    ------
    VisualMicError
        If the table cannot be read, has other columns, or no rows of this recording.
    """
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            rows = csv.DictReader(stream)
            if tuple(rows.fieldnames or ()) != SAMPLED_COLUMNS:
                raise VisualMicError(
                    f"{path} does not begin with {','.join(SAMPLED_COLUMNS)}; make it again"
                )
            found = [float(row["amplitude"]) for row in rows if row["recording"] == recording]
    except (OSError, ValueError, TypeError) as error:
        raise VisualMicError(f"cannot read {path}: {error}; make it again") from error
    if not found:
        raise VisualMicError(f"{path} has no rows of {recording}; give it a reference sound")
    return np.array(found)


def align_labels(
    amplitudes: Signal,
    time_s: Signal,
    fps: float,
    heard: Signal,
    training: Sequence[Range],
    max_lag_s: float,
    name: str = "the recording",
) -> Labels:
    r"""Bring the sound that was played in step with the film.

    With the lag :math:`\tau` and the sign :math:`p` at which the classical recovery agrees best
    with the sound (:func:`visualmic.evaluate.alignment.align`), over the longest range of training
    frames, the label of the frame at time :math:`t` is :math:`p \, y(t - \tau)`.

    Parameters
    ----------
    amplitudes : ndarray, float64, (T,)
        The sound at the time of each frame, as SampledData.csv has it.
    time_s : ndarray, float64, (T,)
        Time of each frame, in seconds.
    fps : float
        Capture rate in hertz.
    heard : ndarray, float64, (N,)
        What a classical method heard, at `fps` from the first frame on.
    training : sequence of (begin, end)
        The frames that may be compared.
    max_lag_s : float
        Largest lag to either side, in seconds.
    name : str
        What to call the recording in messages.

    Returns
    -------
    Labels

    Raises
    ------
    VisualMicError
        If there is not an amplitude a frame, or nothing to compare.
    """
    if amplitudes.size != time_s.size:
        raise VisualMicError(
            f"{name} has {time_s.size} frames and {amplitudes.size} samples; make both again"
        )
    steps = (time_s - time_s[0]) * fps
    even = amplitudes
    if np.max(np.abs(steps - np.arange(steps.size)), initial=0.0) > 0.01:
        even = uniform_time(amplitudes, time_s, fps)[0]
    begin, end = max(training, key=lambda piece: piece[1] - piece[0])
    first, last = round(float(steps[begin])), round(float(steps[end - 1])) + 1
    compared = heard[first:last], even[first : min(last, heard.size)]
    lag_s, polarity, correlation = 0.0, 1, 0.0
    if all(np.ptp(sound) > 0 for sound in compared):
        found = align(compared[0], fps, compared[1], fps, max_lag_s=max_lag_s)
        lag_s, polarity, correlation = found.lag_s, found.polarity, found.correlation
    if correlation < _DOUBTFUL:
        warnings.warn(
            f"{name}: the classical recovery agrees with the sound by {correlation:.2f} only, so"
            " the lag and the sign of the labels are doubtful",
            VisualMicWarning,
            stacklevel=2,
        )
    position = steps - lag_s * fps
    reach = max_lag_s * fps
    return Labels(
        samples=polarity * (read_between(even, position) if lag_s else even_at(even, steps)),
        known=(steps >= reach) & (steps <= even.size - 1 - reach),
        lag_s=lag_s,
        polarity=polarity,
        correlation=correlation,
    )


def even_at(even: Signal, steps: Signal) -> Signal:
    """Read an evenly sampled sound at frame times given in samples; exact where those are whole."""
    whole = np.rint(steps)
    if np.max(np.abs(steps - whole), initial=0.0) < 1e-3:
        inside = np.clip(whole.astype(np.int64), 0, even.size - 1)
        return np.where(whole < even.size, even[inside], 0.0)
    return read_between(even, steps)

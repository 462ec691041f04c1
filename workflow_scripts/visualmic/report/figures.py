"""Every picture of the results, by one name each, and the files that they are drawn from.

Each function takes arrays or tables, draws one figure, writes it as PNG and as SVG beside each
other, and gives both paths. What they have in common is in :mod:`visualmic.report.figure_style`.
"""

import os
from collections.abc import Mapping

from visualmic.evaluate.alignment import Aligned, align
from visualmic.evaluate.scores import EvaluationSettings
from visualmic.report.figure_style import method_colours
from visualmic.report.figures_place import block_grid, draw_heat_map
from visualmic.report.figures_scores import draw_scores, draw_training
from visualmic.report.figures_sound import (
    draw_amplitudes,
    draw_frequency_snr,
    draw_sounds,
    draw_sounds_alone,
)

__all__ = [
    "align_files",
    "block_grid",
    "draw_amplitudes",
    "draw_frequency_snr",
    "draw_heat_map",
    "draw_scores",
    "draw_sounds",
    "draw_sounds_alone",
    "draw_training",
    "method_colours",
]


def align_files(
    sounds: Mapping[str, str | os.PathLike[str]],
    reference: str | os.PathLike[str],
    offset_s: float = 0.0,
    fps: float | None = None,
    settings: EvaluationSettings | None = None,
) -> dict[str, Aligned]:
    """Read what each method heard and align it with the reference, for drawing.

    Parameters
    ----------
    sounds : mapping of str to path
        A sound file for each method.
    reference : path
        The sound file of what was played.
    offset_s : float
        Time in the reference at which the film begins, in seconds.
    fps : float, optional
        Capture rate of the film, in hertz, where it is no whole number as a WAV's must be.
    settings : EvaluationSettings, optional
        How they are compared.

    Returns
    -------
    dict of str to Aligned

    Raises
    ------
    VisualMicError
        If a file cannot be read, or does not overlap with the reference.
    """
    from visualmic.audio.wav import read_audio

    settings = settings or EvaluationSettings()
    played, played_rate = read_audio(reference)
    found = {}
    for name, path in sounds.items():
        heard, rate = read_audio(path)
        found[name] = align(
            heard,
            float(rate) if fps is None else fps,
            played,
            played_rate,
            offset_s=offset_s,
            max_lag_s=settings.max_lag_s,
            lowest_hz=settings.lowest_hz,
        )
    return found

"""Pictures of sounds: waveforms, spectrograms, and how they differ from what was played."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from visualmic.evaluate.alignment import Aligned
from visualmic.evaluate.metrics import (
    SNR_RANGE_DB,
    UndefinedMetric,
    pearson,
    snr_per_band,
    snr_per_frequency,
)
from visualmic.report.figure_style import (
    INK,
    LEVELS,
    REFERENCE_COLOUR,
    axes_in_inches,
    figure_style,
    method_colours,
    new_figure,
    save_figure,
    say_nothing_to_draw,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Signal = NDArray[np.float64]

RANGE_DB = 60.0
"""Levels are shown this far down from the loudest point of the reference, in dB."""

_COLUMNS = 400
"""A picture is this many columns wide at most: more are not seen."""


@dataclass(frozen=True)
class Spectrogram:
    """Levels of a sound over time and frequency.

    Attributes
    ----------
    power : ndarray, float64, (F, T)
        Power at each frequency and instant.
    time_s : tuple of float
        Begin and end of what is shown, in seconds.
    highest_hz : float
        Upper edge, in hertz; the lower is 0.
    """

    power: Signal
    time_s: tuple[float, float]
    highest_hz: float


def spectrogram(samples: Signal, rate: float, start_s: float = 0.0) -> Spectrogram:
    """Compute the levels of a sound over time and frequency, as many as a picture can show.

    Parameters
    ----------
    samples : ndarray, float64, (N,)
        A sound.
    rate : float
        Samples per second, in hertz.
    start_s : float
        Time of the first sample, in seconds.

    Returns
    -------
    Spectrogram
        From Hann windows of 64 ms (shorter for a sound under half a second); a long sound is
        averaged over neighbouring windows, not thinned out.
    """
    length = min(max(round(0.064 * rate), 16), max(len(samples) // 8, 4), len(samples))
    hop = max(length // 4, 1)
    frames = np.lib.stride_tricks.sliding_window_view(samples, length)[::hop]
    group = math.ceil(len(frames) / _COLUMNS)
    window = np.hanning(length + 1)[:-1]
    size = scipy.fft.next_fast_len(max(length, 256), real=True)
    columns = []
    for start in range(0, len(frames), group * 64):
        block = np.abs(scipy.fft.rfft(frames[start : start + group * 64] * window, size)) ** 2
        columns.append(np.add.reduceat(block, np.arange(0, len(block), group)) / group)
    half = length / 2 / rate
    end_s = start_s + ((len(frames) - 1) * hop) / rate + half
    power = np.concatenate(columns).T
    span = (start_s + half, max(end_s, start_s + half + hop / rate))
    return Spectrogram(_fewer_rows(power, 160), span, rate / 2)


def _fewer_rows(power: Signal, most: int) -> Signal:
    group = math.ceil(len(power) / most)
    return np.add.reduceat(power, np.arange(0, len(power), group)) / group


def draw_sounds(
    sounds: Mapping[str, Aligned], stem: str | os.PathLike[str], title: str = ""
) -> list[Path]:
    """Draw the reference, what each method heard, and the difference, on one scale.

    A row a sound: waveform, spectrogram, and the spectrogram of what is left of the reference when
    the recovered sound is taken from it at its best gain. All levels are in dB of the reference's
    loudest point, on one colour scale.

    Parameters
    ----------
    sounds : mapping of str to Aligned
        What each method heard, aligned with the reference.
    stem : path
        Path of the files without a suffix.
    title : str
        What is shown, such as the recording.

    Returns
    -------
    list of pathlib.Path
        The PNG and the SVG.

    Raises
    ------
    VisualMicError
        If they cannot be written.
    """
    with figure_style():
        return save_figure(_sounds_figure(sounds, title), stem)


def _sounds_figure(sounds: Mapping[str, Aligned], title: str) -> "Figure":
    rows = len(sounds) + 1
    top = 0.75 if title else 0.4
    figure = new_figure(12.0, top + 0.2 + 1.95 * rows, "none")
    if not sounds:
        say_nothing_to_draw(figure.subplots(), "no sound to draw")
        return figure
    columns = [(0.75, 3.0), (4.65, 3.5), (8.35, 3.5)]
    grid = axes_in_inches(figure, rows, columns, top=top, bottom=0.6)
    if title:
        figure.suptitle(title, fontsize=15, fontweight="bold", x=0.01, ha="left")
    played = max(sounds.values(), key=lambda aligned: len(aligned.reference))
    reference = _unit_peak(played.reference)
    levels = spectrogram(reference, played.rate, played.start_s)
    loudest = float(levels.power.max()) or 1.0
    _draw_waveform(grid[0, 0], reference, played, REFERENCE_COLOUR)
    image = _draw_levels(grid[0, 1], levels, loudest)
    grid[0, 0].set_title("Reference: what was played")
    _draw_scale(grid[0, 2], image)
    colours = method_colours(sounds)
    for row, (name, aligned) in enumerate(sounds.items(), start=1):
        reference, heard = _unit_peak(aligned.reference), aligned.recovered
        power = float(heard @ heard)
        equal = math.sqrt(float(reference @ reference) / power) if power > 0 else 0.0
        best = float(reference @ heard) / power if power > 0 else 0.0
        _draw_waveform(grid[row, 0], reference, aligned, REFERENCE_COLOUR)
        _draw_waveform(grid[row, 0], equal * heard, aligned, colours[name])
        for column, sound in ((1, equal * heard), (2, reference - best * heard)):
            levels = spectrogram(sound, aligned.rate, aligned.start_s)
            _draw_levels(grid[row, column], levels, loudest)
        grid[row, 0].set_title(name)
        grid[row, 1].set_title(_correlation(reference, heard), fontweight="normal")
        grid[row, 2].set_title("difference from the reference", fontweight="normal")
        grid[row, 2].tick_params(labelleft=False)
    for axes in grid[-1]:
        axes.set_xlabel("Time (s)")
    for axes in grid[:, 0]:
        axes.set_ylabel("Amplitude")
        axes.set_ylim(-1.15, 1.15)
        axes.margins(x=0)
    for axes in grid[:, 1]:
        axes.set_ylabel("Frequency (Hz)")
    return figure


def _unit_peak(samples: Signal) -> Signal:
    peak = float(np.abs(samples).max(initial=0.0))
    return samples / peak if peak > 0 else samples


def _correlation(reference: Signal, heard: Signal) -> str:
    try:
        return f"Pearson correlation {pearson(reference, heard):.2f}"
    except UndefinedMetric as reason:
        return str(reason)


def _draw_waveform(axes: "Axes", samples: Signal, aligned: Aligned, colour: str) -> None:
    """Draw a sound as the band between its least and largest sample in each column."""
    group = math.ceil(len(samples) / (2 * _COLUMNS))
    first = np.arange(0, len(samples), group)
    time = aligned.start_s + first / aligned.rate
    if group == 1:
        axes.plot(time, samples, color=colour, linewidth=0.9)
    else:
        low = np.minimum.reduceat(samples, first)
        high = np.maximum.reduceat(samples, first)
        axes.fill_between(time, low, high, color=colour, linewidth=0.4)


def _draw_levels(axes: "Axes", shown: Spectrogram, loudest: float) -> Any:
    from matplotlib import colormaps

    levels = 10 * np.log10(np.maximum(shown.power / loudest, 10 ** (-RANGE_DB / 10)))
    # Whole decibels, a colour each, are what an eye can tell, and compress far better.
    levels = np.round(levels)
    image = axes.imshow(
        levels,
        cmap=colormaps[LEVELS].resampled(round(RANGE_DB) + 1),
        vmin=-RANGE_DB,
        vmax=0.0,
        origin="lower",
        aspect="auto",
        interpolation="none",
        extent=(*shown.time_s, 0.0, shown.highest_hz),
    )
    axes.set_ylim(0.0, shown.highest_hz)
    return image


def _draw_scale(axes: "Axes", image: Any) -> None:
    """Use the cell that the reference leaves empty for the scale of all levels."""
    axes.set_axis_off()
    bar = axes.figure.colorbar(
        image, cax=axes.inset_axes((0.04, 0.55, 0.92, 0.16)), orientation="horizontal"
    )
    bar.set_label("Level (dB of the reference's loudest point)")
    bar.outline.set_visible(False)


def draw_sounds_alone(
    sounds: Mapping[str, tuple[Signal, float]], stem: str | os.PathLike[str], title: str = ""
) -> list[Path]:
    """Draw what each method heard where nobody knows what was played.

    A row a sound: waveform and spectrogram, each in dB of its own loudest point.

    Parameters
    ----------
    sounds : mapping of str to (ndarray (N,), float)
        Samples and their rate in hertz.
    stem : path
        Path of the files without a suffix.
    title : str
        What is shown, such as the recording.

    Returns
    -------
    list of pathlib.Path
        The PNG and the SVG.

    Raises
    ------
    VisualMicError
        If they cannot be written.
    """
    with figure_style():
        figure = new_figure(10.0, 1.1 + 2.2 * max(len(sounds), 1))
        if not sounds:
            say_nothing_to_draw(figure.subplots(), "no sound to draw")
            return save_figure(figure, stem)
        grid = figure.subplots(
            len(sounds), 2, squeeze=False, sharex=True, gridspec_kw={"width_ratios": [1, 1.3]}
        )
        if title:
            figure.suptitle(title, fontsize=15, fontweight="bold", x=0.01, ha="left")
        colours = method_colours(sounds)
        for row, (name, (samples, rate)) in enumerate(sounds.items()):
            heard = _unit_peak(np.asarray(samples, dtype=np.float64))
            whole = Aligned(heard, heard, rate, 0.0, 1, 1.0, False, (0.0, rate / 2), 0.0)
            _draw_waveform(grid[row, 0], heard, whole, colours[name])
            levels = spectrogram(heard, rate)
            image = _draw_levels(grid[row, 1], levels, float(levels.power.max()) or 1.0)
            grid[row, 0].set_title(name)
            grid[row, 0].set_ylabel("Amplitude")
            grid[row, 0].set_ylim(-1.15, 1.15)
            grid[row, 0].margins(x=0)
            grid[row, 1].set_ylabel("Frequency (Hz)")
        for axes in grid[-1]:
            axes.set_xlabel("Time (s)")
        bar = figure.colorbar(image, ax=grid[:, 1].tolist(), aspect=40, pad=0.02)
        bar.set_label("Level (dB of the loudest point)")
        bar.outline.set_visible(False)
        return save_figure(figure, stem)


def draw_frequency_snr(
    sounds: Mapping[str, Aligned], stem: str | os.PathLike[str], title: str = ""
) -> list[Path]:
    """Draw how clearly each frequency and each octave band was heard.

    Parameters
    ----------
    sounds : mapping of str to Aligned
        What each method heard, aligned with the reference.
    stem : path
        Path of the files without a suffix.
    title : str
        What is shown, such as the recording.

    Returns
    -------
    list of pathlib.Path
        The PNG and the SVG.

    Raises
    ------
    VisualMicError
        If they cannot be written.
    """
    with figure_style():
        return save_figure(_frequency_figure(sounds, title), stem)


def _frequency_figure(sounds: Mapping[str, Aligned], title: str) -> "Figure":
    figure = new_figure(12.0, 4.6)
    curves, bars = figure.subplots(1, 2, gridspec_kw={"width_ratios": [1.6, 1]}, sharey=True)
    if title:
        figure.suptitle(title, fontsize=15, fontweight="bold", x=0.01, ha="left")
    colours = method_colours(sounds)
    centres: list[float] = []
    drawn = 0
    for place, (name, aligned) in enumerate(sounds.items()):
        try:
            frequency, snr = snr_per_frequency(aligned.reference, aligned.recovered, aligned.rate)
            centre, band_snr = snr_per_band(aligned.reference, aligned.recovered, aligned.rate)
        except UndefinedMetric:
            continue
        drawn += 1
        inside = (frequency >= aligned.band_hz[0]) & (frequency <= aligned.band_hz[1])
        frequency, snr = frequency[inside], snr[inside]
        heard = (centre * 2**0.5 > aligned.band_hz[0]) & (centre / 2**0.5 < aligned.band_hz[1])
        centre, band_snr = centre[heard], band_snr[heard]
        style = "--" if name.endswith("-denoised") else "-"
        curves.plot(frequency, snr, color=colours[name], linestyle=style, label=name)
        width = 0.8 / len(sounds)
        positions = np.arange(len(centre)) + width * (place + 0.5) - 0.4
        bars.bar(positions, band_snr - SNR_RANGE_DB[0], width, SNR_RANGE_DB[0], color=colours[name])
        centres = max(centres, centre.tolist(), key=len)
    if not drawn:
        say_nothing_to_draw(curves, "too short, or no reference")
        say_nothing_to_draw(bars, "too short, or no reference")
        return figure
    for axes in (curves, bars):
        axes.axhline(0, color=INK, linewidth=1)
        axes.grid(axis="y")
    curves.set_xlabel("Frequency (Hz)")
    curves.set_ylabel("Signal-to-noise ratio (dB)")
    curves.set_title("At each frequency")
    curves.set_xlim(left=0)
    curves.margins(x=0)
    bars.set_title("In each octave band")
    bars.set_xlabel("Centre of the band (Hz)")
    bars.set_xticks(range(len(centres)), [f"{centre:g}" for centre in centres])
    figure.legend(loc="outside lower center", ncols=min(len(sounds), 4))
    return figure


def draw_amplitudes(
    sounds: Mapping[str, Aligned], stem: str | os.PathLike[str], title: str = ""
) -> list[Path]:
    """Draw each recovered sample against the one that was played, at the best gain.

    A perfect copy lies on the diagonal, silence on the horizontal.

    Parameters
    ----------
    sounds : mapping of str to Aligned
        What each method heard, aligned with the reference.
    stem : path
        Path of the files without a suffix.
    title : str
        What is shown, such as the recording.

    Returns
    -------
    list of pathlib.Path
        The PNG and the SVG.

    Raises
    ------
    VisualMicError
        If they cannot be written.
    """
    with figure_style():
        return save_figure(_amplitudes_figure(sounds, title), stem)


def _amplitudes_figure(sounds: Mapping[str, Aligned], title: str) -> "Figure":
    from matplotlib.colors import LogNorm

    if not sounds:
        figure = new_figure(8.0, 3.0)
        say_nothing_to_draw(figure.subplots(), "no sound to draw")
        return figure
    across = min(len(sounds), 4)
    rows = math.ceil(len(sounds) / across)
    top, side = 0.8 if title else 0.45, 2.55
    figure = new_figure(0.95 + 2.95 * across + 0.8, top + rows * (side + 0.42) + 0.2, "none")
    columns = [(0.85 + 2.95 * column, side) for column in range(across)]
    grid = axes_in_inches(figure, rows, columns, top=top, bottom=0.62)
    if title:
        figure.suptitle(title, fontsize=15, fontweight="bold", x=0.01, ha="left")
    edges = np.linspace(-1, 1, 81)
    counts = {}
    for name, aligned in sounds.items():
        reference, heard = _unit_peak(aligned.reference), aligned.recovered
        power = float(heard @ heard)
        best = float(reference @ heard) / power if power > 0 else 0.0
        counts[name] = np.histogram2d(reference, np.clip(best * heard, -1, 1), bins=(edges, edges))[
            0
        ]
    most = max(float(count.max()) for count in counts.values())
    for axes, (name, count) in zip(grid.flat, counts.items(), strict=False):
        image = axes.pcolormesh(
            edges,
            edges,
            np.where(count > 0, count, np.nan).T,
            cmap=LEVELS,
            norm=LogNorm(1, max(most, 2)),
            rasterized=True,
        )
        axes.plot([-1, 1], [-1, 1], color=INK, linewidth=1, linestyle="--")
        axes.axhline(0, color=INK, linewidth=1, linestyle=":")
        axes.set_title(name)
        axes.set_xticks([-1, 0, 1])
        axes.set_yticks([-1, 0, 1])
        axes.tick_params(labelleft=axes in grid[:, 0])
    for axes in grid.flat[len(sounds) :]:
        axes.set_axis_off()
    # Those with nothing below them, in the last row or not.
    for axes in grid.flat[max(len(sounds) - across, 0) : len(sounds)]:
        axes.set_xlabel("True amplitude (peak = 1)")
        axes.tick_params(labelbottom=True)
    for axes in grid[:, 0]:
        axes.set_ylabel("Recovered (best gain)")
    beside = grid[0, -1].inset_axes((1.06, 0.0, 0.06, 1.0))
    bar = figure.colorbar(image, cax=beside, format=lambda count, _: f"{count:g}")
    bar.set_label("Number of samples")
    bar.outline.set_visible(False)
    return figure

"""Pictures of what a method says of its own measurement, with no reference to compare with."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visualmic.errors import VisualMicError
from visualmic.report.figure_style import (
    INK,
    REFERENCE_COLOUR,
    figure_style,
    method_colours,
    new_figure,
    save_figure,
    say_nothing_to_draw,
)
from visualmic.report.figures_place import block_grid, draw_heat_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from visualmic.motion.recovery import Diagnosis, Recovery

_LOWEST_DB = -10.0


def draw_diagnosis(recovery: "Recovery", folder: str | os.PathLike[str]) -> list[Path]:
    """Draw the confidence of a recovery: signal-to-noise ratio, and where the sound was heard.

    Parameters
    ----------
    recovery : Recovery
        A sound and what its method says of it.
    folder : path
        Where ``snr_per_frequency`` and ``heat_map`` are written, each as PNG and SVG.

    Returns
    -------
    list of pathlib.Path

    Raises
    ------
    VisualMicError
        If the files cannot be written.
    """
    folder = Path(folder)
    diagnosis = recovery.diagnosis
    verdict = diagnosis.verdict
    files = draw_estimated_snr(
        [] if diagnosis.frequency_hz is None else diagnosis.frequency_hz,
        [] if diagnosis.snr is None else diagnosis.snr,
        folder / "snr_per_frequency",
        method=recovery.method,
        title=verdict[:1].upper() + verdict[1:],
        facts=confidence_facts(diagnosis),
    )
    if recovery.reference is None:
        return files
    shape = (recovery.reference.shape[0], recovery.reference.shape[1])
    heat = diagnosis.heat
    grid: NDArray[np.float64] = np.full(shape, np.nan)
    unit = "dB"
    if heat is not None:
        grid = block_grid(heat["x_px"], heat["y_px"], heat["value"], heat["size_px"], shape)
        unit = heat["unit"]
    return files + draw_heat_map(
        recovery.reference,
        grid,
        folder / "heat_map",
        title="" if heat is not None else "No sound was heard",
        label=f"Sound over noise ({unit})",
    )


def confidence_facts(diagnosis: "Diagnosis") -> list[str]:
    """Say in short lines how far the noise is from its bound, and how far the sound reaches.

    Parameters
    ----------
    diagnosis : Diagnosis

    Returns
    -------
    list of str

    Examples
    --------
    >>> from visualmic.motion.recovery import Diagnosis
    >>> confidence_facts(Diagnosis(noise_floor_px=0.0022, crb_px=0.0011))
    ['Noise: 0.0022 px a frame', '6.0 dB over the Cramer-Rao bound of 0.0011 px']
    """
    facts = []
    content = diagnosis.as_dict()
    if "effective_bandwidth_hz" in content:
        facts.append(f"Heard up to {content['effective_bandwidth_hz']:.0f} Hz")
    if "noise_floor_px" in content:
        facts.append(f"Noise: {content['noise_floor_px']:.2g} px a frame")
    if "ratio_db" in content:
        side = "over" if content["ratio_db"] >= 0 else "below"
        facts.append(
            f"{abs(content['ratio_db']):.1f} dB {side} the Cramer-Rao bound of"
            f" {content['crb_px']:.2g} px"
        )
    return facts


def draw_estimated_snr(
    frequency_hz: ArrayLike,
    snr: ArrayLike,
    stem: str | os.PathLike[str],
    method: str = "",
    title: str = "",
    facts: list[str] | None = None,
) -> list[Path]:
    """Draw how far the sound stands above the noise at each frequency, as the method estimates it.

    Parameters
    ----------
    frequency_hz, snr : array_like, (F,)
        Frequencies in hertz, and power of the sound over that of the noise; empty where a method
        does not know it.
    stem : path
        Path of the files without a suffix.
    method : str
        Whose estimate it is, for the colour.
    title : str
        What is shown.
    facts : list of str, optional
        Lines written into the picture.

    Returns
    -------
    list of pathlib.Path
        The PNG and the SVG.

    Raises
    ------
    VisualMicError
        If the arrays do not belong together, or the files cannot be written.
    """
    frequency = np.asarray(frequency_hz, np.float64)
    power = np.asarray(snr, np.float64)
    if frequency.shape != power.shape or frequency.ndim != 1:
        raise VisualMicError(
            f"{frequency.shape} frequencies and {power.shape} ratios do not belong together"
        )
    with figure_style():
        return save_figure(_snr_figure(frequency, power, method, title, facts or []), stem)


def _snr_figure(
    frequency: NDArray[np.float64],
    power: NDArray[np.float64],
    method: str,
    title: str,
    facts: list[str],
) -> "Figure":
    figure = new_figure(9.0, 4.4)
    axes = figure.subplots()
    if title:
        figure.suptitle(title, fontsize=14, fontweight="bold", x=0.01, ha="left", wrap=True)
    if not frequency.size:
        say_nothing_to_draw(axes, f"{method or 'this method'} does not estimate its noise")
        return figure
    level = 10 * np.log10(np.maximum(power, 10 ** (_LOWEST_DB / 10)))
    if level.max() > _LOWEST_DB:
        colour = method_colours([method])[method]
        axes.fill_between(frequency, _LOWEST_DB, level, color=colour, alpha=0.3, linewidth=0)
        axes.plot(frequency, level, color=colour)
    else:
        axes.text(
            *(0.5, 0.5, "nothing stands above the noise"),
            transform=axes.transAxes, ha="center", va="center", color=INK,
        )  # fmt: skip
    _draw_noise_line(axes, frequency)
    axes.set_xlabel("Frequency (Hz)")
    axes.set_ylabel("Estimated sound over noise (dB)")
    axes.set_xlim(0.0, float(frequency[-1]))
    axes.set_ylim(_LOWEST_DB, max(20.0, float(level.max()) * 1.05 + 2))
    axes.grid(axis="y")
    axes.set_title("   ".join(facts), fontsize=11.5, fontweight="normal")
    return figure


def _draw_noise_line(axes: "Axes", frequency: NDArray[np.float64]) -> None:
    axes.axhline(0.0, color=REFERENCE_COLOUR, linewidth=1.2, linestyle="--")
    axes.annotate(
        *("as strong as the noise", (float(frequency[-1]), 0.0)),
        xytext=(-4, 4), textcoords="offset points", ha="right", va="bottom",
        color=REFERENCE_COLOUR, fontsize=11,
    )  # fmt: skip

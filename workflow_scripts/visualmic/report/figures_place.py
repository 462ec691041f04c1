"""Pictures of where in the frame the sound was heard."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visualmic.errors import VisualMicError
from visualmic.report.figure_style import (
    LEVELS,
    figure_style,
    new_figure,
    save_figure,
    say_nothing_to_draw,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def block_grid(
    x_px: ArrayLike,
    y_px: ArrayLike,
    value: ArrayLike,
    size_px: float,
    frame_shape: tuple[int, int],
) -> NDArray[np.float64]:
    """Lay values that were measured in blocks out as a picture of the frame.

    Parameters
    ----------
    x_px, y_px : array_like, (C,)
        Centres of the blocks, in pixels of the frame as filmed.
    value : array_like, (C,)
        What was measured in each.
    size_px : float
        Side of a block, in pixels.
    frame_shape : tuple of int
        Height and width of the frame, in pixels.

    Returns
    -------
    ndarray, float64, (H, W)
        NaN where there is no block; the largest value where blocks overlap.

    Examples
    --------
    >>> block_grid([1.0], [1.0], [5.0], 2, (2, 4))
    array([[ 5.,  5., nan, nan],
           [ 5.,  5., nan, nan]])
    """
    height, width = frame_shape
    grid = np.full(frame_shape, np.nan)
    centres = np.stack([np.asarray(y_px, dtype=float), np.asarray(x_px, dtype=float)], axis=1)
    for (y, x), level in zip(centres, np.asarray(value, dtype=float), strict=True):
        top, left = round(max(y - size_px / 2, 0)), round(max(x - size_px / 2, 0))
        bottom, right = round(min(y + size_px / 2, height)), round(min(x + size_px / 2, width))
        block = grid[top:bottom, left:right]
        np.fmax(block, level, out=block)
    return grid


def draw_heat_map(
    frame: ArrayLike,
    heat: ArrayLike,
    stem: str | os.PathLike[str],
    title: str = "",
    label: str = "Signal-to-noise ratio (dB)",
) -> list[Path]:
    """Draw the frame, and over it how clearly the sound was heard at each place.

    Parameters
    ----------
    frame : array_like, uint8, (H, W)
        The first frame of the film, or its mean.
    heat : array_like, float, (h, w)
        A grid that covers the frame; NaN where nothing was measured.
    stem : path
        Path of the files without a suffix.
    title : str
        What is shown, such as the recording.
    label : str
        What `heat` is, with its unit.

    Returns
    -------
    list of pathlib.Path
        The PNG and the SVG.

    Raises
    ------
    VisualMicError
        If an array is no picture, or the files cannot be written.
    """
    picture = np.asarray(frame)
    levels = np.asarray(heat, dtype=np.float64)
    for name, array in (("frame", picture), ("heat map", levels)):
        if array.ndim != 2 or array.size == 0:
            raise VisualMicError(
                f"the {name} has the shape {array.shape}; give rows and columns of pixels"
            )
    with figure_style():
        return save_figure(_heat_figure(picture, levels, title, label), stem, palette=False)


def _heat_figure(
    picture: NDArray[np.number], levels: NDArray[np.float64], title: str, label: str
) -> "Figure":
    height, width = picture.shape
    beside = height >= 0.75 * width
    panel_width = 4.8 if beside else 7.5
    panel_height = panel_width * min(height / width, 1.6)
    if beside:
        figure = new_figure(2 * panel_width + 2.0, panel_height + 1.2, "compressed")
    else:
        figure = new_figure(panel_width + 1.0, 2 * panel_height + 2.6, "compressed")
    if title:
        figure.suptitle(title, fontsize=15, fontweight="bold", x=0.01, ha="left")
    grid = figure.subplots(*((1, 2) if beside else (2, 1)), sharex=True, sharey=True)
    extent = (0.0, float(width), float(height), 0.0)
    low, high = np.percentile(picture, [0.5, 99.5])
    for axes in grid:
        axes.imshow(
            picture, cmap="gray", vmin=low, vmax=max(high, low + 1), extent=extent,
            interpolation="none",
        )  # fmt: skip
        axes.set_xlabel("x (px)")
        axes.set_ylabel("y (px)")
        axes.label_outer()
    grid[0].set_title("The film")
    grid[1].set_title("Where the sound was heard")
    known = levels[np.isfinite(levels)]
    if known.size == 0:
        say_nothing_to_draw(grid[1], "nothing was measured")
        return figure
    bottom, top = np.percentile(known, [2, 100])
    image = grid[1].imshow(
        np.where(np.isfinite(levels), levels, np.nan),
        cmap=LEVELS,
        alpha=0.6,
        vmin=bottom,
        vmax=max(top, bottom + 1e-9),
        extent=extent,
        interpolation="none",
    )
    bar = figure.colorbar(
        image,
        ax=list(grid),
        orientation="vertical" if beside else "horizontal",
        pad=0.03,
        aspect=25 if beside else 40,
        extend="min",
    )
    bar.set_label(label)
    bar.outline.set_visible(False)
    return figure

"""The look of every figure, and how figures become files.

Colours are told apart by people who do not see red and green alike (Okabe and Ito's palette,
viridis for levels); type is large enough that a figure is read at half its size; figures are
objects of their own, without the global state of pyplot, so that they can be drawn anywhere.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from visualmic.atomic import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS_PER_INCH = 130

INK = "#222222"
REFERENCE_COLOUR = "#777777"
SILENCE_COLOUR = "#222222"
LEVELS = "viridis"

_ROW_GAP_IN = 0.42

_METHOD_COLOURS = {
    "pyramid": "#E69F00",
    "pyramid-denoised": "#D55E00",
    "lucas-kanade": "#56B4E9",
    "lucas-kanade-denoised": "#0072B2",
    "siamese": "#009E73",
    "resnet50": "#CC79A7",
    "fpn": "#999933",
    "hybrid": "#882255",
}
_OTHER_COLOURS = ("#44AA99", "#AA4499", "#117733", "#332288", "#DDCC77", "#661100")

_STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#666666",
    "axes.grid": False,
    "axes.labelcolor": INK,
    "axes.labelsize": 12,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 12,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.8,
    "legend.fontsize": 11.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",
    "svg.hashsalt": "visualmic",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": "#444444",
    "xtick.labelsize": 11.5,
    "ytick.color": "#444444",
    "ytick.labelsize": 11.5,
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw in the style of this project inside the block."""
    import matplotlib

    # A person's own matplotlibrc must not change the figures; naming a backend would start pyplot.
    defaults = {k: v for k, v in matplotlib.rcParamsDefault.items() if not k.startswith("backend")}
    settings: Any = defaults | _STYLE
    with matplotlib.rc_context(settings):
        yield


def new_figure(width_in: float, height_in: float, layout: str = "constrained") -> "Figure":
    """Make an empty figure that draws to files only.

    Parameters
    ----------
    width_in, height_in : float
        Its size, in inches.
    layout : "constrained", "compressed" or "none"
        How matplotlib places axes; "none" where they are placed by hand.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout=layout)  # type: ignore[arg-type]
    FigureCanvasAgg(figure)
    return figure


def axes_in_inches(
    figure: "Figure", rows: int, columns: Sequence[tuple[float, float]], top: float, bottom: float
) -> NDArray[Any]:
    """Make rows of axes at places known beforehand, which spares the search for a layout.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        A figure of the layout "none".
    rows : int
        Number of rows, all of one height.
    columns : sequence of (float, float)
        Left edge and width of each column, in inches.
    top, bottom : float
        Room above the first row and below the last, in inches.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, (rows, columns)
        They share the horizontal axis, whose numbers are below the last row; between rows there is
        room for a title.
    """
    width, height = figure.get_size_inches()
    pitch = (height - top - bottom + _ROW_GAP_IN) / rows
    grid = np.empty((rows, len(columns)), dtype=object)
    for row in range(rows):
        base = height - top - (row + 1) * pitch + _ROW_GAP_IN
        for column, (left, across) in enumerate(columns):
            box = (left / width, base / height, across / width, (pitch - _ROW_GAP_IN) / height)
            grid[row, column] = figure.add_axes(box, sharex=grid[0, 0])
            grid[row, column].tick_params(labelbottom=row == rows - 1)
    return grid


def save_figure(figure: "Figure", stem: str | os.PathLike[str], palette: bool = True) -> list[Path]:
    """Write a figure as PNG and SVG, files that appear whole or not at all.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What to write.
    stem : path
        The files' path without a suffix; a dot in it is part of the name.
    palette : bool
        Keep the 256 colours that matter in the PNG, which makes it a third as large; not for
        pictures that blend two colour scales.

    Returns
    -------
    list of pathlib.Path
        The PNG and the SVG.

    Raises
    ------
    VisualMicError
        If they cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from PIL import Image

    png, svg = (Path(f"{os.fspath(stem)}.{suffix}") for suffix in ("png", "svg"))
    with figure_style():
        figure.dpi = DOTS_PER_INCH
        # The layout is found once, and each file drawn once: Figure.savefig draws everything twice.
        if figure.get_layout_engine() is not None:
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        if palette:
            picture = picture.quantize(256, dither=Image.Dither.NONE)
        with atomic_path(png) as temporary:
            picture.save(temporary)
        with atomic_path(svg) as temporary:
            FigureCanvasSVG(figure).print_svg(os.fspath(temporary), metadata={"Date": None})
    return [png, svg]


def method_colours(methods: Iterable[str]) -> dict[str, str]:
    """Give every method its colour: the same in all figures for those that are known.

    Parameters
    ----------
    methods : iterable of str
        Names of methods.

    Returns
    -------
    dict of str to str
        Colours as ``#rrggbb``.
    """
    colours = {}
    others = 0
    for method in methods:
        if method in _METHOD_COLOURS:
            colours[method] = _METHOD_COLOURS[method]
        else:
            colours[method] = _OTHER_COLOURS[others % len(_OTHER_COLOURS)]
            others += 1
    return colours


def say_nothing_to_draw(axes: "Axes", reason: str) -> None:
    """Write into empty axes why there is nothing in them."""
    axes.text(
        *(0.5, 0.5, reason), transform=axes.transAxes, ha="center", va="center", wrap=True,
        color=INK, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85},
    )  # fmt: skip
    # The ticks themselves may be shared with axes that are not empty.
    axes.tick_params(bottom=False, left=False, labelbottom=False, labelleft=False)

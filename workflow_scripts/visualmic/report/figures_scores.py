"""Pictures of scores over recordings, and of training over epochs."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from visualmic.evaluate.bootstrap import bootstrap_mean
from visualmic.evaluate.metrics import METRICS
from visualmic.evaluate.scores import LIMIT_DB
from visualmic.report.figure_style import (
    INK,
    SILENCE_COLOUR,
    figure_style,
    method_colours,
    new_figure,
    save_figure,
    say_nothing_to_draw,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = ("rmse", "mae", "pearson", "si_sdr", "info", "estoi")
"""The metrics of the picture of scores."""

_MOST_DOTS = 300


def draw_scores(
    rows: Sequence[Mapping[str, Any]],
    stem: str | os.PathLike[str],
    title: str = "",
    metrics: Sequence[str] = SHOWN,
) -> list[Path]:
    """Draw the mean of each metric for each method, with its interval, beside silence.

    A bar a method with the 95 % bootstrap interval of its mean over the recordings, a dot a
    recording, and a dashed line at what silence scores.

    Parameters
    ----------
    rows : sequence of mapping
        What :func:`visualmic.evaluate.scores.scores_table` gives.
    stem : path
        Path of the files without a suffix.
    title : str
        What is shown.
    metrics : sequence of str
        Names of metrics.

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
        return save_figure(_scores_figure(rows, title, metrics), stem)


def _scores_figure(
    rows: Sequence[Mapping[str, Any]], title: str, metrics: Sequence[str]
) -> "Figure":
    methods = list(dict.fromkeys(str(row["method"]) for row in rows))
    columns = min(len(metrics), 3)
    lines = math.ceil(len(metrics) / columns)
    panel = 1.1 + 0.42 * max(len(methods), 2)
    figure = new_figure(12.0, (0.5 if title else 0.1) + lines * panel)
    recordings = len({row["recording"] for row in rows})
    if title:
        over = f": mean and 95 % interval of {recordings} recordings" if recordings > 1 else ""
        figure.suptitle(title + over, fontsize=15, fontweight="bold", x=0.01, ha="left")
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for axes in grid.flat[len(metrics) :]:
        axes.set_axis_off()
    for axes, name in zip(grid.flat, metrics, strict=False):
        _draw_metric(axes, rows, methods, name)
    return figure


def _draw_metric(
    axes: "Axes", rows: Sequence[Mapping[str, Any]], methods: Sequence[str], name: str
) -> None:
    metric = METRICS[name]
    unit = f" ({metric.unit})" if metric.unit else ""
    axes.set_title(f"{metric.title}{unit}, {metric.better} is better", fontsize=12)
    axes.set_yticks(range(len(methods)), methods)
    axes.set_ylim(max(len(methods), 1) - 0.4, -0.6)
    scored = [row for row in rows if row.get(name) is not None]
    if not scored:
        say_nothing_to_draw(axes, "no scores")
        # The methods' names serve the whole row of panels.
        axes.tick_params(labelleft=True)
        axes.label_outer()
        return
    colours = method_colours(methods)
    random = np.random.default_rng(0)
    for place, method in enumerate(methods):
        values = np.array([row[name] for row in scored if row["method"] == method], dtype=float)
        found = bootstrap_mean(values)
        if found.mean is None:
            continue
        axes.barh(place, found.mean, height=0.62, color=colours[method])
        if found.low is not None and found.high is not None:
            axes.plot([found.low, found.high], [place, place], color=INK, linewidth=2.2)
        if 1 < values.size <= _MOST_DOTS:
            spread = place + 0.22 * random.uniform(-1, 1, values.size)
            axes.plot(values, spread, ".", color=INK, alpha=0.45, markersize=5, mew=0)
    axes.grid(axis="x")
    _mark_silence(axes, scored, name)


def _mark_silence(axes: "Axes", scored: Sequence[Mapping[str, Any]], name: str) -> None:
    silence = [row[f"{name}_silence"] for row in scored if row.get(f"{name}_silence") is not None]
    if not silence:
        return
    level = float(np.mean(silence))
    unit = f" {METRICS[name].unit}".rstrip()
    if abs(level) < LIMIT_DB:
        axes.axvline(level, color=SILENCE_COLOUR, linestyle="--", linewidth=1.6)
        axes.set_xlabel(f"dashed: silence, {level:.2g}{unit}", fontsize=11)
    else:
        number = f"{level:.3g}".replace("-", "\N{MINUS SIGN}")
        axes.set_xlabel(f"silence: {number}{unit}, beyond this scale", fontsize=11)


def draw_training(
    histories: Mapping[str, Mapping[str, Sequence[float]]],
    stem: str | os.PathLike[str],
    title: str = "",
) -> list[Path]:
    """Draw how training went: every quantity over the epochs, training beside validation.

    Parameters
    ----------
    histories : mapping of str to mapping of str to sequence of float
        For each model the columns of its history: ``epoch``, and any others; ``train_x`` and
        ``val_x`` (or ``validation_x``) share the panel of `x`. NaN where an epoch has no value.
    stem : path
        Path of the files without a suffix.
    title : str
        What is shown.

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
        return save_figure(_training_figure(histories, title), stem)


def _training_figure(
    histories: Mapping[str, Mapping[str, Sequence[float]]], title: str
) -> "Figure":
    quantities = list(
        dict.fromkeys(
            _quantity(column)
            for history in histories.values()
            for column in history
            if column != "epoch"
        )
    )
    # What is minimised comes first.
    quantities.sort(key=lambda name: "loss" not in name)
    columns = min(max(len(quantities), 1), 3)
    lines = math.ceil(max(len(quantities), 1) / columns)
    figure = new_figure(12.0 if columns > 1 else 8.0, 1.1 + 3.4 * lines)
    if title:
        figure.suptitle(title, fontsize=15, fontweight="bold", x=0.01, ha="left")
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat[len(quantities) :]:
        axes.set_axis_off()
    if not quantities:
        say_nothing_to_draw(grid[0, 0], "no training history")
        return figure
    for axes, quantity in zip(grid.flat, quantities, strict=False):
        _draw_quantity(axes, histories, quantity)
    _draw_legend(figure, histories)
    return figure


def _draw_legend(figure: "Figure", histories: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    from matplotlib.lines import Line2D

    colours = method_colours(histories)
    handles = [Line2D([], [], color=colours[name], label=name) for name in histories]
    columns = {column for history in histories.values() for column in history}
    if any(column.startswith("train") for column in columns):
        handles.append(Line2D([], [], color=INK, linestyle=":", label="training"))
        handles.append(Line2D([], [], color=INK, label="validation (dot: its best)"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 5))


def _quantity(column: str) -> str:
    for prefix in ("train_", "training_", "val_", "valid_", "validation_"):
        if column.startswith(prefix):
            return column.removeprefix(prefix)
    return column


def _draw_quantity(
    axes: "Axes", histories: Mapping[str, Mapping[str, Sequence[float]]], quantity: str
) -> None:
    colours = method_colours(histories)
    least = math.inf
    for name, history in histories.items():
        for column, column_values in history.items():
            if column == "epoch" or _quantity(column) != quantity:
                continue
            values = np.array(column_values, dtype=float)
            epochs = np.array(history.get("epoch", np.arange(1, len(values) + 1)), dtype=float)
            known = np.isfinite(values)
            if not known.any():
                continue
            training = column.startswith("train")
            axes.plot(
                epochs[known],
                values[known],
                color=colours[name],
                linestyle=":" if training else "-",
                marker="o" if known.sum() == 1 else None,
            )
            least = min(least, float(values[known].min()))
            if "loss" in quantity and not training:
                best = int(np.nanargmin(values))
                axes.plot(epochs[best], values[best], "o", color=colours[name], markersize=7)
    if "loss" in quantity and 0 < least < math.inf:
        from matplotlib.ticker import LogLocator, NullLocator

        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    metric = METRICS.get(quantity)
    if metric is None:
        axes.set_ylabel(quantity.replace("_", " ").capitalize())
    else:
        axes.set_ylabel(f"{metric.title} ({metric.unit})" if metric.unit else metric.title)
    axes.set_xlabel("Epoch")
    axes.locator_params(axis="x", integer=True)
    axes.grid(axis="y")

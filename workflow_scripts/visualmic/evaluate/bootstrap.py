"""Averages of scores with their uncertainty, and fair comparisons of methods.

Recordings differ far more than methods do, so methods are compared recording by recording: the
mean of the paired differences with its confidence interval, how often each wins, and whether
luck explains it. Intervals are from the bootstrap, over recordings, because scores are few and not
normally distributed.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visualmic.evaluate.metrics import METRICS

RESAMPLES = 9999
"""Bootstrap samples: the ends of a 95 % interval are then certain to about a twentieth of it."""


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval.

    Attributes
    ----------
    mean, median : float or None
        None where there are no values.
    low, high : float or None
        Ends of the confidence interval of the mean; None for fewer than two values.
    count : int
        Number of values.
    """

    mean: float | None
    median: float | None
    low: float | None
    high: float | None
    count: int


@dataclass(frozen=True)
class Comparison:
    """How one method compares with another on the same recordings.

    Attributes
    ----------
    difference : Interval
        First less second, over the recordings that both have.
    first_larger, second_larger, equal : int
        How often each is larger.
    sign_p : float or None
        Probability of a split at least so uneven if neither were better (two-sided sign test);
        None without a pair that differs.
    wilcoxon_p : float or None
        The same by the ranks of the differences (Wilcoxon's signed-rank test).
    """

    difference: Interval
    first_larger: int
    second_larger: int
    equal: int
    sign_p: float | None
    wilcoxon_p: float | None


def bootstrap_mean(
    values: Iterable[float | None],
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Give the mean of the values that are there, with a bootstrap confidence interval.

    Bias-corrected and accelerated (BCa) over the values; the same seed gives the same interval.

    Parameters
    ----------
    values : iterable of float or None
        One a recording; None and NaN are left out.
    confidence : float
        Probability that the interval covers the true mean, 0 to 1.
    resamples : int
        Number of bootstrap samples.
    seed : int
        Seed of the resampling.

    Returns
    -------
    Interval

    References
    ----------
    B. Efron, "Better bootstrap confidence intervals", JASA 82 (1987).

    Examples
    --------
    >>> bootstrap_mean([1.0, 1.0, 1.0])
    Interval(mean=1.0, median=1.0, low=1.0, high=1.0, count=3)
    """
    kept = _numbers(values)
    if kept.size == 0:
        return Interval(None, None, None, None, 0)
    mean, median = float(kept.mean()), float(np.median(kept))
    if kept.size == 1:
        return Interval(mean, median, None, None, 1)
    if np.ptp(kept) <= 1e-12 * float(np.abs(kept).max()):
        return Interval(mean, median, mean, mean, kept.size)
    low, high = _interval(kept, confidence, resamples, seed)
    return Interval(mean, median, low, high, kept.size)


def _interval(
    values: NDArray[np.float64], confidence: float, resamples: int, seed: int
) -> tuple[float, float]:
    from scipy.special import ndtr, ndtri

    generator = np.random.default_rng(seed)
    count = values.size
    block = max(1, 4_000_000 // count)
    means = np.concatenate(
        [
            values[generator.integers(count, size=(min(block, resamples - start), count))].mean(1)
            for start in range(0, resamples, block)
        ]
    )
    # A resampled mean that ties with the mean counts half, as for data of few levels it must.
    below = np.mean(means < values.mean()) + 0.5 * np.mean(means == values.mean())
    bias = ndtri(np.clip(below, 0.5 / resamples, 1 - 0.5 / resamples))
    skew = values - values.mean()
    acceleration = float((skew**3).sum()) / (6 * float((skew**2).sum()) ** 1.5)
    ends = []
    for tail in ((1 - confidence) / 2, (1 + confidence) / 2):
        shifted = bias + ndtri(tail)
        ends.append(ndtr(bias + shifted / (1 - acceleration * shifted)))
    low, high = np.quantile(means, ends)
    return float(low), float(high)


def compare(
    first: Sequence[float | None],
    second: Sequence[float | None],
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare two methods recording by recording.

    Parameters
    ----------
    first, second : sequence of float or None, of the same length
        Scores of the same recordings in the same order; pairs that lack one are left out.
    confidence, resamples, seed
        As for :func:`bootstrap_mean`.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If the lengths differ.

    References
    ----------
    F. Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1 (1945).

    Examples
    --------
    >>> compared = compare([3.0, 4.0, 6.0, 5.0], [1.0, 2.0, 3.0, None])
    >>> compared.difference.mean, compared.first_larger, compared.sign_p
    (2.3333333333333335, 3, 0.25)
    """
    pairs = [_numbers(pair) for pair in zip(first, second, strict=True)]
    differences = np.array([pair[0] - pair[1] for pair in pairs if pair.size == 2])
    larger, smaller = int((differences > 0).sum()), int((differences < 0).sum())
    return Comparison(
        difference=bootstrap_mean(differences, confidence, resamples, seed),
        first_larger=larger,
        second_larger=smaller,
        equal=differences.size - larger - smaller,
        sign_p=_sign_test(larger, smaller),
        wilcoxon_p=_wilcoxon_test(differences),
    )


def _sign_test(larger: int, smaller: int) -> float | None:
    from scipy.stats import binomtest

    if larger + smaller == 0:
        return None
    return float(binomtest(larger, larger + smaller, 0.5).pvalue)


def _wilcoxon_test(differences: NDArray[np.float64]) -> float | None:
    from scipy.stats import wilcoxon

    if not differences.any():
        return None
    with warnings.catch_warnings():
        # It warns where it falls back to the normal approximation, for ties among few pairs.
        warnings.simplefilter("ignore")
        return float(wilcoxon(differences).pvalue)


def _numbers(values: Iterable[float | None]) -> NDArray[np.float64]:
    numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return numbers[~np.isnan(numbers)]


def summary_table(rows: Sequence[Mapping[str, Any]], **options: Any) -> list[dict[str, Any]]:
    """Average every metric over the recordings of each method.

    Parameters
    ----------
    rows : sequence of mapping
        What :func:`visualmic.evaluate.scores.scores_table` gives.
    **options
        `confidence`, `resamples` and `seed` of :func:`bootstrap_mean`.

    Returns
    -------
    list of dict
        A row a method and metric: method, metric, unit, mean, low, high, median, silence (the mean
        of what silence scores on the same recordings), recordings.
    """
    table = []
    for method in _methods(rows):
        own = [row for row in rows if row["method"] == method]
        for name, metric in METRICS.items():
            scored = [row for row in own if row.get(name) is not None]
            found = bootstrap_mean([row[name] for row in scored], **options)
            if found.count == 0:
                continue
            silence = _numbers([row.get(f"{name}_silence") for row in scored])
            table.append(
                {
                    "method": method,
                    "metric": name,
                    "unit": metric.unit,
                    "mean": found.mean,
                    "low": found.low,
                    "high": found.high,
                    "median": found.median,
                    "silence": float(silence.mean()) if silence.size else None,
                    "recordings": found.count,
                }
            )
    return table


def comparison_table(
    rows: Sequence[Mapping[str, Any]], against: str, **options: Any
) -> list[dict[str, Any]]:
    """Compare every method with one of them, recording by recording.

    Parameters
    ----------
    rows : sequence of mapping
        What :func:`visualmic.evaluate.scores.scores_table` gives.
    against : str
        The method that the others are compared with.
    **options
        As for :func:`summary_table`.

    Returns
    -------
    list of dict
        A row a method and metric: method, against, metric, unit, difference, low, high, better,
        worse, equal (numbers of recordings), sign_p, wilcoxon_p, recordings. Metrics without a
        better side are left out.
    """
    table = []
    base = {row["recording"]: row for row in rows if row["method"] == against}
    for method in _methods(rows):
        own = [row for row in rows if row["method"] == method and row["recording"] in base]
        if method == against or not own:
            continue
        for name, metric in METRICS.items():
            if metric.better == "nearer":
                continue
            found = compare(
                [row.get(name) for row in own],
                [base[row["recording"]].get(name) for row in own],
                **options,
            )
            if found.difference.count == 0:
                continue
            wins = (found.first_larger, found.second_larger)
            better, worse = wins if metric.better == "higher" else wins[::-1]
            table.append(
                {
                    "method": method,
                    "against": against,
                    "metric": name,
                    "unit": metric.unit,
                    "difference": found.difference.mean,
                    "low": found.difference.low,
                    "high": found.difference.high,
                    "better": better,
                    "worse": worse,
                    "equal": found.equal,
                    "sign_p": found.sign_p,
                    "wilcoxon_p": found.wilcoxon_p,
                    "recordings": found.difference.count,
                }
            )
    return table


def _methods(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(str(row["method"]) for row in rows))

"""The first screen of the report: what all recordings together say."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from visualmic.evaluate.bootstrap import Interval, bootstrap_mean, compare
from visualmic.evaluate.metrics import METRICS
from visualmic.report.contents import Hearing, Recording, ReportData

HEADLINES = ("pearson", "si_sdr", "rmse")
"""Metrics by which the best method is chosen: the first that has values."""

LEAST_PAIRS = 6
"""Fewer recordings can all agree by chance: with five that happens once in sixteen times."""

LEADING = ("pearson", "si_sdr", "info")
"""Metrics that tables show first."""


@dataclass(frozen=True)
class Average:
    """Mean of one metric over recordings, with its 95 % confidence interval, in `unit`."""

    mean: float | None
    low: float | None
    high: float | None
    count: int
    unit: str


@dataclass(frozen=True)
class MethodSummary:
    """Averages of one method, and the metrics in which no other method is better."""

    method: str
    averages: Mapping[str, Average]
    best_in: frozenset[str]


@dataclass(frozen=True)
class Pair:
    """By how much the best method is better than another, on the recordings that both have."""

    other: str
    difference: float
    low: float | None
    high: float | None
    count: int

    @property
    def verdict(self) -> str:
        """Say in words whether the best method is better than the other."""
        if self.low is None or self.high is None or self.count < LEAST_PAIRS:
            return "too few recordings to say"
        if self.low > 0:
            return "yes"
        return "no, it is worse" if self.high < 0 else "not shown by these recordings"


@dataclass(frozen=True)
class Notice:
    """A warning of one recording."""

    recording: str
    text: str


@dataclass(frozen=True)
class Summary:
    """What all recordings together say.

    Attributes
    ----------
    recordings, scored, frames : int
        Numbers of recordings, of those with scores, and of frames.
    film_s : float
        Length of all films in real time, in seconds.
    headline : str
        The metric by which methods are ordered.
    metrics : tuple of str
        Those with a value anywhere.
    methods : tuple of MethodSummary
        Best first.
    best : str
        The best method, empty where nothing is scored.
    silence, chance, perfect : mapping of str to float
        What they score on average.
    comparisons : tuple of Pair
        The best method against each other one; positive differences are better.
    ratio_db : float or None
        Median distance of `ratio_method` from the Cramer-Rao bound over `ratio_count` recordings.
    warnings : tuple of Notice
        Every warning.
    """

    recordings: int
    scored: int
    frames: int
    film_s: float
    headline: str
    metrics: tuple[str, ...]
    methods: tuple[MethodSummary, ...]
    best: str
    silence: Mapping[str, float]
    chance: Mapping[str, float]
    perfect: Mapping[str, float]
    comparisons: tuple[Pair, ...]
    ratio_db: float | None
    ratio_method: str
    ratio_count: int
    warnings: tuple[Notice, ...]

    @property
    def best_average(self) -> Average:
        """Average of the best method in the headline metric."""
        return self.methods[0].averages[self.headline]


def summarise(data: ReportData) -> Summary:
    """Average over recordings, order the methods, and gather the warnings.

    Parameters
    ----------
    data : ReportData
        What :func:`visualmic.report.collect.collect_report` gives.

    Returns
    -------
    Summary
    """
    by_method = {
        method: [r.hearing(method) for r in data.recordings if r.hearing(method) is not None]
        for method in data.methods
    }
    hearings = {m: [h for h in found if h is not None] for m, found in by_method.items()}
    metrics = _metrics_with_values(hearings)
    headline = next((name for name in HEADLINES if name in metrics), "")
    averages = {m: {n: _average(found, n) for n in metrics} for m, found in hearings.items()}
    scored = [m for m in averages if headline and averages[m][headline].mean is not None]
    scored.sort(key=lambda method: -_goodness(headline, averages[method][headline].mean))
    best_in = _best_in(averages, metrics)
    best = scored[0] if scored else ""
    ratio_method, ratios = _bound_ratios(hearings, scored)
    return Summary(
        recordings=len(data.recordings),
        scored=sum(any(h.scores for h in r.hearings) for r in data.recordings),
        frames=sum(round(r.number("frames") or 0) for r in data.recordings),
        film_s=sum(r.number("duration_s") or 0.0 for r in data.recordings),
        headline=headline,
        metrics=metrics,
        methods=tuple(MethodSummary(m, averages[m], frozenset(best_in[m])) for m in scored),
        best=best,
        silence=_beside(hearings, metrics, "silence"),
        chance=_beside(hearings, metrics, "chance"),
        perfect=_beside(hearings, metrics, "perfect"),
        comparisons=_comparisons(data.recordings, headline, scored),
        ratio_db=statistics.median(ratios) if ratios else None,
        ratio_method=ratio_method,
        ratio_count=len(ratios),
        warnings=tuple(Notice(r.name, text) for r in data.recordings for text in r.warnings),
    )


def best_hearing(recording: Recording, headline: str) -> Hearing | None:
    """Give the best of what the methods heard in a recording, None where nothing is scored."""
    scored = [h for h in recording.hearings if h.value(headline) is not None]
    return max(scored, key=lambda h: _goodness(headline, h.value(headline)), default=None)


def _metrics_with_values(hearings: Mapping[str, Sequence[Hearing]]) -> tuple[str, ...]:
    found = {
        score.name
        for heard in hearings.values()
        for hearing in heard
        for score in hearing.scores
        if score.value is not None
    }
    order = dict.fromkeys((*LEADING, *METRICS))
    known = [name for name in order if name in found]
    return (*known, *sorted(found.difference(known)))


def _average(hearings: Sequence[Hearing], metric: str) -> Average:
    interval: Interval = bootstrap_mean([hearing.value(metric) for hearing in hearings])
    units = [score.unit for h in hearings if (score := h.score(metric)) is not None]
    unit = units[0] if units else ""
    return Average(interval.mean, interval.low, interval.high, interval.count, unit)


def _goodness(metric: str, value: float | None) -> float:
    """Turn a value so that larger is better; what has no better side keeps its order."""
    if value is None:
        return float("-inf")
    lower = metric in METRICS and METRICS[metric].better == "lower"
    return -value if lower else value


def _best_in(
    averages: Mapping[str, Mapping[str, Average]], metrics: Sequence[str]
) -> dict[str, set[str]]:
    best: dict[str, set[str]] = {method: set() for method in averages}
    for name in metrics:
        if name not in METRICS or METRICS[name].better == "nearer" or len(averages) < 2:
            continue
        goodness = {m: _goodness(name, a[name].mean) for m, a in averages.items()}
        top = max(goodness.values())
        for method in averages:
            if goodness[method] == top > float("-inf"):
                best[method].add(name)
    return best


def _beside(
    hearings: Mapping[str, Sequence[Hearing]], metrics: Sequence[str], what: str
) -> dict[str, float]:
    beside = {}
    for name in metrics:
        values = [
            value
            for heard in hearings.values()
            for hearing in heard
            if (score := hearing.score(name)) is not None
            and (value := getattr(score, what)) is not None
        ]
        if values:
            beside[name] = statistics.fmean(values)
    return beside


def _comparisons(
    recordings: Sequence[Recording], headline: str, methods: Sequence[str]
) -> tuple[Pair, ...]:
    pairs = []
    sign = -1.0 if headline in METRICS and METRICS[headline].better == "lower" else 1.0

    def scores(method: str) -> list[float | None]:
        heard = [r.hearing(method) for r in recordings]
        values = [h.value(headline) if h is not None else None for h in heard]
        return [None if value is None else sign * value for value in values]

    for other in methods[1:]:
        found = compare(scores(methods[0]), scores(other)).difference
        if found.mean is not None:
            pairs.append(Pair(other, found.mean, found.low, found.high, found.count))
    return tuple(pairs)


def _bound_ratios(
    hearings: Mapping[str, Sequence[Hearing]], scored: Sequence[str]
) -> tuple[str, list[float]]:
    """Find the best method that knows how far it is from the bound, and those distances."""
    for method in (*scored, *hearings):
        ratios = [
            h.diagnostics.ratio_db
            for h in hearings[method]
            if h.diagnostics is not None and h.diagnostics.ratio_db is not None
        ]
        if ratios:
            return method, ratios
    return "", []

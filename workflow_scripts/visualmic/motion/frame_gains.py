r"""How much of the motion each kind of frame shows, and the motion that all of them show together.

A codec spends fewer bits on frames that it predicts from both sides. What changes in them by less
than a step of its quantiser is left out, so that they show the motion smaller than the others do.
The kinds of frames take turns, so that the sound is multiplied by a gain that repeats with the
pattern of frames, and folds about its frequency: with every fourth frame coded well, a tone at
300 Hz in a film of 2200 frames a second sounds at 250, 800 and 850 Hz too. With the gain
:math:`a_k` and the noise :math:`\sigma_k^2` of the kind :math:`k(t)` of frame t,

.. math:: y(t) = a_{k(t)}\, x(t) + n(t), \qquad \operatorname{var} n(t) = \sigma_{k(t)}^2 .

The errors of blocks that do not touch have independent signs. With the motion as two halves of the
blocks show it, :math:`y_1` and :math:`y_2`, products tell the gains alone,

.. math:: E[\,y_1(t)^\top y_2(t + \tau)\,] = a_{k(t)}\, a_{k(t + \tau)}\, \rho(\tau),

by least squares in turn over gains and correlation. Then the motion is what is likeliest if it is
stationary: of one direction at each frequency, which a Wiener filter :math:`H` finds. With the
precision :math:`\kappa(t) = a^2 / \sigma^2` over that of the best kind, the expected motion of
frames that were all as good as the best is :math:`z`, found by expectation and maximisation [1]_,

.. math:: z \leftarrow \kappa\, y / a + (1 - \kappa)\, H z ,

where :math:`H` is made anew from the covariances of :math:`z`, and steps go on by a share of the
last.

References
----------
.. [1] A. P. Dempster, N. M. Laird and D. B. Rubin, "Maximum likelihood from incomplete data via the
   EM algorithm", Journal of the Royal Statistical Society B 39(1), 1977.
"""

import numpy as np
from numpy.typing import NDArray

from visualmic.motion.beam import CODED_BINS, smooth_snr
from visualmic.motion.reference import Floats
from visualmic.motion.spectra import (
    ShortTimeFourier,
    blurred_over_frequency,
    covariances,
)
from visualmic.threads import in_threads

# Frames apart, up to which sound is alike; and as many frames as tell enough.
_ALIKE = 32
_ENOUGH_FRAMES = 32768
# Least share of the frames, and number of them, that is a kind of its own.
_LEAST_SHARE, _FEWEST = 0.05, 64
_SEGMENTS = 8
_LEAST_GAIN = 1e-3
_ROUNDS = 30
# Products count by the power around them to one minus this: the loudest moment is not all.
_BALANCE, _AROUND = 0.5, 129
# Directions that tell the noise.
_FEWEST_QUIET = 2
# How far, in standard errors, frames predicted from both sides must fall behind to be made up for.
_DEVIATIONS = 2.5
# Mean precision of the frames over that of the best below which too little is left of the others to
# tell what is folded.
_LEAST_PRECISION = 0.36
_STEPS, _MOMENTUM = 4, 0.7
# Share of the power of predicted frames that is not in the frames around them, below which they
# repeat those, and the sound is not in them; and of a frame's surroundings what is too near an end.
LEAST_NEW, _END = 0.35, 40


def frame_kinds(bidirectional: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Give each frame a kind: its place in a run of frames predicted from both sides.

    Parameters
    ----------
    bidirectional : ndarray, bool, (T,)
        Which frames were predicted from both sides.

    Returns
    -------
    ndarray, int, (T,)
        0 for the others; from 1 on in a run, where rare places count with the one before.

    Examples
    --------
    >>> frame_kinds(np.tile([False, True, True], 100))[:6]
    array([0, 1, 2, 0, 1, 2])
    """
    at = np.arange(len(bidirectional))
    last = np.maximum.accumulate(np.where(bidirectional, -1, at))
    kinds = at - last
    enough = max(_FEWEST, _LEAST_SHARE * len(kinds))
    for kind in range(int(kinds.max(initial=0)), 1, -1):
        if np.count_nonzero(kinds == kind) < enough:
            kinds[kinds == kind] = kind - 1
    return np.asarray(kinds, np.intp)


def measure_gains(first: Floats, second: Floats, kinds: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Measure how much of the motion each kind of frame shows.

    Parameters
    ----------
    first, second : ndarray, float32, (T, K)
        Motion as two halves of the blocks show it, without what is slower than sound.
    kinds : ndarray, int, (T,)
        Kind of each frame.

    Returns
    -------
    gains, without : ndarray, float64, (N,) and (8, N)
        Of each kind, with a mean square of one over the frames; and without one eighth of the film,
        for the jackknife.
    """
    count = int(kinds.max()) + 1
    kinds = kinds[:_ENOUGH_FRAMES]
    total = len(kinds)
    first, second = _balanced(first[:total], second[:total])
    segment = np.arange(total) * _SEGMENTS // total
    cells = _SEGMENTS * count * count
    products, pairs = [], []
    for apart in range(-min(_ALIKE, total - 1), min(_ALIKE, total - 1) + 1):
        one = slice(max(-apart, 0), total - max(apart, 0))
        other = slice(max(apart, 0), total - max(-apart, 0))
        cell = (segment[one] * count + kinds[one]) * count + kinds[other]
        product = np.einsum("tk,tk->t", first[one], second[other])
        products.append(np.bincount(cell, product, cells))
        pairs.append(np.bincount(cell, minlength=cells).astype(np.float64))
    shape = (-1, _SEGMENTS, count, count)
    sums, numbers = (np.stack(one).reshape(shape).swapaxes(0, 1) for one in (products, pairs))
    share = np.bincount(kinds, minlength=count) / total
    whole = _fitted_gains(sums.sum(axis=0), numbers.sum(axis=0), share)
    without = [
        _fitted_gains(sums.sum(axis=0) - one, numbers.sum(axis=0) - number, share)
        for one, number in zip(sums, numbers, strict=True)
    ]
    return whole, np.array(without)


def _balanced(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Bring loud moments of signals (T, K) nearer to the others."""
    power = ((first + second) ** 2).mean(axis=1, dtype=np.float64)
    sums = np.cumsum(np.pad(np.pad(power, _AROUND // 2, mode="edge"), (1, 0)))
    around = np.maximum(sums[_AROUND:] - sums[:-_AROUND], 1e-30)
    weight = (around ** (-_BALANCE / 2)).astype(np.float32)[:, None]
    return first * weight, second * weight


def share_of_new(first: Floats, second: Floats, kinds: NDArray[np.intp]) -> float:
    """Share of the power of frames predicted from both sides that the frames around do not hold.

    A codec that sends nothing for a frame shows a mean of those around it: it moves, too, but not
    with the sound.

    Parameters
    ----------
    first, second : ndarray, float32, (T, K)
        Motion as two halves of the blocks show it, without what is slower than sound.
    kinds : ndarray, int, (T,)
        0 for frames that were not predicted from both sides.
    """
    total = min(len(kinds), _ENOUGH_FRAMES)
    first, second = _balanced(first[:total], second[:total])
    at = np.arange(total)
    before = np.maximum.accumulate(np.where(kinds[:total] == 0, at, 0))
    after = np.minimum.accumulate(np.where(kinds[:total] == 0, at, total - 1)[::-1])[::-1]
    inside = (at >= _END) & (at < total - _END)
    new = whole = 0.0
    for kind in range(1, int(kinds.max()) + 1):
        chosen = np.flatnonzero((kinds[:total] == kind) & inside)
        three = [chosen, before[chosen], after[chosen]]
        products = np.array([[float((first[i] * second[j]).sum()) for j in three] for i in three])
        products = (products + products.T) / 2
        told = np.linalg.lstsq(products[1:, 1:], products[1:, 0], rcond=None)[0]
        new += products[0, 0] - float(told @ products[1:, 0])
        whole += products[0, 0]
    return new / whole if whole > 0 else 0.0


def _fitted_gains(products: Floats, pairs: Floats, share: Floats) -> Floats:
    """Fit gains (N,) to sums of products (lags, N, N) of so many pairs."""
    products, pairs = (one + one.swapaxes(1, 2) for one in (products, pairs))
    gains = np.ones(len(share))
    for _ in range(_ROUNDS):
        both = np.outer(gains, gains)
        alike = (both * products).sum(axis=(1, 2))
        alike /= np.maximum((both**2 * pairs).sum(axis=(1, 2)), 1e-30)
        told = np.tensordot(alike, products, 1)
        weight = np.tensordot(alike**2, pairs, 1)
        for kind in range(len(gains)):
            known = float(weight[kind] @ gains**2)
            gains[kind] = max(float(told[kind] @ gains) / max(known, 1e-30), _LEAST_GAIN)
        gains /= np.sqrt(share @ gains**2)
    return gains


def fall_behind(gains: Floats, without: Floats, kinds: NDArray[np.intp]) -> bool:
    """Tell whether frames predicted from both sides surely show less of the motion than others.

    Parameters
    ----------
    gains, without : ndarray, float64
        Of :func:`measure_gains`.
    kinds : ndarray, int, (T,)
    """
    share = np.bincount(kinds, minlength=len(gains))[1:].astype(np.float64)
    share /= max(share.sum(), 1.0)
    ahead = without[:, 0] - without[:, 1:] @ share
    error = np.sqrt((len(ahead) - 1) * np.var(ahead))
    return bool(gains[0] - gains[1:] @ share > _DEVIATIONS * error)


def noise_of_kinds(signals: Floats, kinds: NDArray[np.intp]) -> Floats:
    """Estimate the noise of each kind of frames over that of the first, (N,).

    By the smaller half of the eigenvalues of their covariance: a codec's errors are largest where
    things move, and blocks that are still say little of them.

    Parameters
    ----------
    signals : ndarray, float32, (T, K)
    kinds : ndarray, int, (T,)
    """
    half = signals.shape[1] // 2
    count = int(kinds.max()) + 1
    if half < _FEWEST_QUIET:
        return np.zeros(count)
    floor = []
    for kind in range(count):
        part = signals[kinds == kind].astype(np.float64)
        values = np.linalg.eigvalsh(part.T @ part / max(len(part), 1))[:half]
        floor.append(np.exp(np.log(np.maximum(values, 1e-30)).mean()))
    return np.array(floor) / floor[0]


def even_frames(
    signals: Floats,
    kinds: NDArray[np.intp],
    gains: Floats,
    noise: Floats,
    length: int,
    first: int,
) -> Floats | None:
    """Give the motion as it would be if all frames showed as much of it as the best.

    Parameters
    ----------
    signals : ndarray, float32, (T, K)
        Motion, without what is slower than sound.
    kinds : ndarray, int, (T,)
        Kind of each frame.
    gains, noise : ndarray, float64, (N,)
        How much of the motion each kind shows, and the variance of its noise.
    length : int
        Samples in a window, for the spectra.
    first : int
        Bin of the spectra from which on there is sound.

    Returns
    -------
    ndarray, float32, (T, K), or None
        As loud as `signals`; None where too little is left in all kinds but the best.
    """
    precision = gains**2 / noise
    best = int(np.argmax(precision))
    certain = (precision / precision[best]).astype(np.float32)[kinds, None]
    if float(certain.mean()) < _LEAST_PRECISION:
        return None
    seen = certain * signals / gains.astype(np.float32)[kinds, None]
    level = float(noise[best] / gains[best] ** 2)
    stft = ShortTimeFourier(length, 4, "hann")
    last = _moved(seen / certain.mean(), stft, level, first)
    whole = seen + (1 - certain) * last
    for _ in range(_STEPS - 1):
        moved = _moved(whole, stft, level, first)
        whole = seen + (1 - certain) * (moved + _MOMENTUM * (moved - last))
        last = moved
    loudness = np.sqrt((signals**2).mean() / max(float((whole**2).mean()), 1e-30))
    return np.asarray(whole * loudness, np.float32)


def _moved(signals: Floats, stft: ShortTimeFourier, level: float, first: int) -> Floats:
    """Filter signals (T, K) in noise of a variance for what has one direction at each frequency."""
    covariance = covariances(stft, signals) / level
    steady = blurred_over_frequency(covariance, CODED_BINS, first)
    along = np.linalg.eigh(steady)[1][:, :, -1]
    power = np.einsum("fi,fij,fj->f", along.conj(), covariance, along).real
    snr = smooth_snr(power, 0.0)
    gain = (snr / (1 + snr))[:, None] * along
    beam = np.concatenate(
        [
            np.einsum("fk,wfk->wf", along.conj().astype(np.complex64), spectra, optimize=True)
            for spectra in stft.pieces(lambda start, stop: signals[start:stop], len(signals))
        ]
    )
    out = np.empty_like(signals)

    def project(channel: int) -> None:
        out[:, channel] = stft.inverse(beam * gain[:, channel].astype(np.complex64), len(signals))

    in_threads(project, range(signals.shape[1]))
    return out

r"""Motion from the phase of a complex steerable pyramid: the method of Davis et al. 2014.

Every frame is split into subbands of scale :math:`r` and orientation :math:`\theta` with amplitude
:math:`A` and phase; the phase difference :math:`\varphi_v` to a reference frame follows the motion
at each point. A subband's signal is its mean with the amplitude squared as weight,

.. math:: \Phi_{r,\theta}(t) = \frac{\sum_{x,y} A(r,\theta,x,y,t)^2 \varphi_v(r,\theta,x,y,t)}
          {\sum_{x,y} A(r,\theta,x,y,t)^2},

and the sound is the sum of the subbands, aligned in time, high-passed and scaled to [-1, 1].

References
----------
.. [1] A. Davis, M. Rubinstein, N. Wadhwa, G. J. Mysore, F. Durand and W. T. Freeman, "The Visual
   Microphone: Passive Recovery of Sound from Video", ACM Transactions on Graphics 33(4), 2014.
"""

import math
import os
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from visualmic.audio.denoise import butterworth_highpass
from visualmic.errors import VisualMicError
from visualmic.film.source import FrameSource
from visualmic.motion.signals import MotionSignals
from visualmic.motion.steerable_pyramid import SteerablePyramid, Workspace, largest_scale_count
from visualmic.progress import Progress
from visualmic.threads import default_threads

# Pixels that one thread works on at once: enough to hide the cost of the calls on small frames,
# little enough to stay in the cache on large ones.
_PIXELS_AT_ONCE = 2**18

# A subband whose amplitude is below a thousandth of a grey level, or a phase that never moves by a
# millionth of a radian, holds only the rounding of single precision.
_LEAST_AMPLITUDE = 1e-3
_LEAST_PHASE = 1e-6


@dataclass(frozen=True)
class PyramidSettings:
    """How to measure motion with a pyramid and how to combine its subbands.

    Attributes
    ----------
    scales : int
        Number of scales, finest first; each needs twice the pixels of the one before.
    orientations : int
        Number of orientations at each scale, from 2 to 16.
    downsample : int
        Average blocks of this many pixels a side before the pyramid: 1, 2, 4, 8, 16 or 32.
    reference : {"first", "mean"}
        The frame that phases are compared with: the film's first, or the mean of all, which takes
        a second pass over the film.
    weights : {"noise", "power"}
        How much a subband counts in the sum: by its precision for white sensor noise, or by
        its sum of squared coefficients as they are, which favours coarse scales.
    max_lag_s : float
        Greatest shift of a subband against the strongest one, in seconds; 0 shifts none.
    polarity : bool
        Turn subbands over that move against the strongest one. Which half-plane a filter passes is
        a convention, so an orientation's sign is one too.
    highpass_hz : float
        Cut-off of the high-pass filter in hertz; 0 removes only the mean.
    highpass_order : int
        Order of that Butterworth filter, which is passed forwards and backwards.
    """

    scales: int = 3
    orientations: int = 2
    downsample: int = 1
    reference: str = "first"
    weights: str = "noise"
    max_lag_s: float = 0.002
    polarity: bool = True
    highpass_hz: float = 20.0
    highpass_order: int = 3

    def __post_init__(self) -> None:
        checks = (
            ("scales", 1 <= self.scales <= 12, "a number from 1 to 12"),
            ("orientations", 2 <= self.orientations <= 16, "a number from 2 to 16"),
            ("downsample", self.downsample in (1, 2, 4, 8, 16, 32), "1, 2, 4, 8, 16 or 32"),
            ("reference", self.reference in ("first", "mean"), "first or mean"),
            ("weights", self.weights in ("noise", "power"), "noise or power"),
            ("max_lag_s", 0 <= self.max_lag_s < math.inf, "0 seconds or more"),
            ("highpass_hz", 0 <= self.highpass_hz < math.inf, "0 hertz or more"),
            ("highpass_order", 1 <= self.highpass_order <= 12, "a number from 1 to 12"),
        )
        for name, valid, allowed in checks:
            if not valid:
                raise VisualMicError(f"pyramid {name} is {getattr(self, name)}: set {allowed}")


def measure_pyramid(
    source: FrameSource,
    settings: PyramidSettings | None = None,
    *,
    threads: int | None = None,
    spool: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> MotionSignals:
    """Measure the weighted mean phase difference of every subband of every frame.

    Parameters
    ----------
    source : FrameSource
        The frames; read once, or twice when the reference is their mean.
    settings : PyramidSettings, optional
    threads : int, optional
        Threads to compute with; all cores by default.
    spool : path, optional
        Not needed: a pyramid has few subbands, and their signals stay in memory. Every method
        takes it.
    progress : Progress, optional
        Told of every frame that is done.

    Returns
    -------
    MotionSignals
        ``signals`` float32 (T, scales * orientations) in radians, zero where a subband is dead;
        ``noise_std`` is NaN, as the noise of the sensor is not known here. ``arrays`` holds
        ``subbands`` (C, 2) with scale and orientation, ``energy`` (T, C), the sum of squared
        amplitudes, ``noise_gain`` (C,), the mean square of a coefficient for white noise of
        variance 1, and ``frequency`` (C,), the filter's frequency in cycles per pixel as filmed.
        ``attributes["silent"]`` is true when nothing moves.

    Raises
    ------
    VisualMicError
        If there are fewer than two frames, or the frames are too small for the scales.
    """
    settings = settings or PyramidSettings()
    threads = threads or default_threads()
    pyramid = _make_pyramid(source, settings)
    reference_frame: NDArray[np.float32] | None = None
    if settings.reference == "mean":
        reference_frame = _mean_frame(source, settings.downsample)
    weighted: list[NDArray[np.float64]] = []
    energies: list[NDArray[np.float64]] = []
    pending: deque[Future[tuple[NDArray[np.float64], NDArray[np.float64]]]] = deque()
    phases: _PhaseMeter | None = None

    def collect() -> None:
        phase, energy = pending.popleft().result()
        weighted.append(phase)
        energies.append(energy)
        if progress is not None:
            progress.advance(len(phase))

    with ThreadPoolExecutor(threads) as pool:
        for chunk in _chunks(source):
            if phases is None:
                if reference_frame is None:
                    reference_frame = _reduced(chunk[:1], settings.downsample)
                phases = _PhaseMeter(pyramid, reference_frame, settings.downsample)
            # Decoding goes on while the threads work, but never further ahead than this.
            while len(pending) > 2 * threads:
                collect()
            pending.append(pool.submit(phases.measure, chunk))
        while pending:
            collect()
    frames = sum(len(piece) for piece in weighted)
    if frames < 2:
        raise VisualMicError(
            f"{source.name} has {frames} frame{'' if frames == 1 else 's'}: motion needs at least"
            " two; check that this is the film you meant"
        )
    return _motion_signals(
        np.concatenate(weighted), np.concatenate(energies), pyramid, source.capture_fps, settings
    )


def combine_pyramid(
    motion: MotionSignals, settings: PyramidSettings | None = None
) -> NDArray[np.float64]:
    r"""Align the subbands' signals, add them up, and scale the sum to [-1, 1].

    .. math:: s(t) = \sum_i w_i p_i \Phi_i(t - \tau_i), \qquad
              (\tau_i, p_i) = \arg\max_{|\tau| \le \tau_{max},\, p = \pm 1}
              p \sum_t \Phi_0(t) \Phi_i(t - \tau)

    where the subband 0 is the one that counts most, and a shift is made only where it gains more
    correlation than chance does. The signals are high-passed before they are aligned, which is the
    same sum and keeps slow sway from deciding the alignment.

    Parameters
    ----------
    motion : MotionSignals
        What :func:`measure_pyramid` measured.
    settings : PyramidSettings, optional
        ``weights``, ``max_lag_s``, ``polarity``, ``highpass_hz`` and ``highpass_order`` are used.

    Returns
    -------
    ndarray, float64, (T,)
        The sound; zeros when nothing moves.

    Raises
    ------
    VisualMicError
        If the high-pass cut-off does not fit the capture rate.
    """
    settings = settings or PyramidSettings()
    signals = butterworth_highpass(
        motion.signals, motion.capture_fps, settings.highpass_hz, settings.highpass_order
    )
    signals = signals * subband_weights(motion, settings.weights)
    anchor = signals[:, int(np.argmax(np.sum(signals**2, axis=0)))]
    most = min(int(settings.max_lag_s * motion.capture_fps), len(anchor) - 1)
    sound = np.zeros(len(anchor))
    for channel in signals.T:
        if channel.any():
            lag, polarity = _best_lag(anchor, channel, most, settings.polarity)
            sound += polarity * _delayed(channel, lag)
    peak = np.abs(sound).max(initial=0.0)
    return sound / peak if peak > 0 else sound


def subband_weights(motion: MotionSignals, weights: str) -> NDArray[np.float64]:
    r"""Weight of every subband ``(C,)`` in the sum, largest 1.

    For ``"power"`` it is the mean over time of :math:`\sum A^2`, so that the sum is that of the
    paper. For ``"noise"``, a mean phase :math:`\Phi_i` is :math:`2\pi f_i` times the displacement,
    with the variance :math:`\sigma^2 g_i / (2 \sum A^2)` for white noise of variance
    :math:`\sigma^2`, of which a coefficient receives :math:`\sigma^2 g_i`: the sum that hears a
    common displacement best has the weights :math:`f_i \sum A^2 / g_i`.
    """
    energy = np.asarray(motion.arrays["energy"], float).mean(axis=0)
    if weights == "noise":
        energy = energy * motion.arrays["frequency"] / motion.arrays["noise_gain"]
    return np.asarray(energy / max(energy.max(initial=0.0), np.finfo(float).tiny), np.float64)


class _PhaseMeter:
    """Phase sums of chunks of frames against one reference; safe to call from several threads."""

    def __init__(
        self, pyramid: SteerablePyramid, reference: NDArray[np.float32], downsample: int
    ) -> None:
        self._pyramid = pyramid
        self._downsample = downsample
        self._own = threading.local()
        self._reference = {
            subband: coefficients[0]
            for subband, coefficients in pyramid.coefficients(reference).items()
        }

    def measure(self, frames: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the weighted phases and the energies ``(B, C)`` of frames ``(B, H, W)``."""
        from visualmic.motion.phase_kernels import phase_sums

        if not hasattr(self._own, "workspace"):
            self._own.workspace = Workspace()
        spectrum = self._pyramid.spectrum(_reduced(frames, self._downsample))
        phases = np.empty((len(self._pyramid.subbands), len(frames)))
        energies = np.empty_like(phases)
        for index, subband in enumerate(self._pyramid.subbands):
            coefficients = self._pyramid.subband(spectrum, subband, self._own.workspace)
            phase_sums(coefficients, self._reference[subband], phases[index], energies[index])
        return phases.T, energies.T


def _make_pyramid(source: FrameSource, settings: PyramidSettings) -> SteerablePyramid:
    shape = source.height // settings.downsample, source.width // settings.downsample
    most = largest_scale_count(shape)
    if settings.scales > most:
        reduced = "" if settings.downsample == 1 else f" downsampled by {settings.downsample}"
        cure = f"set scales to at most {most}, or " if most else ""
        raise VisualMicError(
            f"{source.name}: frames of {source.width}x{source.height} pixels{reduced} are too small"
            f" for {settings.scales} scales; {cure}film or crop at least"
            f" {settings.downsample * 2 ** (settings.scales + 2)} pixels a side"
        )
    # Sums over pixels of products of two coefficients are the same over the sparser grid, and the
    # rest of the phase differs by some hundredths of what noise does to it.
    return SteerablePyramid(shape, settings.scales, settings.orientations, critical=True)


def _chunks(source: FrameSource) -> Iterator[NDArray[np.uint8]]:
    """Frames in pieces for one thread, copied because a batch's memory is used again."""
    step = max(1, _PIXELS_AT_ONCE // (source.height * source.width))
    for batch in source.batches():
        for start in range(0, len(batch), step):
            yield batch[start : start + step].copy()


def _reduced(frames: NDArray[np.uint8], factor: int) -> NDArray[np.float32]:
    """Means of blocks of `factor` x `factor` pixels, in single precision."""
    if factor == 1:
        return frames.astype(np.float32)
    from visualmic.motion.phase_kernels import block_means

    shape = (len(frames), frames.shape[1] // factor, frames.shape[2] // factor)
    means = np.empty(shape, np.float32)
    block_means(frames, factor, means)
    return means


def _mean_frame(source: FrameSource, factor: int) -> NDArray[np.float32]:
    total = np.zeros((source.height, source.width), np.uint64)
    count = 0
    for batch in source.batches():
        total += batch.sum(axis=0, dtype=np.uint64)
        count += len(batch)
    mean = (total / max(count, 1)).astype(np.float32)
    height, width = source.height // factor, source.width // factor
    blocks = mean[: height * factor, : width * factor].reshape(height, factor, width, factor)
    return blocks.mean(axis=(1, 3))[None].astype(np.float32)


def _motion_signals(
    weighted: NDArray[np.float64],
    energy: NDArray[np.float64],
    pyramid: SteerablePyramid,
    capture_fps: float,
    settings: PyramidSettings,
) -> MotionSignals:
    counts = np.array([math.prod(pyramid.subband_shape(each)) for each in pyramid.subbands])
    # A single dark frame divides by no light: it has no phase, and is given none.
    lit = energy > counts * _LEAST_AMPLITUDE**2
    signals = np.divide(weighted, energy, out=np.zeros_like(weighted), where=lit)
    signals[:, np.ptp(signals, axis=0) < _LEAST_PHASE] = 0.0
    density = np.array([pyramid.density(each) for each in pyramid.subbands])
    return MotionSignals(
        method="pyramid",
        capture_fps=capture_fps,
        signals=np.ascontiguousarray(signals, np.float32),
        noise_std=np.full(len(counts), np.nan, np.float32),
        arrays={
            "subbands": np.array(pyramid.subbands, np.int32),
            "energy": np.ascontiguousarray(energy / density, np.float32),
            "noise_gain": np.array([pyramid.white_noise_gain(s) for s in pyramid.subbands]),
            "frequency": np.array([pyramid.centre_frequency(s) for s in pyramid.subbands])
            / settings.downsample,
        },
        attributes={
            "settings": asdict(settings),
            "unit": "rad",
            "silent": not bool(signals.any()),
        },
    )


def _best_lag(
    anchor: NDArray[np.float64], channel: NDArray[np.float64], most: int, polarity: bool
) -> tuple[int, float]:
    """Delay of `channel` in samples, and its sign, that correlate it best with `anchor`."""
    length = scipy.fft.next_fast_len(len(channel) + most, real=True)
    spectrum = scipy.fft.rfft(anchor, length) * scipy.fft.rfft(channel, length).conj()
    near = np.roll(scipy.fft.irfft(spectrum, length), most)[: 2 * most + 1]
    strength = np.abs(near) if polarity else near
    best = int(np.argmax(strength))
    # Between unrelated noises a correlation has this standard deviation: a shift must gain clearly
    # more, or the loudest noise would decide it.
    chance = np.linalg.norm(anchor) * np.linalg.norm(channel) / np.sqrt(len(channel))
    if strength[best] - strength[most] < 3.0 * chance:
        best = most
    return best - most, -1.0 if polarity and near[best] < 0 else 1.0


def _delayed(channel: NDArray[np.float64], lag: int) -> NDArray[np.float64]:
    """Shift by whole samples, later for positive `lag`, with silence where nothing is known."""
    moved = np.zeros_like(channel)
    if lag >= 0:
        moved[lag:] = channel[: len(channel) - lag]
    else:
        moved[:lag] = channel[-lag:]
    return moved

r"""One sound from many motion channels: a multichannel Wiener filter for every frequency.

All channels are shaken by one sound through the object's own transfer functions, so in a band of
frequencies their covariance is a few factors plus noise,

.. math:: R = H H^\top + \Psi , \qquad \Psi = \text{diagonal}.

The channels are whitened by :math:`\Psi` and projected on the factors that stand above what noise
alone would show (the Marchenko-Pastur edge). At each frequency what remains is rank one plus white
noise, :math:`R(f) = (\lambda - 1) u u^H + I`, and the least-squares estimate of the sound, as a
reference combination `g` of the channels hears it, is

.. math:: \hat s(f, t) = \left(\frac{\xi(f, t)}{1 + \xi(f, t)}\right)^{2} (g^\top u)\,u^H y(f, t),

with the local signal-to-noise ratio :math:`\xi` of the beam :math:`u^H y`, which what repeats in
the sound helps to find (:mod:`visualmic.motion.nmf`), and an exponent that makes up for how
uncertain it is [4]_. Where the way in which
`u` turns with frequency gives away the object's resonances (:mod:`visualmic.motion.modal`), `u` is
the direction of their joint response `v`, and the sound is freed of it: :math:`1 / |v|` takes the
place of :math:`g^\top u`.

References
----------
.. [1] S. Doclo and M. Moonen, "GSVD-based optimal filtering for single and multimicrophone speech
   enhancement", IEEE Transactions on Signal Processing 50(9), 2002.
.. [2] K. G. Joreskog, "Image factor analysis", Psychometrika 34(1), 1969.
.. [3] V. A. Marchenko and L. A. Pastur, "Distribution of eigenvalues for some sets of random
   matrices", Mathematics of the USSR-Sbornik 1(4), 1967.
.. [4] J. S. Lim and A. V. Oppenheim, "Enhancement and bandwidth compression of noisy speech",
   Proceedings of the IEEE 67(12), 1979.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from visualmic.errors import VisualMicError
from visualmic.motion.agreement import is_coded_between_frames
from visualmic.motion.beam import Bands, Beam, Expect, beamform, long_term_snr
from visualmic.motion.modal_model import ModalModel
from visualmic.motion.noise_suppression import suppress_noise
from visualmic.motion.reference import Floats
from visualmic.motion.rigid import rigid_part, rigid_space
from visualmic.motion.signals import MotionSignals
from visualmic.motion.spectra import (
    Rows,
    ShortTimeFourier,
    Spectra,
    highpass,
)
from visualmic.motion.sway import LEAST_SWAY_PX, sway_rms_px
from visualmic.threads import in_threads

_SMOOTH_FIELDS = 40
_MAX_FACTORS = 12
# How far a factor must stand above the Marchenko-Pastur edge, so that noise rarely does.
_ABOVE_EDGE = 1.15
# Variance below which a channel holds only the rounding of arithmetic, in units of sensor noise.
_LEAST_NOISE = 1e-4
# Cells along each side of the frame, every other one of which makes a half.
_CELLS = 4

# Least noise of a channel of a film coded between frames, over the median of all.
_CODED_FLOOR = 10.0
_MODES_FROM_HZ = 40.0
# Noise within this factor of the sensor's is the sensor's.
_NEAR_SENSOR = 1.33
# Following a swaying camera leaves errors of its own up to here.
_SWAY_LEFT_HZ = 80.0
# Most of them are slower than this, and what a bass plays is faster.
_MOST_SWAY_HZ = 40.0


Even = Callable[[tuple[Floats, Floats], float, int, int, float], Floats | None]


@dataclass(frozen=True)
class WienerSettings:
    """Settings of the combination.

    Attributes
    ----------
    highpass_hz : float
        Slower motion is the camera's or the building's, in hertz.
    window_s : float
        Analysis window in seconds.
    bands : int
        Bands of frequencies in which factors are looked for.
    factors : int
        Most factors that a band may add.
    suppress_noise : bool
        Let the Wiener gain follow the sound in time; else it is one gain for each frequency.
    undo_resonances : bool
        Take the object's resonances out of the sound, where the motion gives them away.
    remove_sway : bool
        Leave out what is slower than 80 Hz where the picture sways and that drowns the rest.
    exposure : float
        Share of the frame interval in which the shutter was open: what it smeared is made up for.
        At 0 the sound is that of the motion as it was filmed.
    """

    highpass_hz: float = 20.0
    window_s: float = 0.23
    bands: int = 8
    factors: int = 4
    suppress_noise: bool = True
    undo_resonances: bool = True
    remove_sway: bool = True
    exposure: float = 0.0

    def __post_init__(self) -> None:
        if self.highpass_hz <= 0:
            raise VisualMicError(
                f"highpass_hz is {self.highpass_hz}: give a frequency above 0, such as 20"
            )
        if self.window_s <= 0:
            raise VisualMicError(f"window_s is {self.window_s}: give a time above 0, such as 0.23")
        if self.bands < 1 or self.factors < 1:
            raise VisualMicError("bands and factors must each be at least 1")
        if not 0 <= self.exposure <= 1:
            raise VisualMicError(
                f"exposure is {self.exposure}: give the share of the frame interval in which the"
                " shutter is open, from 0 to 1"
            )

    def window(self, fps: float, total: int) -> int:
        """Give the samples in a window for a film of `total` frames, a power of two."""
        length = max(8, 2 ** round(np.log2(self.window_s * fps)))
        while length > 8 and length > total // 4:
            length //= 2
        return int(length)


@dataclass
class Combined:
    """A sound, and how well it was heard.

    Attributes
    ----------
    sound : ndarray, float64, (T,)
        Motion in pixels as the strongest part of the object hears it; zeros when nothing is heard.
    heard : bool
        Whether anything stands above the noise.
    frequency_hz : ndarray, float64, (F,)
    snr : ndarray, float64, (F,)
        Power of the sound over the noise, averaged over the recording.
    noise_level : float
        Variance of the channels' noise over what the noise model of the sensor says.
    factors : int
        Dimensions of the space in which the sound was sought.
    channel_snr : ndarray, float64, (C,)
        Power of the sound over the noise in each channel.
    modes : ModalModel or None
        The object's resonances, which the sound is free of; None where they were not found.
    sensor_noise : bool
        Whether the noise is as strong at every frequency as the sensor's alone would be.
    above_hz : float
        Frequency below which what following a sway leaves behind was left out, in hertz, or 0.
    """

    sound: Floats
    heard: bool
    frequency_hz: Floats
    snr: Floats
    noise_level: float
    factors: int
    channel_snr: Floats
    modes: ModalModel | None = None
    sensor_noise: bool = False
    above_hz: float = 0.0


def combine_channels(
    motion: MotionSignals,
    rows: Rows,
    settings: WienerSettings | None = None,
    learned: "Learned | None" = None,
    even: Even | None = None,
) -> Combined:
    """Combine whitened motion channels to one sound.

    Parameters
    ----------
    motion : MotionSignals
        Channels in units of their sensor noise, with the arrays of
        :func:`visualmic.motion.lucas_kanade.measure_lucas_kanade`.
    rows : callable
        Gives the channels from one frame to another, cleaned of what is not motion.
    settings : WienerSettings, optional
    learned : Learned, optional
        What knows more of sounds than that they are not noise.
    even : callable, optional
        Where the codec lost something, gives combinations of the channels (T, K) as all frames
        would show them, had they been coded alike, or None: from what two halves of the blocks add
        to them as they are, the cutoff of the high-pass, the window's length, the first bin with
        sound and the noise's variance.

    Returns
    -------
    Combined
    """
    settings = settings or WienerSettings()
    total, channels = motion.signals.shape
    fps = motion.capture_fps
    length = settings.window(fps, total)
    frequency = np.fft.rfftfreq(length, 1 / fps)
    nothing = Combined(
        np.zeros(total),
        False,
        frequency,
        np.zeros(len(frequency)),
        1.0,
        0,
        np.zeros(channels),
    )
    if channels == 0 or total < 16:
        return nothing
    bands = _band_covariances(rows, total, frequency, length, settings, fps)
    if bands is None:
        return nothing
    usual = float(np.median(bands.noise))
    if is_coded_between_frames(motion):
        # There little noise says what the codec left out, not that a channel is to be believed.
        bands.noise = np.maximum(bands.noise, _CODED_FLOOR * usual)
        bands.coded = True
        bands.lossy = not motion.attributes.get("lossless", False)
    bases = [(_MODES_FROM_HZ, _factor_space(motion, bands, settings))]
    # Whitening by another level, the bands' own change by its inverse.
    nothing.noise_level = float(np.median(bands.level) * np.median(bands.noise))
    nothing.sensor_noise = _is_of_sensor(bands)
    if bases[0][1].shape[1] == 0:
        return nothing
    sways = sway_rms_px(motion) > LEAST_SWAY_PX
    if settings.undo_resonances and sways:
        # What following the sway leaves behind is none of the object's modes.
        above = bands.above(_SWAY_LEFT_HZ, frequency)
        faster = _factor_space(motion, above, settings)
        if faster.shape[1]:
            bases.insert(0, (_SWAY_LEFT_HZ, faster))
    for lowest_hz, basis in bases:
        filtered = None
        if bands.lossy and even is not None:
            half = _half_of_blocks(motion)[:, None]
            both = _projected(rows, total, np.concatenate([basis * half, basis * ~half], axis=1))
            one, other = np.split(both, 2, axis=1)
            level = float(np.median(bands.level))
            filtered = even((one, other), settings.highpass_hz, length, bands.bins[0][0], level)
        bands.filled = filtered is not None
        if filtered is None:
            filtered = highpass(_projected(rows, total, basis), fps, settings.highpass_hz)
        beam = beamform(
            filtered,
            frequency,
            length,
            bands,
            lowest_hz if settings.undo_resonances else None,
            learned.expect if learned else None,
            rigid_part(motion, bands.noise, basis),
        )
        if beam.bends:
            break
    if sways and settings.remove_sway and _drowned_by_sway(beam, frequency, settings.highpass_hz):
        settings = replace(settings, highpass_hz=_SWAY_LEFT_HZ)
        return replace(
            combine_channels(motion, rows, settings, learned, even), above_hz=_SWAY_LEFT_HZ
        )
    spectrum, snr = (learned.clear if learned else wiener_gain)(beam, settings, frequency)
    # A shutter averages the motion while it is open.
    spectrum /= np.sinc(settings.exposure * frequency / fps).astype(np.float32)
    stft = ShortTimeFourier(length, 4, "hann")
    unit = float(motion.attributes.get("cramer_rao_px", 1.0))
    channel = (bands.noise[:, None] * basis) @ beam.pattern
    return Combined(
        sound=stft.inverse(spectrum, total) * unit,
        heard=True,
        frequency_hz=frequency,
        snr=snr,
        noise_level=nothing.noise_level,
        sensor_noise=nothing.sensor_noise,
        factors=basis.shape[1],
        channel_snr=np.abs(channel) ** 2 / bands.noise,
        modes=beam.modes,
    )


def _is_of_sensor(bands: Bands) -> bool:
    """Tell whether the noise of each band is what the noise model of the sensor says."""
    level = bands.level * np.median(bands.noise)
    return bool(level.min() > 1 / _NEAR_SENSOR and level.max() < _NEAR_SENSOR)


def _drowned_by_sway(beam: Beam, frequency: Floats, highpass_hz: float) -> bool:
    """Tell whether what is as slow as following a sway leaves behind drowns all else."""
    loud = np.maximum(beam.power - 1, 0) * beam.level * np.abs(beam.gain) ** 2
    loud[frequency < highpass_hz] = 0
    slowest, faster = frequency < _MOST_SWAY_HZ, frequency >= _SWAY_LEFT_HZ
    return bool(loud[slowest].sum() > loud[faster].sum())


def _projected(rows: Rows, total: int, basis: Floats) -> Floats:
    """Combine all channels by filters (C, K): (T, K)."""
    filters = basis.astype(np.float32)
    parts = (rows(start, min(start + 4096, total)) for start in range(0, total, 4096))
    return np.concatenate([part @ filters for part in parts])


def _half_of_blocks(motion: MotionSignals) -> NDArray[np.bool_]:
    """Choose the channels (C,) of every other cell of a coarse grid, as on a chessboard."""
    cells = [
        np.unique(motion.arrays[name], return_inverse=True)[1] for name in ("block_y", "block_x")
    ]
    coarse = [_CELLS * one // (one.max() + 1) for one in cells]
    return np.repeat((coarse[0] + coarse[1]) % 2 == 0, 2)


def _band_covariances(
    rows: Rows,
    total: int,
    frequency: Floats,
    length: int,
    settings: WienerSettings,
    fps: float,
) -> Bands | None:
    stft = ShortTimeFourier(length, 2, "blackman-harris")
    lowest = max(settings.highpass_hz, 4 * fps / length)
    edges = np.geomspace(max(lowest, 50.0), fps / 2, settings.bands + 1)
    edges[0] = lowest
    edges[-1] = np.inf
    bins = [
        np.flatnonzero((frequency >= low) & (frequency < high))
        for low, high in itertools.pairwise(edges)
    ]
    bins = [one for one in bins if len(one) >= 2]
    if not bins:
        return None
    sums: list[Floats] | None = None
    windows = 0
    for spectra in stft.pieces(rows, total, whole=True):
        channels = spectra.shape[2]
        if sums is None:
            sums = [np.zeros((channels, channels)) for _ in bins]
        windows += len(spectra)

        def add(band: int, spectra: Spectra = spectra, sums: list[Floats] = sums) -> None:
            part = spectra[:, bins[band]].reshape(-1, spectra.shape[2])
            real = np.concatenate([part.real, part.imag])
            sums[band] += real.T @ real

        in_threads(add, range(len(bins)))
    assert sums is not None
    counts = np.array([len(one) for one in bins], np.float64)
    covariance = np.stack([s / (windows * c) for s, c in zip(sums, counts, strict=True)])
    # The window spreads each bin over two, and real and imaginary parts count once each.
    samples = 1.4 * counts * total / length
    overall = np.tensordot(counts / counts.sum(), covariance, 1)
    noise = _unique_variances(overall, float(samples.sum()))
    return Bands(bins, covariance, samples, noise, np.ones(len(bins)))


def _unique_variances(covariance: Floats, samples: float) -> Floats:
    """Noise variance of each channel: what all the others do not predict (image factor analysis).

    With too few samples for that, the median of the channels' variances.
    """
    channels = len(covariance)
    diagonal = np.maximum(np.diag(covariance), _LEAST_NOISE)
    live = diagonal > _LEAST_NOISE
    noise = np.full(channels, float(np.median(diagonal)))
    if samples > 2 * channels:
        ridge = 1e-9 * float(np.trace(covariance)) / channels + 1e-12
        precision = np.linalg.inv(covariance + ridge * np.eye(channels))
        noise[live] = 1.0 / np.diag(precision)[live] / (1.0 - channels / samples)
    return np.maximum(noise, _LEAST_NOISE)


def _noise_level(values: Floats, samples: float) -> float:
    """Mean of the eigenvalues of a covariance without the few that stand above the noise."""
    edge = _edge(len(values), samples)
    level = float(values.mean())
    for _ in range(8):
        above = values > edge * level
        level = float(values[~above].sum() / max(len(values) - np.count_nonzero(above), 1))
    return max(level, _LEAST_NOISE)


def _edge(channels: int, samples: float) -> float:
    """Largest eigenvalue that noise of unit variance may show in a sample covariance."""
    return float(_ABOVE_EDGE * (1 + np.sqrt(channels / samples)) ** 2)


def _factor_space(motion: MotionSignals, bands: Bands, settings: WienerSettings) -> Floats:
    """Find orthonormal filters (C, K) whose outputs hold every factor, and set the noise levels."""
    scale = 1 / np.sqrt(bands.noise)
    whitened = (bands.covariance * np.outer(scale, scale)).astype(np.float32)
    found = []
    for i, samples in enumerate(bands.samples):
        values, vectors = np.linalg.eigh(whitened[i])
        bands.level[i] = _noise_level(values, samples)
        above = values > bands.level[i] * _edge(len(values), samples)
        found.append(vectors[:, ::-1][:, : min(settings.factors, np.count_nonzero(above))])
    whitened /= bands.level[:, None, None].astype(np.float32)
    counts = np.array([len(one) for one in bands.bins], np.float64)
    smooth = np.linalg.qr(scale[:, None] * smooth_fields(motion))[0].astype(np.float32)
    inside = smooth.T @ whitened @ smooth
    weight = np.ones(len(counts))
    for _ in range(2):
        # Bands count by their signal-to-noise ratio, as a first beam hears it.
        share = weight * counts / (weight * counts).sum()
        beam = np.linalg.eigh(np.tensordot(share, inside, 1))[1][:, -1]
        snr = np.maximum(np.einsum("i,bij,j->b", beam, inside, beam) - 1, 0)
        weight = snr / (1 + snr) + 1e-3
    together = 1 / float((share**2 / bands.samples).sum())
    found.append(_factors(np.tensordot(share, whitened, 1), together, 6))
    found.append(smooth @ _factors(np.tensordot(share, inside, 1), together, 6))
    found += [
        smooth @ _factors(one, samples, settings.factors)
        for one, samples in zip(inside, bands.samples, strict=True)
    ]
    left, values, _ = np.linalg.svd(np.concatenate(found, axis=1), full_matrices=False)
    # Estimates of one factor in many bands differ by noise alone: only what is new counts.
    kept = min(_MAX_FACTORS, int(np.count_nonzero(values > 0.5)))
    space = left[:, :kept]
    if kept > 1:
        overall = np.tensordot(counts / counts.sum(), whitened, 1)
        rigid = rigid_space(motion, scale, overall, space)
        space = space if rigid is None else rigid
    return scale[:, None] * space


def _factors(covariance: Floats, samples: float, most: int) -> Floats:
    """Directions (C, k) of a whitened covariance that stand above the noise."""
    values, vectors = np.linalg.eigh(covariance)
    count = np.count_nonzero(values > _edge(len(values), samples))
    return vectors[:, ::-1][:, : min(most, count)]


def smooth_fields(motion: MotionSignals) -> Floats:
    """Channel patterns (C, k) of smooth displacement fields, those that show most first.

    Displacement is drawn from a Gaussian process whose correlation reaches over a quarter of the
    frame: objects bend smoothly. With fewer directions to choose from, weaker sounds stand out.
    """
    whitener = np.asarray(motion.arrays["whitener"], np.float64)
    y = np.asarray(motion.arrays["block_y"], np.float64)
    x = np.asarray(motion.arrays["block_x"], np.float64)
    reach = 0.25 * max(motion.arrays["reference"].shape)
    square = (y[:, None] - y) ** 2 + (x[:, None] - x) ** 2
    kernel = np.exp(-square / (2 * reach**2)) + 0.5
    blocks = len(y)
    prior = np.einsum("aik,ab,bjk->aibj", whitener, kernel, whitener, optimize=True)
    vectors = np.linalg.eigh(prior.reshape(2 * blocks, 2 * blocks).astype(np.float32))[1]
    return vectors[:, ::-1][:, : min(_SMOOTH_FIELDS, 2 * blocks)]


def wiener_gain(beam: Beam, settings: WienerSettings, frequency: Floats) -> tuple[Spectra, Floats]:
    """Apply the Wiener gain: spectra of the sound (windows, F), and its mean SNR (F,)."""
    snr = long_term_snr(beam)
    sound = suppress_noise(beam) if settings.suppress_noise else beam.spectra * (snr / (1 + snr))
    shape = beam.gain * np.sqrt(beam.level)
    shape[frequency < settings.highpass_hz / 2] = 0
    return (sound * shape).astype(np.complex64), snr


@dataclass(frozen=True)
class Learned:
    """What a trained network adds.

    Attributes
    ----------
    expect : callable or None
        Says what response of the object to expect.
    clear : callable
        Takes noise from the beam, in the place of :func:`wiener_gain`.
    """

    expect: Expect | None
    clear: Callable[[Beam, WienerSettings, Floats], tuple[Spectra, Floats]]

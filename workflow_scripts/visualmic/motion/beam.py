"""A beam that points the motion channels at the sound, frequency by frequency."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from visualmic.motion.long_windows import see_in_long_windows
from visualmic.motion.modal import identify_modes, refine_modes
from visualmic.motion.modal_model import Expected, ModalModel, Seen
from visualmic.motion.modal_posterior import Posterior, sample_modes
from visualmic.motion.reference import Floats
from visualmic.motion.spectra import (
    ShortTimeFourier,
    Spectra,
    blurred_over_frequency,
    covariances,
)

# Bins over which the direction of the sound is averaged in a film coded between frames.
CODED_BINS = 6.0
# Share of all frequencies in which a codec's errors are looked for, and the most of the motion's
# power in any direction that they are taken for.
_QUIET_SHARE = 0.04
_MOST_ERROR = 0.03

# How many times the power of noise modes may leave, to be taken.
_MOST_UNEXPLAINED = 1.45
# The SI-SDR, in dB, that what the motion gives by itself must be predicted to have, to be kept.
_CLEAR_DB = 20.0
# Share of the strongest motion from which on the picture moves as a whole: objects that bend in one
# mode without a node reach 0.96, rigid ones in much noise, or coded, fall to 0.98.
_RIGID = 0.965
# Modes below which the motion alone does not tell them: many sets of two turn it alike.
_FEWEST_MODES = 3


@dataclass
class Bands:
    """Covariances (bands, C, C) of the channels, their noise, and its level in each band.

    ``coded`` says whether frames were predicted from others, ``lossy`` whether that lost something,
    ``filled`` whether what frames lack was filled in, so that what is left of them is no noise.
    """

    bins: list[NDArray[np.intp]]
    covariance: Floats
    samples: Floats
    noise: Floats
    level: Floats
    coded: bool = False
    lossy: bool = False
    filled: bool = False

    def above(self, lowest_hz: float, frequency_hz: Floats) -> "Bands":
        """Give the bands above a frequency alone; all of them where none is."""
        first = sum(frequency_hz[one[0]] < lowest_hz for one in self.bins) % len(self.bins)
        return Bands(
            self.bins[first:],
            self.covariance[first:],
            self.samples[first:],
            self.noise,
            np.ones(len(self.bins) - first),
            self.coded,
            self.lossy,
        )


@dataclass
class Beam:
    """What points at the sound at each frequency.

    Attributes
    ----------
    spectra : ndarray, complex64, (windows, F)
        Of the beam, in unit noise.
    gain : ndarray, (F,)
        From the beam, times the root of `level`, to the sound.
    power, level : ndarray, float64, (F,)
        Mean power of the beam in its noise, and the power of that noise.
    pattern : ndarray, float64, (K,)
        The strongest motion, by factor.
    bias : float
        Power that noise alone adds by having been pointed at.
    modes : ModalModel or None
        Resonances that `gain` takes out.
    bends : bool
        Whether the motion is that of modes, be they told or not.
    whole : float
        Share of the strongest motion in which the picture moves as a whole.
    lossy : bool
        Whether a codec lost something, so that there is noise that the unit knows nothing of.
    """

    spectra: Spectra
    gain: Spectra
    power: Floats
    level: Floats
    pattern: Floats
    bias: float
    modes: ModalModel | None
    bends: bool = False
    whole: float = 0.0
    lossy: bool = False

    @property
    def rigid(self) -> bool:
        """Whether what moves does so as a whole."""
        return self.whole > _RIGID


# What is expected of the response of the object before its modes are looked for.
Expect = Callable[[Beam, Floats], Expected]


def beamform(
    signals: Floats,
    frequency: Floats,
    length: int,
    bands: Bands,
    modes_from_hz: float | None,
    expect: Expect | None = None,
    rigid: Floats | None = None,
) -> Beam:
    """Point at the sound at each frequency, by the object's modes if they show from some on.

    Parameters
    ----------
    signals : ndarray, (T, K)
        Factor signals.
    frequency : ndarray, float64, (F,)
    length : int
        Samples in a window.
    bands : Bands
    modes_from_hz : float or None
        Where the motion is that of modes; None looks for none.
    expect : callable, optional
        Says from the beam without modes what the object's response may be.
    rigid : ndarray, float64, (2, K), optional
        Motion of the picture as a whole in a pattern of the factors.
    """

    def whole(pattern: Floats) -> float:
        return 0.0 if rigid is None else float(((rigid @ pattern) ** 2).sum() / (pattern @ pattern))

    if bands.lossy:
        whitener = _codec_whitener(signals, length, bands)
        signals = (signals @ whitener).astype(np.float32)

        def before(pattern: Floats) -> Floats:
            return np.asarray(np.linalg.solve(whitener, pattern))

        beam = _point(
            signals, frequency, length, bands, modes_from_hz, expect, lambda one: whole(before(one))
        )
        # The sound is heard by a filter of unit norm of the signals as they came.
        heard = beam.gain / np.linalg.norm(whitener @ beam.pattern)
        shape = before(beam.pattern)
        return replace(beam, gain=heard, pattern=shape / np.linalg.norm(shape))
    return _point(signals, frequency, length, bands, modes_from_hz, expect, whole)


def _point(
    signals: Floats,
    frequency: Floats,
    length: int,
    bands: Bands,
    modes_from_hz: float | None,
    expect: Expect | None,
    whole: Callable[[Floats], float],
) -> Beam:
    """Point at the sound in signals whose noise is alike in all directions."""
    total, channels = signals.shape
    stft = ShortTimeFourier(length, 4, "hann")

    def rows(start: int, stop: int) -> Floats:
        return signals[start:stop]

    centre = np.array([frequency[one].mean() for one in bands.bins])
    level = np.interp(np.log(np.maximum(frequency, 1.0)), np.log(centre), bands.level)
    covariance = covariances(stft, signals) / level[:, None, None]
    # Independent looks at each frequency: with few, neighbours in the band steady the direction.
    looks = 1.8 * total / length
    if bands.coded:
        # A codec's errors may outshine the sound at one frequency, each in a direction of its own.
        steady = blurred_over_frequency(covariance, CODED_BINS, bands.bins[0][0])
    else:
        steady = covariance.copy()
        for one in bands.bins:
            steady[one] = (looks * covariance[one] + 4 * covariance[one].mean(axis=0)) / (looks + 4)
    strongest = np.linalg.eigh(steady)[1][:, :, -1]
    heard = covariance[bands.bins[0][0] :].real.sum(axis=0)
    pattern = np.linalg.eigh(heard)[1][:, -1]

    def along(direction: Spectra, gain: Spectra, bias: float) -> Beam:
        power = np.einsum("fi,fij,fj->f", direction.conj(), covariance, direction).real
        beams = [
            np.einsum("fk,wfk->wf", direction.conj(), spectra, optimize=True)
            for spectra in stft.pieces(rows, total)
        ]
        beam = np.concatenate(beams) / np.sqrt(level).astype(np.float32)
        return Beam(
            beam.astype(np.complex64),
            gain,
            power,
            level,
            pattern,
            bias,
            None,
            whole=whole(pattern),
            lossy=bands.lossy,
        )

    def plain() -> Beam:
        return along(strongest, strongest @ pattern, (channels - 1) / looks)

    if modes_from_hz is None:
        return plain()
    seen = Seen(frequency, covariance, np.full(len(frequency), looks))
    alone = identify_modes(seen, lowest_hz=modes_from_hz)
    modes = alone if alone is not None and len(alone.damping) >= _FEWEST_MODES else None
    if bands.filled:
        # What modes leave is no noise there, and long windows tell nothing.
        expect = None
    elif modes is not None or expect is not None:
        finer = see_in_long_windows(signals, 2 * frequency[-1], frequency, level)
        if modes is not None:
            modes = alone = refine_modes(modes, seen, finer, lowest_hz=modes_from_hz)
    unmixing = None if modes is None else _inverse(modes.response(frequency))
    if expect is not None:
        pointed = plain()
        posterior = None
        if not pointed.rigid:
            posterior = sample_modes(
                seen,
                finer,
                expect(pointed, frequency),
                lowest_hz=modes_from_hz,
                alone=alone,
                most_unexplained=_MOST_UNEXPLAINED,
            )
        if posterior is not None:
            loud = np.maximum(pointed.power - 1, 0) * (frequency >= modes_from_hz)
            usual = strongest.conj() * pointed.gain[:, None] if unmixing is None else unmixing
            better = _better(posterior, usual, modes is not None, frequency, loud, level)
            if better is not None:
                modes, unmixing = posterior.likeliest, better
        if unmixing is None:
            return replace(pointed, bends=alone is not None)
    if unmixing is None:
        return replace(plain(), bends=alone is not None)
    gain = np.linalg.norm(unmixing, axis=1)
    direction = unmixing.conj() / gain[:, None]
    beam = along(direction, strongest @ pattern, 0.0)
    # As loud as the motion, so that the sound stays in pixels.
    loud = np.maximum(beam.power - 1, 0) * level
    before, after = ((loud * np.abs(one) ** 2).sum() for one in (beam.gain, gain))
    gain *= np.sqrt(before / max(after, 1e-30))
    return replace(beam, gain=gain, modes=modes, bends=True)


def _better(
    posterior: Posterior,
    usual: Spectra,
    told: bool,
    frequency: Floats,
    loud: Floats,
    level: Floats,
) -> Spectra | None:
    """Give the filter (F, K) that all likely modes make, if it promises a better sound.

    Parameters
    ----------
    posterior : Posterior
    usual : ndarray, complex, (F, K)
        Filter that the motion gives by itself.
    told : bool
        Whether that undoes modes, as far as the motion tells them.
    frequency : ndarray, float64, (F,)
    loud, level : ndarray, float64, (F,)
        Power of the motion over the noise, and of the noise.
    """
    heard = loud / (1 + loud)
    power = heard * loud * level
    if posterior.clearness_db(usual, frequency, power) >= _CLEAR_DB:
        return None
    mean = posterior.unmixing(frequency, heard)
    if told:
        mean = posterior.joined(mean, usual, frequency, power)
    before, after = (posterior.clearness_db(one, frequency, power, level) for one in (usual, mean))
    return mean if after > before else None


def _inverse(response: Spectra) -> Spectra:
    """Filter (F, K) that gives the sound behind a response (F, K)."""
    return np.asarray(response.conj() / (np.abs(response) ** 2).sum(axis=1, keepdims=True))


def _codec_whitener(signals: Floats, length: int, bands: Bands) -> Floats:
    """Find the filters (K, K) that make the errors of a codec alike in all directions.

    What a codec leaves out or adds is in proportion to what moves, and so lies in the directions of
    the sound itself, where the noise of the other channels says nothing of it. But it comes and
    goes from frame to frame, as strong at one frequency as at another. Where there is least of the
    sound, in the band with the smallest determinant of the covariance, it is laid bare.
    """
    covariance = covariances(ShortTimeFourier(length, 2, "blackman-harris"), signals).real
    covariance = covariance[bands.bins[0][0] :]
    wide = min(max(round(_QUIET_SHARE * len(covariance)), 4), len(covariance))
    sums = np.cumsum(np.pad(covariance, [(1, 0), (0, 0), (0, 0)]), axis=0)
    local = (sums[wide:] - sums[:-wide]) / wide
    quietest = local[int(np.argmin(np.linalg.slogdet(local)[1]))]
    errors, directions = np.linalg.eigh(quietest)
    moved = np.einsum("ki,kl,li->i", directions, covariance.mean(axis=0), directions)
    level = float(np.exp(np.log(bands.level).mean()))
    noise = np.maximum(np.minimum(errors, _MOST_ERROR * moved) / level, 1)
    return np.asarray((directions / np.sqrt(noise)) @ directions.T)


def long_term_snr(beam: Beam) -> Floats:
    """Power of the sound over the noise at each frequency, (F,), averaged over the recording."""
    return smooth_snr(beam.power, beam.bias)


def smooth_snr(power: Floats, bias: float) -> Floats:
    """Power of the sound (F,) in that of a beam with unit noise, and `bias` for the pointing."""
    taper = np.array([1.0, 2.0, 3.0, 2.0, 1.0]) / 9
    power = np.convolve(np.pad(power, 2, mode="edge"), taper, "valid")
    return np.asarray(np.maximum(power - 1 - bias, 0))

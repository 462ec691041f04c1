"""Simulated beams of random objects, and the sounds that shook them: what the networks learn from.

No film is rendered: the spectra of a sound pass the resonators of random modes, whose shapes are
mixed at random, and noise of unit power comes to them. The range reaches from flat objects to
resonant ones, from clear to drowned, and over capture rates, so that leaving a good sound alone is
part of what is learned. Sounds are stored; objects and noise are drawn anew each time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from visualmic.audio.wav import read_audio
from visualmic.errors import VisualMicError
from visualmic.motion.reference import Floats
from visualmic.motion.spectra import ShortTimeFourier, Spectra
from visualmic.motion.wiener import WienerSettings
from visualmic.simulate.objects import Modes
from visualmic.simulate.settings import SimulationSettings
from visualmic.simulate.sounds import Sound, make_sound
from visualmic.simulate.vibration import band_window

RATES_HZ = (240, 400, 480, 600, 960, 1000, 1500, 2200, 2200, 2200, 2200, 3000, 4000)
# Kinds of objects, and how often: their numbers of modes; none is a rigid object.
OBJECTS = {"rigid": 0.25, "one": 0.25, "two": 0.2, "many": 0.3}
_SPEECH_SHARE, _MUSIC_SHARE = 0.6, 0.2
# Of one voice many are made, by playing it slower and faster.
_SPEED = (0.85, 1.2)
# Power of the sound over that of the noise, in decibels.
_CLEARNESS_DB = (-12.0, 34.0)
_FEWEST_WINDOWS = 20
# How long an object rings, in seconds; and where a colour of the sound changes nothing, in hertz.
_RINGS_S, _USUAL_HZ = 0.3, 300.0
# How many beams are of rendered films, where there are any.
_FILM_SHARE = 0.35
# Beams with errors like a codec's: how many, and how many of the others beside films; how much they
# fall towards the highest frequency, in decibels, and their power over that of the sound; how
# closely they keep to what moves.
_CODED_SHARE, _CODED_BESIDE_FILMS = 0.35, 0.15
_CODED_FALL_DB, _CODED_ERRORS_DB = (-2.0, 22.0), (-25.0, 8.0)
_CODED_FOLLOWS = (0.0, 1.0)


class Sounds:
    """Recorded words and music, and synthetic ones, to shake objects with.

    Parameters
    ----------
    words, music : sequence of path
        Sound files; where there are none, synthetic sounds take their share.
    """

    def __init__(self, words: Sequence[Path], music: Sequence[Path]) -> None:
        self._speakers: dict[str, list[Path]] = {}
        for file in sorted(words):
            self._speakers.setdefault(file.stem.split("_")[1], []).append(file)
        self._music = sorted(music)

    def draw(self, rng: np.random.Generator, seconds: float) -> Sound:
        """Draw a sound of `seconds`."""
        choice = rng.uniform()
        if choice < _SPEECH_SHARE and self._speakers:
            speaker = list(self._speakers)[rng.integers(len(self._speakers))]
            return _joined(self._speakers[speaker], rng, seconds, (0.02, 0.3))
        if choice < _SPEECH_SHARE + _MUSIC_SHARE and self._music:
            return _joined(self._music, rng, seconds, (0.0, 0.1))
        sound = "speech" if rng.uniform() < 0.6 else "tune"
        seed = int(rng.integers(2**31))
        return make_sound(SimulationSettings(sound=sound, seconds=seconds, seed=seed))


def find_sounds(words: Path | None, music: Path | None, without: Sequence[str] = ()) -> Sounds:
    """Find spoken words by speaker, and music, to train with; the rest is left for tests.

    Parameters
    ----------
    words : path, optional
        Folder of files ``{word}_{speaker}_{take}.wav``.
    music : path, optional
        Folder of sound files, of which every second one is used.
    without : sequence of str
        Speakers to leave out.

    Raises
    ------
    VisualMicError
        If a folder holds no such files.
    """
    said = sorted(words.glob("*_*_*.wav")) if words else []
    played = sorted(music.glob("*.flac")) + sorted(music.glob("*.wav")) if music else []
    for folder, found in ((words, said), (music, played)):
        if folder and not found:
            raise VisualMicError(
                f"{folder} holds no sound files: give a folder of words named"
                " WORD_SPEAKER_TAKE.wav, or of music in .flac or .wav"
            )
    return Sounds([file for file in said if file.stem.split("_")[1] not in without], played[::2])


def _joined(
    files: list[Path], rng: np.random.Generator, seconds: float, pause_s: tuple[float, float]
) -> Sound:
    pieces: list[NDArray[np.float64]] = []
    have, rate = 0.0, 0
    while have < seconds:
        samples, own = read_audio(files[rng.integers(len(files))])
        if rate and own != rate:
            continue
        rate = int(own)
        samples = samples[: int(seconds * rate)] / max(float(np.abs(samples).max()), 1e-9)
        pause = np.zeros(int(rng.uniform(*pause_s) * rate))
        pieces += [samples * rng.uniform(0.5, 1.0), pause]
        have += (len(samples) + len(pause)) / rate
    return Sound(np.concatenate(pieces)[: int(seconds * rate)], rate)


def draw_spectra(sounds: Sounds, seed: int) -> tuple[Spectra, Floats] | None:
    """Draw a sound at some capture rate: its spectra (windows, F) and frequencies (F,) in hertz.

    None where it is silent, or too short.
    """
    rng = np.random.default_rng([seed, 77])
    fps = float(rng.choice(RATES_HZ))
    sound = sounds.draw(rng, float(rng.uniform(2.0, 4.5)))
    rate = sound.rate * rng.uniform(*_SPEED)
    band = (float(rng.uniform(40, 80)), min(rng.uniform(0.42, 0.49) * fps, 0.49 * rate))
    length = next_fast_len(len(sound.samples), real=True)
    spectrum = rfft(np.asarray(sound.samples, np.float64), length)
    spectrum *= band_window(np.arange(len(spectrum)) * rate / length, *band)
    total = round(length * fps / rate)
    slower = np.zeros(total // 2 + 1, np.complex128)
    kept = min(len(slower), len(spectrum))
    slower[:kept] = spectrum[:kept]
    samples = irfft(slower, total)[: int(len(sound.samples) * fps / rate)]
    window = WienerSettings().window(fps, len(samples))
    if not samples.any() or len(samples) < 4 * window:
        return None
    samples = (samples / samples.std()).astype(np.float32)[:, None]
    stft = ShortTimeFourier(window, 4, "hann")
    pieces = stft.pieces(lambda start, stop: samples[start:stop], len(samples))
    spectra = np.concatenate([piece[:, :, 0] for piece in pieces]).astype(np.complex64)
    return spectra, np.fft.rfftfreq(window, 1 / fps)


@dataclass
class Example:
    """A beam, and what was in it.

    Attributes
    ----------
    frequency_hz : ndarray, float64, (F,)
    beam : ndarray, complex64, (windows, F)
        Spectra of sound and noise, in unit noise; their phases are those of the strongest motion.
    level : ndarray, float64, (F,)
        Power of the noise that the unit stands for.
    heard : ndarray, complex64, (windows, F)
        The sound's part of the beam.
    power : ndarray, float64, (F,)
        Of the object's response, before it is divided by `level`.
    kind : str
        Which of :data:`OBJECTS`.
    """

    frequency_hz: Floats
    beam: Spectra
    level: Floats
    heard: Spectra
    power: Floats
    kind: str

    def part(self, first: int, windows: int) -> "Example":
        """Give some of its windows."""
        chosen = slice(first, first + windows)
        return replace(self, beam=self.beam[chosen], heard=self.heard[chosen])


class BeamMaker:
    """Makes beams of stored sounds.

    Parameters
    ----------
    stored : sequence of tuple
        What :func:`draw_spectra` gives.
    films : sequence of Example
        Beams of rendered films, which are shown between the others.
    """

    def __init__(
        self, stored: Sequence[tuple[Spectra, Floats]], films: Sequence[Example] = ()
    ) -> None:
        self._by_size: dict[int, list[tuple[Spectra, Floats]]] = {}
        for spectra, frequency in stored:
            if len(spectra) >= _FEWEST_WINDOWS:
                self._by_size.setdefault(len(frequency), []).append((spectra, frequency))
        if not self._by_size:
            raise VisualMicError(
                "there is no sound of two seconds to train with: give more with --examples"
            )
        self._films: dict[int, list[Example]] = {}
        for film in films:
            if len(film.beam) >= _FEWEST_WINDOWS:
                self._films.setdefault(len(film.frequency_hz), []).append(film)
        self.sizes = sorted(self._by_size)
        counts = np.sqrt([len(self._by_size[size]) for size in self.sizes])
        self._share = counts / counts.sum()

    def draw_size(self, rng: np.random.Generator) -> int:
        """Draw a number of frequencies, by how many sounds have it."""
        return int(rng.choice(self.sizes, p=self._share))

    def draw(self, size: int, rng: np.random.Generator) -> Example:
        """Draw a sound with `size` frequencies, an object and noise; or a part of a film."""
        films = self._films.get(size)
        if films and rng.uniform() < _FILM_SHARE:
            film = films[rng.integers(len(films))]
            windows = int(rng.integers(_FEWEST_WINDOWS, len(film.beam) + 1))
            first = int(rng.integers(0, len(film.beam) - windows + 1))
            return film.part(first, windows)
        stored = self._by_size[size]
        spectra, frequency = stored[rng.integers(len(stored))]
        windows = int(rng.integers(_FEWEST_WINDOWS, len(spectra) + 1))
        first = int(rng.integers(0, len(spectra) - windows + 1))
        kind = str(rng.choice(list(OBJECTS), p=list(OBJECTS.values())))
        modes = _draw_modes(kind, rng)
        channels = 1 if rng.uniform() < 0.2 else int(rng.integers(1, 7))
        mixing = rng.standard_normal((len(modes.gain), channels))
        mixing *= np.sqrt(rng.uniform(0.05, 1, len(modes.gain)))[:, None]
        # Microphones and rooms have colours of their own.
        tilt = float(np.clip(rng.normal(0, 0.25), -0.5, 0.5))
        heard, response = _shaken(spectra[first : first + windows], frequency, modes, mixing, tilt)
        power = (np.abs(response) ** 2).sum(axis=1)
        clear = 10 ** (rng.uniform(*_CLEARNESS_DB) / 10)
        louder = clear / max(float((np.abs(heard) ** 2).mean()), 1e-30)
        coded = rng.uniform() < (_CODED_BESIDE_FILMS if self._films else _CODED_SHARE)
        level = _falling(frequency, rng.uniform(*_CODED_FALL_DB) if coded else 0.0)
        heard = (heard * np.sqrt(louder / level)).astype(np.complex64)
        beam = heard + _noise_spectra(size, windows, rng)
        if coded:
            beam += _coded_errors(heard, frequency, rng) * _noise_spectra(size, windows, rng)
        return Example(frequency, beam.astype(np.complex64), level, heard, power * louder, kind)


def _shaken(
    spectra: Spectra, frequency: Floats, modes: Modes, mixing: Floats, tilt: float
) -> tuple[Spectra, Spectra]:
    """Let a sound shake an object: what a beam hears of it, and the response of the channels.

    Every mode rings in time, over windows and their ends; what the beam makes of them it makes
    window by window.

    Parameters
    ----------
    spectra : ndarray, complex, (windows, F)
        Of the sound.
    frequency : ndarray, float64, (F,)
    modes : Modes
    mixing : ndarray, float64, (M, K)
        What each channel sees of each mode.
    tilt : float
        Power of the frequency by which the sound is coloured.

    Returns
    -------
    ndarray, complex, (windows, F)
    ndarray, complex, (F, K)
    """
    stft = ShortTimeFourier(2 * (len(frequency) - 1), 4, "hann")
    total = stft.hop * (len(spectra) + 1) - stft.length
    fps = 2 * float(frequency[-1])
    length = next_fast_len(total + int(_RINGS_S * fps), real=True)
    fine = np.fft.rfftfreq(length, 1 / fps).astype(np.float64)
    colour = np.maximum(fine / _USUAL_HZ, 0.05) ** tilt
    sound = rfft(stft.inverse(spectra, total), length) * colour
    moved = irfft(sound * modes.response(fine), length)[:, :total].T.astype(np.float32)
    pieces = list(stft.pieces(lambda start, stop: moved[start:stop], total))
    rings = np.concatenate(pieces)
    response = modes.response(frequency.astype(np.float64)).T @ mixing
    direction = response / np.maximum(np.linalg.norm(response, axis=1, keepdims=True), 1e-30)
    loud = np.sqrt((np.abs(rings) ** 2).mean(axis=(0, 2)) / (np.abs(response) ** 2).sum(axis=1))
    weighed = response * loud[:, None]
    pattern = np.linalg.eigh((weighed.T @ weighed.conj()).real)[1][:, -1]
    strongest = direction @ pattern
    direction = direction * (strongest / np.maximum(np.abs(strongest), 1e-30)).conj()[:, None]
    return np.einsum("fk,mk,wfm->wf", direction.conj(), mixing, rings, optimize=True), response


def _falling(frequency: Floats, fall_db: float) -> Floats:
    """Power (F,) that falls by so many decibels from the lowest frequencies to the highest."""
    place = np.log(np.maximum(frequency, 40.0) / 40.0) / np.log(frequency[-1] / 40.0)
    return np.asarray(10 ** (-fall_db * place / 10))


def _coded_errors(heard: Spectra, frequency: Floats, rng: np.random.Generator) -> Floats:
    """Draw the size (windows, F) of a codec's errors: where something moves it errs more.

    Parameters
    ----------
    heard : ndarray, complex, (windows, F)
        Spectra of the sound in the beam.
    frequency : ndarray, (F,)
    rng : Generator
    """
    moves = (np.abs(heard) ** 2).mean(axis=1)
    moves = np.convolve(moves, np.ones(3) / 3, "same")
    moves = (moves / max(float(moves.mean()), 1e-30)) ** rng.uniform(*_CODED_FOLLOWS)
    power = np.outer(moves, _falling(frequency, rng.uniform(*_CODED_FALL_DB) / 2))
    errors = 10 ** (rng.uniform(*_CODED_ERRORS_DB) / 10) * float((np.abs(heard) ** 2).mean())
    return np.asarray(np.sqrt(power * errors / power.mean()))


def _noise_spectra(size: int, windows: int, rng: np.random.Generator) -> Spectra:
    """Draw spectra of white noise: new ones each time, or a network learns them by heart."""
    length = 2 * (size - 1)
    stft = ShortTimeFourier(length, 4, "hann")
    noise = rng.standard_normal((stft.hop * (windows - 1) + length, 1))
    pieces = stft.pieces(lambda start, stop: noise[start:stop], len(noise), whole=True)
    return np.concatenate([piece[:, :, 0] for piece in pieces]).astype(np.complex64)


def _draw_modes(kind: str, rng: np.random.Generator) -> Modes:
    count = {"rigid": 1, "one": 1, "two": 2}.get(kind) or int(rng.integers(3, 6))
    low, high = np.log(rng.uniform(60, 230)), np.log(rng.uniform(450, 1500))
    place = (np.arange(count) + rng.uniform(0.1, 0.9, count)) / count
    frequency: NDArray[np.float64] = np.exp(low + (high - low) * place)
    if kind == "rigid" or rng.uniform() < 0.08:
        # Beside its resonances an object may follow the sound as a whole.
        frequency[-1] = 1e6
    damping = rng.uniform(0.03, 0.25, count)
    gain = np.minimum(frequency / frequency[0], 20.0) ** rng.uniform(-0.6, 0.0)
    gain *= rng.uniform(0.6, 1.4, count) * rng.choice([-1.0, 1.0], count)
    return Modes(frequency, damping, gain, np.zeros((count, 2, 1, 1), np.float32))

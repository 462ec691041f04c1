"""Simulated beams of random objects, and the sounds that shook them: what the network learns from.

No film is rendered: a sound passes the resonators of random modes, a random mixture of them makes
the factor signals that measured channels would be projected on, and noise of unit variance comes to
them. From there on everything is as in hearing: high-pass, short-time spectra, the modes where they
show, the beam. The range reaches from flat objects to resonant ones, from clear to drowned,
and over capture rates, so that leaving a good sound alone is part of what is learned.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visualmic.audio.wav import read_audio
from visualmic.errors import VisualMicError
from visualmic.motion.reference import Floats
from visualmic.motion.spectra import ShortTimeFourier, Spectra, highpass
from visualmic.motion.wiener import Bands, Beam, WienerSettings, beamform
from visualmic.simulate.objects import Modes
from visualmic.simulate.settings import SimulationSettings
from visualmic.simulate.sounds import Sound, make_sound
from visualmic.simulate.vibration import Vibration

RATES_HZ = (240, 400, 480, 600, 960, 1000, 1500, 2200, 2200, 2200, 2200, 3000, 4000)
# Kinds of objects, and how often: their numbers of modes; none is a rigid object.
OBJECTS = {"rigid": 0.27, "one": 0.13, "two": 0.15, "many": 0.45}
_SPEECH_SHARE, _MUSIC_SHARE = 0.6, 0.2
_LEAST_SNR = 0.3


@dataclass
class Example:
    """A beam and the sound in it.

    Attributes
    ----------
    beam : Beam
    frequency_hz : ndarray, float64, (F,)
    target : ndarray, complex64, (windows, F)
        Spectra of the sound that shook the object, of unit power.
    kind : str
        Which of :data:`OBJECTS`.
    """

    beam: Beam
    frequency_hz: Floats
    target: Spectra
    kind: str


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


def draw_example(sounds: Sounds, seed: int) -> Example | None:
    """Draw one example; None where nothing would be heard."""
    rng = np.random.default_rng([seed, 11])
    fps = float(rng.choice(RATES_HZ))
    seconds = float(rng.uniform(2.0, 4.5))
    kind = str(rng.choice(list(OBJECTS), p=list(OBJECTS.values())))
    modes = _draw_modes(kind, rng, fps)
    count = len(modes.gain)
    sound = sounds.draw(rng, seconds)
    top = min(rng.uniform(0.42, 0.49) * fps, 0.49 * sound.rate)
    vibration = Vibration(sound, modes, (float(rng.uniform(40, 80)), top))
    time = np.arange(round(seconds * fps)) / fps
    truth, motion = vibration.sound_at(time), vibration.modes_at(time)
    channels = _channels(motion, rng, fps)
    settings = WienerSettings()
    length = settings.window(fps, len(time))
    frequency = np.fft.rfftfreq(length, 1 / fps)
    edges = np.geomspace(50.0, fps / 2, 9)
    bins = [
        np.flatnonzero((frequency >= a) & (frequency < b)) for a, b in itertools.pairwise(edges)
    ]
    bins = [one for one in bins if len(one) >= 2]
    size = channels.shape[1]
    bands = Bands(
        bins,
        np.zeros((len(bins), size, size)),
        np.ones(len(bins)),
        np.ones(size),
        np.ones(len(bins)),
    )
    signals = highpass(channels, fps, settings.highpass_hz)
    beam = beamform(signals, frequency, length, bands, 40.0 if count > 1 else None)
    if beam.power.max() < 1 + _LEAST_SNR + beam.bias or not truth.any():
        return None
    stft = ShortTimeFourier(length, 4, "hann")
    clean = truth[:, None] / truth.std()
    pieces = stft.pieces(lambda start, stop: clean[start:stop], len(clean))
    target = np.concatenate([piece[:, :, 0] for piece in pieces]).astype(np.complex64)
    return Example(beam, frequency, target, kind)


def _draw_modes(kind: str, rng: np.random.Generator, fps: float) -> Modes:
    count = {"rigid": 1, "one": 1, "two": 2}.get(kind) or int(rng.integers(3, 6))
    low, high = np.log(rng.uniform(60, 200)), np.log(min(1400.0, 0.6 * fps))
    place = (np.arange(count) + rng.uniform(0.1, 0.9, count)) / count
    frequency = np.exp(low + max(high - low, 0.3) * place)
    if kind == "rigid" or rng.uniform() < 0.15:
        # Beside its resonances an object may follow the sound as a whole.
        frequency[-1] = 1e6
    damping = rng.uniform(0.03, 0.25, count)
    gain = np.minimum(frequency / frequency[0], 20.0) ** rng.uniform(-0.6, 0.0)
    gain *= rng.uniform(0.6, 1.4, count) * rng.choice([-1.0, 1.0], count)
    return Modes(frequency, damping, gain, np.zeros((count, 2, 1, 1), np.float32))


def _channels(motion: Floats, rng: np.random.Generator, fps: float) -> Floats:
    """Mix modes (T, M) to factor signals (T, K) in noise."""
    total, modes = motion.shape
    spare = int(rng.integers(0, 3))
    mixing = rng.standard_normal((modes + spare, modes)) * np.sqrt(rng.uniform(0.05, 1, modes))
    signals = motion @ mixing.T
    loud = 10 ** (rng.uniform(-12, 32) / 20)
    signals *= loud / max(float(np.sqrt((signals**2).sum(axis=1).mean())), 1e-30)
    noise = rng.standard_normal(signals.shape)
    disturbed = rng.uniform()
    if disturbed < 0.15:
        # Frames that a codec copied from their neighbours move less, and are noisier.
        copied = np.arange(total) % int(rng.integers(2, 5)) != 0
        signals[copied] *= rng.uniform(0.3, 0.9)
        noise[copied] *= rng.uniform(1.0, 2.0)
    elif disturbed < 0.3:
        # What following a swaying camera leaves behind.
        slow = np.cumsum(rng.standard_normal((total, 1)), axis=0) * rng.uniform(5, 60) / fps
        noise += slow * rng.standard_normal(signals.shape[1])
    elif disturbed < 0.4:
        # A hum in the light.
        hum = np.sin(2 * np.pi * 100.0 * np.arange(total) / fps + rng.uniform(0, 6))
        noise += rng.uniform(0.1, 1.0) * hum[:, None] * rng.standard_normal(signals.shape[1])
    return np.asarray(signals + noise)

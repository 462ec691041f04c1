"""Sounds that shake an object: seeded synthetic ones, or the user's own.

Every sound is a :class:`Sound`: mono ``float64`` samples, peak at most 1, and their rate in hertz.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import chirp, lfilter, resample_poly

from visualmic.errors import VisualMicError
from visualmic.simulate.settings import DEFAULT_SECONDS, SOUNDS, SimulationSettings

SOUND_RATE = 48_000
SPEECH_RATE = 16_000
PEAK = 0.9

# Formant frequencies in hertz (F1 to F4) of the vowels and voiced consonants that speech is
# made of, after the averages over speakers in Peterson and Barney (1952).
VOICED = {
    "ah": (730, 1090, 2440, 3400),
    "ee": (270, 2290, 3010, 3600),
    "oo": (300, 870, 2240, 3300),
    "eh": (530, 1840, 2480, 3500),
    "aw": (570, 840, 2410, 3300),
    "ih": (390, 1990, 2550, 3500),
    "er": (490, 1350, 1690, 3300),
    "uh": (520, 1190, 2390, 3400),
    "m": (250, 1100, 2200, 3200),
    "l": (360, 1300, 2600, 3300),
}
VOWELS = ("ah", "ee", "oo", "eh", "aw", "ih", "er", "uh")
FORMANT_BANDWIDTH_HZ = (70.0, 100.0, 140.0, 220.0)


@dataclass(frozen=True)
class Sound:
    """A mono sound.

    Attributes
    ----------
    samples : ndarray, float64, (N,)
        The waveform, in [-1, 1].
    rate : int
        Samples per second.
    """

    samples: NDArray[np.float64]
    rate: int


def make_sound(settings: SimulationSettings) -> Sound:
    """Give the sound that `settings` ask for, as long as the film.

    Raises
    ------
    VisualMicError
        If the sound is neither a known name nor a sound file that can be read.
    """
    rng = np.random.default_rng([settings.seed, 1])
    if settings.sound not in SOUNDS:
        return _sound_from_file(settings)
    seconds = DEFAULT_SECONDS if settings.seconds is None else settings.seconds
    count = max(round(seconds * SOUND_RATE), 1)
    if settings.sound == "tune":
        samples = tune(count, SOUND_RATE, settings.sound_top_hz, rng)
    elif settings.sound == "speech":
        samples = speech(count, SOUND_RATE, rng)
    elif settings.sound == "tone":
        time = np.arange(count) / SOUND_RATE
        samples = np.sin(2 * np.pi * settings.tone_hz * time)
    elif settings.sound == "chirp":
        time = np.arange(count) / SOUND_RATE
        low = max(settings.sound_low_hz, 1.0)
        samples = chirp(time, low, seconds, settings.sound_top_hz, "logarithmic", phi=-90)
    else:
        samples = np.zeros(count)
    return Sound(_to_peak(samples), SOUND_RATE)


def tune(count: int, rate: int, top_hz: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Play a melody on a pentatonic scale, each note a plucked sum of harmonics.

    Parameters
    ----------
    count : int
        Number of samples.
    rate : int
        Samples per second.
    top_hz : float
        Fundamentals stay below a third of this, so that harmonics are heard too.
    rng : numpy.random.Generator
        Where notes, lengths and rests come from.

    Returns
    -------
    ndarray, float64, (count,)
        The waveform, not yet scaled.
    """
    samples = np.zeros(count)
    tonic = min(130.8, top_hz / 6)
    steps = np.concatenate([np.array([0, 2, 4, 7, 9]) + octave for octave in (0, 12, 24)])
    scale = tonic * 2 ** (steps / 12)
    scale = scale[scale <= top_hz / 3]
    degree = len(scale) // 2
    beat_s = rng.uniform(0.11, 0.17)
    start = 0
    while start < count:
        length = int(rate * beat_s * rng.choice([1, 1, 2, 3]))
        degree = int(np.clip(degree + rng.integers(-2, 3), 0, len(scale) - 1))
        if rng.random() > 0.12:
            stop = min(start + int(1.6 * length), count)
            time = np.arange(stop - start) / rate
            note = _note(time, scale[degree], length / rate, rate, rng)
            samples[start:stop] += note
        start += length
    return samples


def _note(
    time: NDArray[np.float64],
    fundamental_hz: float,
    length_s: float,
    rate: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    vibrato = 0.003 * np.sin(2 * np.pi * 5.5 * time + rng.uniform(0, 2 * np.pi))
    phase = 2 * np.pi * fundamental_hz * np.cumsum(1 + vibrato) / rate
    note = np.zeros_like(time)
    for harmonic in range(1, 9):
        strength = rng.uniform(0.5, 1.0) / harmonic
        decay = np.exp(-time * (1.5 + 0.9 * harmonic))
        note += strength * decay * np.sin(harmonic * phase + rng.uniform(0, 2 * np.pi))
    attack = 1 - np.exp(-time / 0.008)
    release = 1 / (1 + np.exp((time - 1.3 * length_s) / 0.02))
    return note * attack * release * rng.uniform(0.6, 1.0)


def speech(count: int, rate: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Speak syllables that mean nothing: a glottal pulse train through moving formants.

    Consonants are fricative noise, bursts after a silent closure, or nasals; words are parted by
    pauses and the pitch falls along each phrase, so that the spectrum and envelope are speech-like.

    Parameters
    ----------
    count : int
        Number of samples.
    rate : int
        Samples per second, a multiple of 16000 (the rate the voice is made at).
    rng : numpy.random.Generator
        Speaker, syllables, pitch and pauses.

    Returns
    -------
    ndarray, float64, (count,)
        The waveform, not yet scaled.

    References
    ----------
    D. H. Klatt, "Software for a cascade/parallel formant synthesizer", J. Acoust. Soc. Am. 67
    (1980).
    """
    step = SPEECH_RATE // 200
    tracks = _articulation(-(-count * SPEECH_RATE // rate // step) + 2, rng)
    voice_hz, voicing, hiss, hiss_hz, formants = tracks
    length = len(voice_hz) * step
    grid = np.arange(length) / step
    index = np.arange(len(voice_hz))

    def smooth(track: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.interp(grid, index, track)

    jitter = 1 + 0.01 * rng.standard_normal(len(voice_hz))
    phase = np.cumsum(smooth(voice_hz * jitter)) / SPEECH_RATE
    cycle = phase % 1.0
    # Rosenberg's pulse: the glottis opens over 40 % of the cycle and closes over the next 16 %.
    opening = np.where(cycle < 0.4, 0.5 * (1 - np.cos(np.pi * cycle / 0.4)), 0.0)
    closing = (cycle >= 0.4) & (cycle < 0.56)
    flow = np.where(closing, np.cos(np.pi / 2 * (cycle - 0.4) / 0.16), opening)
    breath = 0.02 * rng.standard_normal(length)
    source = (np.diff(flow, prepend=0.0) * 6 + breath) * smooth(voicing)
    voiced = source
    for number in range(formants.shape[1]):
        voiced = _resonate(voiced, formants[:, number], FORMANT_BANDWIDTH_HZ[number], step)
    noise = _resonate(rng.standard_normal(length), hiss_hz, 900.0, step) * smooth(hiss)
    both = voiced / max(float(np.std(voiced)), 1e-9)
    both += 0.25 * noise / max(float(np.std(noise)), 1e-9)
    return resample_poly(both, rate // SPEECH_RATE, 1)[:count]


def _articulation(steps: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], ...]:
    """Plan pitch, voicing, hiss and formants, one value every 5 ms."""
    pitch_hz = rng.uniform(95, 215)
    tract = rng.uniform(0.92, 1.15)
    voice_hz = np.full(steps, pitch_hz)
    voicing, hiss = np.zeros(steps), np.zeros(steps)
    hiss_hz = np.full(steps, 4000.0)
    formants = np.tile(np.array(VOICED["uh"], dtype=np.float64) * tract, (steps, 1))
    at, phrase_start = int(rng.integers(2, 12)), 0
    while at < steps:
        consonant = rng.choice(["none", "fricative", "stop", "nasal"], p=[0.15, 0.3, 0.3, 0.25])
        if consonant == "fricative":
            length = int(rng.integers(10, 22))
            hiss[at : at + length] = rng.uniform(0.4, 1.0)
            hiss_hz[at : at + length] = rng.uniform(2200, 6500)
            at += length
        elif consonant == "stop":
            at += int(rng.integers(6, 14))
            hiss[at : at + 3] = 1.0
            hiss_hz[at : at + 3] = rng.uniform(1000, 4500)
            at += 3
        elif consonant == "nasal":
            length = int(rng.integers(8, 16))
            voicing[at : at + length] = 0.45
            formants[at : at + length] = np.array(VOICED[str(rng.choice(["m", "l"]))]) * tract
            at += length
        length = int(rng.integers(16, 44))
        vowel = slice(at, at + length)
        voicing[vowel] = rng.uniform(0.7, 1.0)
        formants[vowel] = np.array(VOICED[str(rng.choice(VOWELS))]) * tract
        elapsed = np.arange(steps)[vowel] - phrase_start
        accent = rng.uniform(0.9, 1.25)
        voice_hz[vowel] = pitch_hz * accent * (0.8 + 0.35 * np.exp(-elapsed / 160))
        at += length
        if rng.random() < 0.22:
            at += int(rng.integers(14, 60))
            phrase_start = at
    glide = np.hanning(11) / np.hanning(11).sum()
    padded = [np.pad(track, 5, mode="edge") for track in (voice_hz, voicing, hiss)]
    voice_hz, voicing, hiss = (np.convolve(track, glide, "valid") for track in padded)
    for number in range(formants.shape[1]):
        track = np.pad(formants[:, number], 5, mode="edge")
        formants[:, number] = np.convolve(track, glide, "valid")
    return voice_hz, voicing, hiss, hiss_hz, formants


def _resonate(
    signal: NDArray[np.float64],
    centre_hz: NDArray[np.float64],
    bandwidth_hz: float,
    step: int,
) -> NDArray[np.float64]:
    """Pass `signal` through a resonator whose centre moves every `step` samples."""
    radius = np.exp(-np.pi * bandwidth_hz / SPEECH_RATE)
    out = np.empty_like(signal)
    memory = np.zeros(2)
    for number, centre in enumerate(centre_hz):
        part = slice(number * step, (number + 1) * step)
        turn = 2 * np.pi * min(centre, 0.47 * SPEECH_RATE) / SPEECH_RATE
        poles = np.array([1.0, -2 * radius * np.cos(turn), radius**2])
        out[part], memory = lfilter([poles.sum()], poles, signal[part], zi=memory)
    return out


def _sound_from_file(settings: SimulationSettings) -> Sound:
    from visualmic.audio.wav import read_audio

    try:
        samples, rate = read_audio(settings.sound)
    except VisualMicError as error:
        raise VisualMicError(
            f"simulation: sound {settings.sound!r} is none of {', '.join(SOUNDS)} and is no sound"
            f" file: {error}"
        ) from error
    rate = int(rate)
    if settings.seconds is not None:
        count = max(round(settings.seconds * rate), 1)
        samples = np.pad(samples[:count], (0, max(count - len(samples), 0)))
    return Sound(_to_peak(samples), rate)


def _to_peak(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    peak = float(np.abs(samples).max(initial=0.0))
    return samples * (PEAK / peak) if peak > 0 else samples

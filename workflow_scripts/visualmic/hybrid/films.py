r"""Beams of rendered films that a codec spoiled: what no formula draws as x264 does.

A codec's errors are no noise. They follow what moves, in all blocks at once, so that no channel
tells them from the sound; they smear what is loud, and frames of several kinds that take turns
fold it. Random films of random objects are rendered, coded, and measured as any film is. What the
beam holds of the sound that shook the object is found by a filter fitted with it,

.. math:: \min_h \sum_t \Bigl(b_t - \sum_k h_k\, x_{t-k}\Bigr)^2 ,

whose frequency response is that of the object, as the codec left it.
"""

import multiprocessing
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from scipy.linalg import solve_toeplitz

from visualmic.atomic import atomic_path
from visualmic.errors import VisualMicError
from visualmic.film.decode import FilmFrames
from visualmic.hybrid.examples import Example, Sounds
from visualmic.motion.beam import Beam
from visualmic.motion.hearing import combine_lucas_kanade
from visualmic.motion.lucas_kanade import measure_lucas_kanade
from visualmic.motion.noise_suppression import in_time, spectra_of, turns, window_of
from visualmic.motion.reference import Floats
from visualmic.motion.spectra import ShortTimeFourier, Spectra
from visualmic.motion.wiener import Learned, WienerSettings, wiener_gain
from visualmic.progress import Progress
from visualmic.simulate.recording import simulate_recording
from visualmic.simulate.settings import SimulationSettings

# Seconds that the response of an object lasts, and the share of white noise with which the sound is
# taken to hold all frequencies.
_RESPONSE_S, _WHITE = 0.06, 1e-3
# Frequencies to each side over which the response is smoothed, as far as it is known, and the
# farthest that it may be from its mean, in nepers of power.
_SMOOTH_BINS, _FARTHEST = 2, 5.0
_UNKNOWN = 1e-3
_ENVIRONMENT = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def draw_film(seed: int) -> SimulationSettings:
    """Draw a film: an object, a capture rate, a codec's settings."""
    rng = np.random.default_rng([seed, 991])
    kind = str(rng.choice(["rigid", "rigid", "crisp-packet", "plant-leaf", "foil"]))
    fps = float(rng.choice([240, 480, 480, 960, 1000, 1000, 2200, 2200, 2200]))
    size = int(rng.choice([64, 96, 96, 128]))
    return SimulationSettings(
        object=kind,
        modes=None if kind == "rigid" or rng.uniform() < 0.5 else int(rng.integers(1, 6)),
        amplitude_px=float(np.exp(rng.uniform(np.log(0.01), np.log(0.5)))),
        fps=fps,
        seconds=float(rng.uniform(2.5, 3.5)),
        width=size,
        height=size,
        noise_sigma=float(rng.uniform(0.4, 1.8)),
        contrast=float(rng.choice([1.0, 1.0, 0.5])),
        codec="h264",
        crf=int(rng.integers(0, 13)),
        preset=str(rng.choice(["ultrafast", "veryfast", "fast", "fast", "fast", "medium"])),
        gop=int(rng.choice([12, 30, 60, 60, 60, 120, 250])),
        b_frames=(None, None, None, 0, 2)[int(rng.integers(5))],
        shake_px=0.3 if rng.uniform() < 0.1 else 0.0,
        flicker=0.01 if rng.uniform() < 0.1 else 0.0,
        seed=seed + 50000,
    )


def film_example(sounds: Sounds, seed: int) -> Example | None:
    """Film a sound, and give the beam that is heard; None where nothing is.

    Parameters
    ----------
    sounds : Sounds
    seed : int
        Of the film and of the sound.
    """
    settings = draw_film(seed)
    assert settings.seconds is not None
    sound = sounds.draw(np.random.default_rng([seed, 992]), settings.seconds)
    heard: list[tuple[Beam, Floats]] = []

    def listen(beam: Beam, wiener: WienerSettings, frequency: Floats) -> tuple[Spectra, Floats]:
        heard[:] = [(beam, frequency)]
        return wiener_gain(beam, wiener, frequency)

    with tempfile.TemporaryDirectory(prefix="visualmic-") as folder:
        film = Path(folder) / "film.mp4"
        truth = simulate_recording(settings, film, sound=sound, quiet=True)
        try:
            frames = FilmFrames(film, fps=settings.fps, threads=1)
            motion = measure_lucas_kanade(frames, threads=1)
            combine_lucas_kanade(motion, None, Learned(None, listen))
        except VisualMicError:
            return None
    if not heard:
        return None
    kind = "rigid" if settings.object == "rigid" else "many"
    return _example(*heard[0], np.asarray(truth.sound, np.float64), kind)


def _example(beam: Beam, frequency: Floats, sound: Floats, kind: str) -> Example:
    """Make an example of a beam and the sound that shook the object, a sample a frame."""
    stft = ShortTimeFourier(window_of(beam), 4, "hann")
    signal = in_time(beam)
    total = min(len(signal), len(sound))
    taps = round(_RESPONSE_S * 2 * frequency[-1])
    moved, response = _caught(signal[:total], sound[:total], taps)
    caught = spectra_of(stft, np.pad(moved, (0, len(signal) - total)))
    spectra: Spectra = beam.spectra * turns(beam)
    power = (np.abs(caught) ** 2).mean(axis=0)
    known = power / (power + (np.abs(spectra - caught) ** 2).mean(axis=0) + 1e-12)
    log_power = 2 * np.log(np.abs(np.fft.rfft(response, stft.length)) + 1e-12)
    log_power = _smoothed(log_power, known)
    return Example(
        frequency,
        spectra.astype(np.complex64),
        beam.level,
        caught.astype(np.complex64),
        np.exp(log_power) * beam.level,
        kind,
    )


def _caught(signal: Floats, sound: Floats, taps: int) -> tuple[Floats, Floats]:
    """Fit a filter (taps,) to `signal` (T,): what it makes of the sound, and the filter."""
    sound = sound / max(float(sound.std()), 1e-30)
    length = 1 << int(np.ceil(np.log2(len(signal) + 2 * taps)))
    spectra = [np.fft.rfft(one, length) for one in (sound, signal)]
    own = np.fft.irfft(np.abs(spectra[0]) ** 2, length)[:taps]
    cross = np.fft.irfft(spectra[1] * spectra[0].conj(), length)
    ahead = taps // 2
    own[0] *= 1 + _WHITE
    response = solve_toeplitz(own, np.r_[cross[-ahead:], cross[: taps - ahead]])
    return np.convolve(sound, response)[ahead : ahead + len(signal)], response


def _smoothed(log_power: Floats, known: Floats) -> Floats:
    """Smooth a logarithm (F,) over its neighbours by how well it is known."""
    weight = known + _UNKNOWN
    mean = float((weight * log_power).sum() / weight.sum())
    width = np.ones(2 * _SMOOTH_BINS + 1)
    sums = np.convolve(weight * (log_power - mean), width, "same")
    smooth = sums / (np.convolve(weight, width, "same") + _UNKNOWN)
    return np.asarray(mean + np.clip(smooth, -_FARTHEST, _FARTHEST))


def store_films(
    folder: Path,
    sounds: Sounds,
    seeds: Sequence[int],
    processes: int,
    progress: Progress | None = None,
) -> None:
    """Render films that `folder` lacks, a file each; of films in which nothing is heard, an empty.

    Parameters
    ----------
    folder : Path
    sounds : Sounds
    seeds : sequence of int
    processes : int
        That render films side by side.
    progress : Progress, optional
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [seed for seed in seeds if not (folder / f"{seed}.npz").exists()]
    if progress is not None:
        progress.advance(len(seeds) - len(missing))
    if not missing:
        return
    # Threads of their own would only be in each other's way.
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(dict.fromkeys(_ENVIRONMENT, "1"))
    try:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(max(processes, 1), context) as pool:
            for _ in pool.map(partial(_store, folder, sounds), missing):
                if progress is not None:
                    progress.advance(1)
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _store(folder: Path, sounds: Sounds, seed: int) -> None:
    example = film_example(sounds, seed)
    stored = {} if example is None else vars(example)
    with atomic_path(folder / f"{seed}.npz") as temporary, temporary.open("wb") as stream:
        np.savez(stream, **stored)


def read_films(files: Sequence[Path]) -> list[Example]:
    """Read what :func:`store_films` stored."""
    examples = []
    for file in files:
        with np.load(file) as stored:
            if stored.files:
                one = {name: stored[name] for name in stored.files}
                examples.append(Example(**{**one, "kind": str(one["kind"])}))
    return examples

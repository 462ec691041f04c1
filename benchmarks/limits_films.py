"""The films of the benchmark `hearing_limits`: what is filmed, and the speech that shakes it.

Other benchmarks import it; run by itself it measures nothing.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from visualmic.audio.wav import read_audio
from visualmic.simulate.recording import simulate_recording
from visualmic.simulate.settings import SimulationSettings
from visualmic.simulate.sounds import Sound
from visualmic.simulate.truth import Truth

FPS = 2200.0
SIDE = 192
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
DIGITS = DATA / "speech_digits"

SPEECH, NOTHING = "speech", "nothing"
_LOSSLESS: dict[str, Any] = {"codec": "lossless"}
_FLEXING: dict[str, Any] = {"object": "crisp-packet", "amplitude_px": 0.05, **_LOSSLESS}
# The largest displacement anywhere; most of the surface moves by a tenth of it.
_LOUD: dict[str, Any] = {**_FLEXING, "amplitude_px": 0.15}
_STILL: dict[str, Any] = {"sound": "silence", "amplitude_px": 0.0, **_LOSSLESS}


@dataclass(frozen=True)
class Kind:
    """A kind of film.

    Attributes
    ----------
    name : str
    settings : dict
        What differs from 192x192 at 2200 fps with noise of one grey level.
    group : str
        `SPEECH`, or `NOTHING` where there is no sound to be heard.
    frames : int or None
        Length of the film where it is not that of the others.
    """

    name: str
    settings: dict[str, Any] = field(hash=False)
    group: str = SPEECH
    frames: int | None = None

    @property
    def rigid(self) -> bool:
        """Whether the object moves as a whole, so that a bound of its noise is one number."""
        return self.group == SPEECH and self.settings["object"] == "rigid"


def _rigid(amplitude_px: float) -> Kind:
    settings = {"object": "rigid", "amplitude_px": amplitude_px, **_LOSSLESS}
    return Kind(f"rigid-{amplitude_px:g}px", settings)


KINDS = {
    kind.name: kind
    for kind in (
        _rigid(0.002),
        _rigid(0.01),
        _rigid(0.1),
        _rigid(1.2),
        _rigid(3.0),
        Kind("flexing-packet", _FLEXING),
        Kind("flexing-packet-loud", _LOUD),
        Kind("flexing-leaf", {**_FLEXING, "object": "plant-leaf"}),
        Kind("flexing-foil", {**_FLEXING, "object": "foil"}),
        Kind("flexing-crf2", {**_FLEXING, "codec": "h264", "crf": 2}),
        # At 0.05 px next to nothing outlives this compression, and there would be nothing to rank.
        Kind("flexing-crf8", {**_FLEXING, "codec": "h264", "crf": 8, "amplitude_px": 0.1}),
        Kind("flicker-and-shake", {**_LOUD, "flicker": 0.01, "shake_px": 0.4}),
        Kind("contrast-15", {**_FLEXING, "contrast": 0.15, "amplitude_px": 0.3}),
        Kind(
            "phone-480fps",
            {"object": "crisp-packet", "amplitude_px": 0.4, "fps": 480.0, "codec": "h264"},
        ),
        Kind("pure-noise", {**_STILL, "contrast": 0.0}, NOTHING),
        Kind("strong-noise", {**_STILL, "contrast": 0.0, "noise_sigma": 30.0}, NOTHING),
        Kind("still", _STILL, NOTHING),
        Kind("still-h264", {**_STILL, "codec": "h264", "crf": 8}, NOTHING),
        Kind("frozen", {**_STILL, "noise_sigma": 0.0}, NOTHING),
        Kind("one-colour", {**_STILL, "contrast": 0.0, "noise_sigma": 0.0}, NOTHING),
        Kind("three-frames", {"object": "rigid", "amplitude_px": 0.1, **_LOSSLESS}, NOTHING, 3),
    )
}


@dataclass(frozen=True)
class Shape:
    """How long and how large the films are: `seconds`, `side` in pixels."""

    seconds: float = 3.0
    side: int = SIDE


def film_settings(kind: Kind, seed: int, shape: Shape) -> SimulationSettings:
    """Give all settings of the film of a kind and a seed."""
    base: dict[str, Any] = {
        "sound": "speech",
        "seconds": shape.seconds,
        "fps": FPS,
        "width": shape.side,
        "height": shape.side,
        "seed": seed,
        "noise_sigma": 1.0,
    }
    base |= kind.settings
    if kind.frames is not None:
        base["seconds"] = kind.frames / base["fps"]
    return SimulationSettings(**base)


def make_film(kind: Kind, seed: int, shape: Shape, folder: Path) -> tuple[Path, Truth]:
    """Simulate one film into `folder`; give its path and the truth about it."""
    settings = film_settings(kind, seed, shape)
    film = folder / f"{kind.name}-{seed}.{'mp4' if settings.codec == 'h264' else 'mkv'}"
    sound = None
    if settings.sound == "speech" and DIGITS.is_dir():
        assert settings.seconds is not None
        sound = spoken_digits(DIGITS, settings.seconds, seed)
    return film, simulate_recording(settings, film, sound=sound, quiet=True)


def spoken_digits(folder: Path, seconds: float, seed: int) -> Sound:
    """Let one speaker say digits one after another, with short pauses, for `seconds`.

    Parameters
    ----------
    folder : path
        Of files ``{digit}_{speaker}_{take}.wav`` at one rate.
    seconds : float
        Length of the sound.
    seed : int
        Chooses speaker, digits and pauses.
    """
    rng = np.random.default_rng([seed, 77])
    files = sorted(folder.glob("*_*_*.wav"))
    speakers = sorted({file.stem.split("_")[1] for file in files})
    speaker = speakers[seed % len(speakers)]
    said = [file for file in files if file.stem.split("_")[1] == speaker]
    pieces: list[np.ndarray] = []
    rate = 0.0
    have = 0
    while not rate or have < seconds * rate:
        samples, rate = read_audio(said[rng.integers(len(said))])
        pause = np.zeros(round(rng.uniform(0.05, 0.15) * rate))
        # Takes differ in loudness, and the loudest alone sets the amplitude of the film.
        pieces += [pause, samples / max(float(samples.std()), 1e-9)]
        have += len(pause) + len(samples)
    samples = np.concatenate(pieces)[: max(round(seconds * rate), 1)]
    return Sound(samples * (0.9 / max(float(np.abs(samples).max()), 1e-9)), int(rate))

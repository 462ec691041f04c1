"""Every physical setting of a simulated recording, checked before anything is made."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from visualmic.errors import VisualMicError

OBJECTS = ("crisp-packet", "plant-leaf", "foil", "rigid")
SOUNDS = ("tune", "speech", "tone", "chirp", "silence")
CODECS = ("h264", "lossless")
PRESETS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
)
DEFAULT_SECONDS = 3.0
# Share of the capture rate up to which the sound drives the object, so that nothing aliases.
SOUND_BAND = 0.45


@dataclass(frozen=True)
class SimulationSettings:
    """What is filmed, how it is shaken, and by which camera. The same settings give the same film.

    Attributes
    ----------
    object : str
        What is filmed: ``crisp-packet``, ``plant-leaf``, ``foil`` (these flex in several modes) or
        ``rigid`` (a printed card that moves as a whole and follows the sound exactly).
    sound : str
        What shakes it: ``tune``, ``speech`` (synthetic), ``tone``, ``chirp``, ``silence``, or the
        path of a sound file. A sound shorter than the film is followed by silence.
    seconds : float or None
        Real time filmed; None takes the sound file's own length, or 3 s for the other sounds.
    fps : float
        Capture rate in hertz.
    width, height : int
        Frame size in pixels.
    amplitude_px : float
        Largest displacement that the sound causes anywhere in the frame at any time, in pixels.
    seed : int
        Seed of everything random.
    tone_hz : float
        Frequency of ``tone``.
    sound_low_hz : float
        The sound is high-passed here before it drives the object.
    sound_high_hz : float or None
        The sound is low-passed here before it drives the object; None is 0.45 `fps`.
    modes : int or None
        Number of vibration modes; None is the object's own.
    direction_deg : float or None
        Direction of motion of a rigid object, counted from x towards y; None draws one.
    exposure : float
        Exposure time as a share of the frame interval.
    brightness : float
        Mean grey level of the frame.
    contrast : float
        1 gives a texture whose standard deviation is 40 grey levels; 0 is an even grey surface.
    blur_px : float
        Standard deviation of the lens' Gaussian blur.
    noise_sigma : float
        Standard deviation of the signal-independent (read) noise in grey levels.
    electrons_per_level : float or None
        Photo-electrons per grey level, which give shot noise of variance
        ``level / electrons_per_level``; None is no shot noise.
    flicker : float
        Amplitude of the lamp's modulation at twice the mains frequency, as a share of the light.
    mains_hz : float
        Mains frequency.
    shake_px : float
        Root mean square of the camera's shake in each of x and y over the film, in pixels.
    shake_hz : float
        Highest frequency in the shake.
    drift_px : float
        Steady shift over the whole film, in pixels.
    vignetting : float
        Share of the light lost in the corners.
    dead_pixels : int
        Number of pixels that always read the same.
    codec : str
        ``h264`` or ``lossless`` (FFV1 in .mkv, H.264 with no loss in .mp4 and .mov).
    crf, preset, gop : int, str, int
        Quality, effort and frames per key frame of H.264.
    b_frames : int or None
        Bi-directional frames in a row; None is the preset's own.
    container_fps : float or None
        Rate that the file claims (slow motion); None is the truth.
    capture_tag : bool
        Write the true rate into the file's tags, as phones do.
    audio_track : bool
        Put the sound into the film as its own track.
    """

    object: str = "crisp-packet"
    sound: str = "tune"
    seconds: float | None = None
    fps: float = 2200.0
    width: int = 192
    height: int = 192
    amplitude_px: float = 0.05
    seed: int = 0
    tone_hz: float = 220.0
    sound_low_hz: float = 50.0
    sound_high_hz: float | None = None
    modes: int | None = None
    direction_deg: float | None = None
    exposure: float = 0.5
    brightness: float = 128.0
    contrast: float = 1.0
    blur_px: float = 0.6
    noise_sigma: float = 1.0
    electrons_per_level: float | None = None
    flicker: float = 0.0
    mains_hz: float = 50.0
    shake_px: float = 0.0
    shake_hz: float = 6.0
    drift_px: float = 0.0
    vignetting: float = 0.0
    dead_pixels: int = 0
    codec: str = "h264"
    crf: int = 2
    preset: str = "fast"
    gop: int = 60
    b_frames: int | None = None
    container_fps: float | None = None
    capture_tag: bool = False
    audio_track: bool = False

    def __post_init__(self) -> None:
        _one_of("object", self.object, OBJECTS)
        _one_of("codec", self.codec, CODECS)
        _one_of("preset", self.preset, PRESETS)
        _between("fps", self.fps, 10, 1e6)
        if self.seconds is not None:
            _between("seconds", self.seconds, 1 / self.fps, 36_000)
        _between("width", self.width, 16, 8192, whole=True)
        _between("height", self.height, 16, 8192, whole=True)
        _between("amplitude_px", self.amplitude_px, 0, 8)
        _between("seed", self.seed, 0, 2**63 - 1, whole=True)
        _between("sound_low_hz", self.sound_low_hz, 0, self.fps / 2)
        if self.sound_high_hz is not None:
            _between("sound_high_hz", self.sound_high_hz, 1, self.fps / 2)
        if self.sound_low_hz >= self.sound_top_hz:
            raise VisualMicError(
                f"simulation: sound_low_hz {self.sound_low_hz:g} is not below sound_high_hz"
                f" {self.sound_top_hz:g}; lower it or raise fps"
            )
        if self.sound == "tone":
            _between("tone_hz", self.tone_hz, self.sound_low_hz, self.sound_top_hz)
        if self.modes is not None:
            _between("modes", self.modes, 1, 32, whole=True)
        if self.direction_deg is not None:
            _between("direction_deg", self.direction_deg, -360, 360)
        _between("exposure", self.exposure, 0, 1)
        _between("brightness", self.brightness, 0, 255)
        _between("contrast", self.contrast, 0, 10)
        _between("blur_px", self.blur_px, 0.3, 50)
        _between("noise_sigma", self.noise_sigma, 0, 255)
        if self.electrons_per_level is not None:
            _between("electrons_per_level", self.electrons_per_level, 0.1, 1e6)
        _between("flicker", self.flicker, 0, 1)
        _between("mains_hz", self.mains_hz, 1, 1000)
        _between("shake_px", self.shake_px, 0, 8)
        _between("shake_hz", self.shake_hz, 0.5, self.fps / 2)
        _between("drift_px", self.drift_px, -16, 16)
        _between("vignetting", self.vignetting, 0, 1)
        _between("dead_pixels", self.dead_pixels, 0, self.width * self.height, whole=True)
        _between("crf", self.crf, 0, 51, whole=True)
        _between("gop", self.gop, 1, 100_000, whole=True)
        if self.b_frames is not None:
            _between("b_frames", self.b_frames, 0, 16, whole=True)
        if self.container_fps is not None:
            _between("container_fps", self.container_fps, 1, 1e6)
        if self.codec == "h264" and (self.width % 2 or self.height % 2):
            raise VisualMicError(
                f"simulation: H.264 needs an even width and height, not {self.width}x{self.height};"
                " change size by a pixel or choose codec lossless"
            )

    @property
    def sound_top_hz(self) -> float:
        """Highest frequency that drives the object, in hertz."""
        return SOUND_BAND * self.fps if self.sound_high_hz is None else self.sound_high_hz

    def as_dict(self) -> dict[str, Any]:
        """Give the settings as JSON-serialisable values."""
        return asdict(self)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise VisualMicError(
            f"simulation: {name} is {value!r}; it must be one of {', '.join(allowed)}"
        )


def _between(
    name: str, value: float, lowest: float, highest: float, *, whole: bool = False
) -> None:
    kind = "a whole number" if whole else "a number"
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or (whole and value != int(value)):
        raise VisualMicError(f"simulation: {name} is {value!r}; it must be {kind}")
    if not lowest <= value <= highest:
        raise VisualMicError(
            f"simulation: {name} is {value:g}; it must be {kind} from {lowest:g} to {highest:g}"
        )

"""What a method heard in a film, and what it says of its own measurement."""

import json
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visualmic.atomic import atomic_path
from visualmic.motion.reference import Floats


@dataclass
class Diagnosis:
    """What a method knows about its own measurement.

    Attributes
    ----------
    verdict : str
        One line: whether a sound was heard, and in which band.
    warnings : list of str
        What the user should know, each with what was done about it or can be done.
    found : dict of str to dict
        What disturbs the sound, by name, each with its numbers: ``flicker``, ``uneven_light``,
        ``codec_comb``, ``copied_frames``, ``uneven_frames``, ``shake``, ``saturation``,
        ``rounding``, ``undersampling``, ``excess_noise``; every one has its line in `warnings`.
    noise_floor_px : float or None
        Standard deviation per frame that noise gives to a common displacement, in pixels.
    crb_px : float or None
        Its Cramer-Rao bound for the film's sensor noise.
    effective_bandwidth_hz : float or None
        Highest frequency at which the sound stands above the noise.
    frequency_hz, snr : ndarray, (F,), or None
        Power of the sound over that of the noise.
    heat : dict or None
        ``x_px``, ``y_px`` centres of blocks, ``size_px``, ``value``, ``unit``: where in the frame
        the sound was heard.
    resonances : list of dict
        ``frequency_hz`` and ``damping_ratio`` of each resonance of the object that was found, and
        that the sound is free of.
    """

    verdict: str = ""
    warnings: list[str] = field(default_factory=list)
    found: dict[str, dict[str, Any]] = field(default_factory=dict)
    noise_floor_px: float | None = None
    crb_px: float | None = None
    effective_bandwidth_hz: float | None = None
    frequency_hz: Floats | None = None
    snr: Floats | None = None
    heat: dict[str, Any] | None = None
    resonances: list[dict[str, float]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Give everything as JSON-able values; powers in dB."""
        content: dict[str, Any] = {
            "verdict": self.verdict,
            "warnings": list(self.warnings),
            "found": dict(self.found),
        }
        for name in ("noise_floor_px", "crb_px", "effective_bandwidth_hz"):
            value = getattr(self, name)
            if value is not None and np.isfinite(value):
                content[name] = float(value)
        if "noise_floor_px" in content and content.get("crb_px", 0.0) > 0:
            ratio = content["noise_floor_px"] / content["crb_px"]
            content["ratio_db"] = float(20 * np.log10(max(ratio, 1e-6)))
        if self.snr is not None and self.frequency_hz is not None:
            content["snr_per_frequency"] = {
                "frequency_hz": [round(float(f), 3) for f in self.frequency_hz],
                "snr_db": [round(float(v), 2) for v in 10 * np.log10(np.maximum(self.snr, 1e-3))],
            }
        if self.heat is not None:
            content["heat_map"] = self.heat
        if self.resonances:
            content["resonances"] = self.resonances
        return content


@dataclass
class Recovery:
    """A recovered sound.

    Attributes
    ----------
    sound : ndarray, float64, (T,)
        One sample a frame, in the method's own unit (pixels for ``lucas-kanade``).
    capture_fps : float
        Samples per second of real time.
    method : str
    diagnosis : Diagnosis
    reference : ndarray, uint8, (H, W), or None
        Mean picture of the film, to draw on.
    """

    sound: Floats
    capture_fps: float
    method: str
    diagnosis: Diagnosis = field(default_factory=Diagnosis)
    reference: NDArray[np.uint8] | None = None


def write_diagnosis(path: str | os.PathLike[str], recovery: Recovery) -> None:
    """Write what a recovery knows of itself as JSON, a file that appears whole or not at all."""
    content = {"method": recovery.method, **recovery.diagnosis.as_dict()}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

"""A small results/ tree for tests of the report: sounds, scores, diagnostics that belong together.

Nothing here is recovered from a film: each "method" is the reference through a band limit with
noise added, so every score in the tree is what its sound really scores.
"""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import butter, resample_poly, sosfiltfilt
from visualmic.evaluate.scores import Scores, score, write_scores
from visualmic.film.metadata import write_metadata

METHODS = {"lucas-kanade": 0.25, "pyramid": 0.8, "pyramid-denoised": 0.5}
REFERENCE_RATE = 16_000


MODELS_TABLE = """on,model,rmse,rmse_sd,rmse_silence,pearson,parameters
folds,siamese,0.0724,0.0031,0.2143,0.941,285985
folds,lucas-kanade,0.0812,,0.2143,,1
"""


@dataclass
class FixtureSettings:
    """What the tree holds."""

    recordings: int = 3
    duration_s: float = 2.0
    capture_fps: float = 2200.0
    frame_size: tuple[int, int] = (90, 160)
    # Without a reference, so without scores.
    silent_recording: bool = True
    # Recordings beyond these repeat the sounds of earlier ones, which spares scoring them.
    distinct: int = 6
    models: bool = False


def write_results(folder: Path, settings: FixtureSettings | None = None) -> Path:
    """Write a results/ tree under `folder` and return it."""
    settings = settings or FixtureSettings()
    rows = []
    known: dict[tuple[int, bool], dict[str, Scores]] = {}
    for index in range(settings.recordings):
        kind = index % settings.distinct
        random = np.random.default_rng(kind)
        name = ("chips", "foil", "plant")[index % 3] + (f"_{index // 3}" if index >= 3 else "")
        has_reference = not (settings.silent_recording and index == 2)
        sound = _tune(settings.duration_s, 180.0 + 40 * (kind % 5), random)
        frames = round(settings.duration_s * settings.capture_fps)
        rows.append(
            {
                "recording": name,
                "file": f"films/{name}.mp4",
                "sha256": hashlib.sha256(name.encode()).hexdigest(),
                "width": settings.frame_size[1],
                "height": settings.frame_size[0],
                "frames": frames,
                "container_fps": 30.0,
                "capture_fps": settings.capture_fps,
                "capture_fps_source": "option",
                "duration_s": settings.duration_s,
                "variable_frame_rate": "no",
                "audio_rate": REFERENCE_RATE if has_reference else "",
                "offset_s": 0.0,
                "rotation": 0,
                "codec": "h264",
                "pixel_format": "yuv420p",
                "role": ("demo", "test", "listen")[index % 3],
            }
        )
        _write_frame(folder / "frames" / f"{name}.h5", settings, random)
        if has_reference:
            _write_wav(folder / "dataset" / f"{name}.wav", sound, REFERENCE_RATE)
        scores = known.setdefault((kind, has_reference), {})
        _write_methods(folder, name, sound, has_reference, settings, random, scores)
    write_metadata(folder / "dataset" / "metadata.csv", rows)
    if settings.models:
        _write_model(folder / "models" / "siamese" / "fold_0")
        (folder / "models.csv").write_text(MODELS_TABLE)
    return folder


def _tune(duration_s: float, base_hz: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Short decaying notes with a vibrato and two partials."""
    time = np.arange(round(duration_s * REFERENCE_RATE)) / REFERENCE_RATE
    sound = np.zeros_like(time)
    for start in np.arange(0.05, duration_s - 0.1, 0.25):
        pitch = base_hz * 2 ** (random.choice([0, 2, 4, 5, 7, 9, 12]) / 12)
        # After a second a note is silent.
        note = slice(round(start * REFERENCE_RATE), round((start + 1) * REFERENCE_RATE))
        local = time[note] - start
        envelope = np.exp(-local / 0.12) * np.clip(local / 0.01, 0, 1)
        vibrato = 0.6 * np.sin(2 * math.pi * 5.5 * local)
        sound[note] += envelope * np.sin(2 * math.pi * pitch * local + vibrato)
        sound[note] += 0.4 * envelope * np.sin(4 * math.pi * pitch * local + 2 * vibrato)
    return sound / np.abs(sound).max()


def _write_methods(
    folder: Path,
    name: str,
    sound: NDArray[np.float64],
    has_reference: bool,
    settings: FixtureSettings,
    random: np.random.Generator,
    scores: dict[str, Scores],
) -> None:
    rate = round(settings.capture_fps)
    divisor = math.gcd(rate, REFERENCE_RATE)
    truth = resample_poly(sound, rate // divisor, REFERENCE_RATE // divisor)
    band = butter(2, [60.0, 0.4 * rate], btype="bandpass", fs=rate, output="sos")
    for method, noise in METHODS.items():
        heard = sosfiltfilt(band, truth) + noise * np.std(truth) * random.standard_normal(
            truth.size
        )
        _write_wav(folder / "sound" / method / f"{name}.wav", heard, rate)
        if has_reference:
            if method not in scores:
                scores[method] = score(heard, rate, sound, REFERENCE_RATE)
            path = folder / "scores" / method / f"{name}.json"
            write_scores(path, scores[method], name, method)
    _write_json(
        folder / "diagnostics" / "lucas-kanade" / f"{name}.json",
        _diagnostics(truth, rate, settings, warn=name.startswith("foil")),
    )


def _diagnostics(
    truth: NDArray[np.float64], rate: int, settings: FixtureSettings, warn: bool
) -> dict[str, object]:
    spectrum = np.abs(np.fft.rfft(truth)) ** 2
    frequency = np.fft.rfftfreq(truth.size, 1 / rate)
    edges = np.linspace(0, rate / 2, 65)
    which = np.digitize(frequency, edges) - 1
    band = np.array([spectrum[which == i].mean() for i in range(64)])
    height, width = settings.frame_size
    y, x = (axis.ravel() for axis in np.mgrid[8:height:16, 8:width:16])
    distance = np.hypot((y - height / 2) / height, (x - width / 2) / width)
    return {
        "verdict": "heard",
        "warnings": ["the lamp flickers at 100 Hz; the flicker was removed"] if warn else [],
        "noise_floor_px": 2.4e-4,
        "crb_px": 2.1e-4,
        "ratio_db": 20 * math.log10(2.4 / 2.1),
        "effective_bandwidth_hz": 0.4 * rate,
        "snr_per_frequency": {
            "frequency_hz": ((edges[:-1] + edges[1:]) / 2).tolist(),
            "snr_db": (10 * np.log10(band / np.median(band))).tolist(),
        },
        "heat_map": {
            "x_px": x.tolist(),
            "y_px": y.tolist(),
            "size_px": 16,
            "value": (20 - 50 * distance).tolist(),
            "unit": "dB",
        },
    }


def _write_frame(path: Path, settings: FixtureSettings, random: np.random.Generator) -> None:
    height, width = settings.frame_size
    y, x = np.mgrid[:height, :width]
    texture = (
        110 + 60 * np.sin(x / 7) * np.cos(y / 5) + 12 * random.standard_normal((height, width))
    )
    frames = np.clip(np.repeat(texture[None], 2, axis=0), 0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as store:
        store.create_dataset("frames", data=frames, chunks=(1, height, width))
        store["time_s"] = np.arange(2) / settings.capture_fps
        store.attrs["complete"] = True
        store.attrs["frame_count"] = 2


def _write_model(folder: Path) -> None:
    epochs = np.arange(1, 21)
    lines = ["epoch,train_loss,validation_loss"]
    lines += [f"{n},{0.1 + 0.9 * 0.8**n:.5f},{0.15 + 0.9 * 0.85**n:.5f}" for n in epochs]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "history.csv").write_text("\n".join(lines) + "\n")
    _write_json(folder / "metrics.json", {"parameters": 120_000, "test": {"pearson": 0.71}})


def _write_wav(path: Path, samples: NDArray[np.float64], rate: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.9 * samples / np.abs(samples).max(), rate, subtype="PCM_16")


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))

"""What the benchmark `hearing_limits` sets side by side, and how it scores a sound.

Other benchmarks import it; run by itself it measures nothing.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import davis_pyrtools
import numpy as np
import scipy.linalg
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from visualmic.errors import VisualMicError
from visualmic.evaluate.alignment import align
from visualmic.evaluate.equaliser import INFO_TAPS, info
from visualmic.evaluate.intelligibility import estoi
from visualmic.evaluate.waveform import UndefinedMetric, si_sdr
from visualmic.film.decode import FilmFrames
from visualmic.film.source import FrameSource
from visualmic.motion.lucas_kanade import measure_lucas_kanade
from visualmic.motion.methods import recover
from visualmic.simulate import oracle, render
from visualmic.simulate.oracle import mode_cramer_rao_std
from visualmic.simulate.truth import Truth

Signal = NDArray[np.float64]

CACHE = Path(__file__).parent / "results" / "cache"
METHODS = OURS, LEARNED, BESIDE = ("lucas-kanade", "hybrid", "pyramid")
DAVIS, ORACLE, ORACLE_FITTED = "davis", "oracle", "oracle-fitted"
SCORES = ("info_db", "si_sdr_db", "estoi", "noise_over_crb_db")


def score(sound: Signal, truth: Truth, rigid: bool) -> dict[str, float]:
    """Score a sound, one sample a frame, against the sound that drove the object.

    Returns
    -------
    dict
        ``info_db``, ``si_sdr_db`` and ``estoi`` after alignment, and for rigid motion
        ``noise_over_crb_db``; NaN where a score has no value.
    """
    fps = truth.capture_fps
    both = align(sound, fps, truth.sound, fps)
    scores = dict.fromkeys(SCORES, math.nan)
    for name, metric in (("info_db", info), ("si_sdr_db", si_sdr), ("estoi", estoi)):
        try:
            scores[name] = metric(both.reference, both.recovered, both.rate)
        except UndefinedMetric:
            continue
    if rigid:
        scores["noise_over_crb_db"] = noise_over_bound(sound, truth)
    return scores


def noise_over_bound(estimate: Signal, truth: Truth) -> float:
    r"""Set the noise of a rigid displacement, at any gain, against the Cramer-Rao bound, in dB.

    The noise is what is left of `estimate` after the best gain, referred to the displacement,

    .. math:: 10 \log_{10} \frac{\langle d^2 \rangle\, 10^{-\mathrm{SI\text{-}SDR}/10}}
        {\sigma_\mathrm{CRB}^2},

    over all frames and frequencies; a filter that knows where the sound is may go below 0.
    """
    motion = truth.displacement[:, 0] - truth.displacement[:, 0].mean()
    distortion = 10 ** (-si_sdr(motion, estimate - estimate.mean()) / 10)
    bound = float(mode_cramer_rao_std(truth)[0])
    return 10 * math.log10(max(float(np.mean(motion**2)) * distortion / bound**2, 1e-30))


def measured_motion(source: FrameSource, truth: Truth) -> Signal:
    """Give the rigid motion of `lucas-kanade` before any filter: what its blocks agree on, (T,)."""
    motion = measure_lucas_kanade(source, threads=1)
    whitener = np.asarray(motion.arrays["whitener"], np.float64)
    signals = np.asarray(motion.signals, np.float64).reshape(-1, len(whitener), 2)
    information = np.einsum("bij,bik->jk", whitener, whitener)
    pull = np.einsum("bij,tbi->tj", whitener, signals)
    # The bound is that of motion along a known line.
    along = truth.mode_shapes[0, :, 0, 0].astype(np.float64)
    along /= np.linalg.norm(along)
    shift = np.linalg.solve(information, pull.T).T @ information @ along
    return np.asarray(shift / (along @ information @ along))


def frames_digest(source: FrameSource) -> str:
    """Give a digest of all frames of a film, their size and rate."""
    digest = hashlib.sha256(f"{source.height} {source.width} {source.capture_fps}".encode())
    for batch in source.batches():
        digest.update(np.ascontiguousarray(batch))
    return digest.hexdigest()


def kept(name: str, digest: str, code: Sequence[ModuleType], make: Callable[[], Signal]) -> Signal:
    """Give what `make` gives, or gave for the same frames with the same code.

    Parameters
    ----------
    name : str
        What it is.
    digest : str
        Of all that it is made from.
    code : sequence of module
        Those that make it: when their text changes, it is made again.
    make : callable
    """
    whole = hashlib.sha256(digest.encode())
    for module in code:
        assert module.__file__ is not None
        whole.update(Path(module.__file__).read_bytes())
    file = CACHE / f"{name}-{whole.hexdigest()[:32]}.npy"
    if file.exists():
        return np.asarray(np.load(file))
    made = make()
    CACHE.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".part.npy")
    np.save(unfinished, made)
    unfinished.replace(file)
    return made


def davis(source: FrameSource, digest: str) -> Signal:
    """Recover the sound by the per-frame pyrtools loop, or take what it gave for these frames."""
    return kept(
        "davis",
        digest,
        [davis_pyrtools],
        lambda: davis_pyrtools.recover_davis(_frames(source), source.capture_fps),
    )


def true_modes(source: FrameSource, digest: str, truth: Truth) -> Signal:
    """Estimate the modes (T, K) with the true mode shapes, in pixels, or take what was kept."""
    known = camera_is_known(truth)
    return kept(
        "modes",
        f"{digest} {known}",
        [oracle, render],
        lambda: oracle.oracle_modes(source, truth, camera_known=known),
    )


def _frames(source: FrameSource) -> Iterator[NDArray[np.uint8]]:
    for batch in source.batches():
        yield from batch


def camera_is_known(truth: Truth) -> bool:
    """Whether the oracle is told shake and lamp: there is nothing to find where they are steady."""
    return not any(truth.settings[name] for name in ("shake_px", "drift_px", "flicker"))


def multichannel_info(truth: Truth, channels: Signal, taps: int = INFO_TAPS) -> float:
    """Signal-to-noise ratio after the best filter of `taps` for each channel (T, K), in dB.

    The filters are fitted to the truth together, and divided by the degrees of freedom that are
    left, as `info` does for one channel; NaN where there are too few frames.
    """
    fps = truth.capture_fps
    cleaned = [align(one, fps, truth.sound, fps, max_lag_s=0.0) for one in channels.T]
    reference = cleaned[0].reference
    heard = np.stack([one.recovered / max(one.recovered.std(), 1e-30) for one in cleaned], axis=1)
    count = taps * heard.shape[1]
    if len(reference) < 2 * count:
        return math.nan
    windows = sliding_window_view(heard, taps, axis=0).reshape(-1, count)
    first = taps // 2
    target = reference[first : first + len(windows)]
    normal = windows.T @ windows
    normal[np.diag_indices(count)] *= 1 + 1e-9
    filters = scipy.linalg.solve(normal, windows.T @ target, assume_a="pos")
    left = target - windows @ filters
    noise = float(left @ left) / (len(target) - count)
    return 10 * math.log10(float(target @ target) / len(target) / noise)


def hears_nothing(film: Path, method: str, fps: float) -> tuple[bool, str]:
    """Recover a film in which there is no sound: whether the method says so, and what it says."""
    try:
        recovery = recover(FilmFrames(film, fps=fps), method, threads=1)
    except VisualMicError as error:
        return True, f"refused: {str(error).replace(str(film), film.name)}"
    sound, said = recovery.sound, recovery.diagnosis.verdict
    if not np.isfinite(sound).all():
        return False, "not finite"
    if not sound.any():
        return bool(said), f"silence: {said}"
    return False, f"{strongest_line(sound, fps)}: {said or 'no statement'}"


def strongest_line(sound: Signal, fps: float) -> str:
    """Put the strongest line of a sound into words: its frequency and its height."""
    power = np.abs(np.fft.rfft((sound - sound.mean()) * np.hanning(len(sound)))) ** 2
    line = int(np.argmax(power[1:])) + 1
    over = 10 * math.log10(power[line] / max(float(np.median(power[1:])), 1e-300))
    return f"a line at {line * fps / len(sound):.1f} Hz, {over:.0f} dB over the median"

r"""Local motion by weighted least squares against a reference image (Lucas-Kanade).

Every block of the frame gives, per frame, the displacement that best explains its luma,

.. math:: \hat d_t = A^{-1} \sum_x w(x) \nabla I_0(x)
          \left[I_0(x) - \frac{I_t(x) - o_t}{1 + \gamma_t}\right],
          \qquad A = \sum_x w \nabla I_0 \nabla I_0^\top ,

with `w` the inverse noise variance. It is linear in the pixels, so a frame costs one inner product
with each gradient image, and for small motion its covariance :math:`A^{-1}` is the Cramer-Rao
bound. Frames or blocks that moved further than the linear range are compared with a displaced
template, from a bank of quarter-pixel shifts (Gauss-Newton). The displacement is whitened,
:math:`z = \Lambda^{1/2} V^\top d` with :math:`A = V \Lambda V^\top`, so that sensor noise gives
every channel the same unit variance.

References
----------
.. [1] B. D. Lucas and T. Kanade, "An iterative image registration technique with an application to
   stereo vision", IJCAI 1981.
.. [2] D. Robinson and P. Milanfar, "Fundamental performance limits in image registration", IEEE
   Transactions on Image Processing 13(9), 2004.
"""

import itertools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visualmic.errors import VisualMicError
from visualmic.film.source import FrameSource
from visualmic.motion.block_tracker import BlockTracker
from visualmic.motion.reference import (
    Floats,
    NoiseModel,
    fit_noise_model,
    shifted,
    unusable_pixels,
)
from visualmic.motion.signals import MotionSignals, SignalSpool
from visualmic.motion.steady_light import light_coupling
from visualmic.motion.wandering_light import information_under_light
from visualmic.progress import Progress
from visualmic.threads import default_threads

_LEAD_BYTES = 128 * 2**20
_MAX_LEAD_FRAMES = 1024
# Spread of the frames' shifts below which their mean is sharp, and above which it is no start.
_SHARP_PX = 0.05
_BLURRED_PX = 0.4
# Spread of the frames' shifts, or of the displacement of blocks, above which they move too far for
# templates that lie far apart.
_SWINGING_PX = 0.06
# How many times the information blocks blind to light must have: a codec's errors, and what swings
# leave, look like a little light that wanders.
_WANDERS = 1.06


@dataclass(frozen=True)
class LucasKanadeSettings:
    """Settings of the measurement.

    Attributes
    ----------
    block_px : int
        Side of a block in pixels; 0 chooses one from the size of the frame.
    illumination : {"auto", "global", "local", "none"}
        Whether gain and offset of the lamp are removed for the whole frame, for each block, or not
        at all; "auto" removes them per block only when the film shows that they differ.
    follow : bool
        Follow motion beyond the linear range with displaced templates.
    """

    block_px: int = 0
    illumination: str = "auto"
    follow: bool = True

    def __post_init__(self) -> None:
        if self.block_px < 0 or 0 < self.block_px < 4:
            raise VisualMicError(
                f"block_px is {self.block_px}: give a side of at least 4 pixels, or 0 to choose it"
            )
        if self.illumination not in ("auto", "global", "local", "none"):
            raise VisualMicError(
                f"illumination is {self.illumination!r}: choose auto, global, local or none"
            )


def measure_lucas_kanade(
    source: FrameSource,
    settings: LucasKanadeSettings | None = None,
    *,
    threads: int | None = None,
    spool: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> MotionSignals:
    """Measure the whitened motion of every block of a film, in one pass.

    Parameters
    ----------
    source : FrameSource
        The frames.
    settings : LucasKanadeSettings, optional
    threads : int, optional
        Threads to compute with; all cores by default.
    spool : path, optional
        Keep the signals in this HDF5 file rather than in memory, so that memory does not grow with
        the film.
    progress : Progress, optional
        Told of every frame that is done.

    Returns
    -------
    MotionSignals
        ``signals`` float32 (T, 2 * blocks), whitened: in units of the standard deviation that
        sensor noise gives, so ``noise_std`` is one. ``arrays`` holds ``block_y``, ``block_x``,
        ``block_size``, ``whitener`` (blocks, 2, 2) with ``z = whitener @ d``, ``reference``
        (H, W), ``light_coupling`` (2, 2 * blocks), what a unit of gain and of offset takes from the
        channels, and per frame ``gain``, ``offset``, ``residual`` and ``global_shift`` (T, 2) in
        pixels.

    Raises
    ------
    VisualMicError
        If the film has fewer than two frames.
    """
    settings = settings or LucasKanadeSettings()
    threads = threads or default_threads()
    batches = source.batches()
    lead = _read_lead(batches, source)
    with ThreadPoolExecutor(threads) as pool:
        tracker = _prepare(lead, settings, pool, threads)
        gains: list[Floats] = []
        offsets: list[Floats] = []
        residuals: list[Floats] = []
        shifts: list[Floats] = []
        signals = SignalSpool(2 * tracker.grid.count, Path(spool) if spool else None)
        for batch in itertools.chain(_pieces(lead), batches):
            tracked = tracker.track(batch)
            signals.append(tracked.signals)
            gains.append(tracked.gain)
            offsets.append(tracked.offset)
            residuals.append(tracked.residual)
            shifts.append(tracked.shift)
            if progress is not None:
                progress.advance(len(batch))
    keyframes = np.asarray(getattr(source, "keyframes", ()), np.int64)
    return MotionSignals(
        method="lucas-kanade",
        capture_fps=source.capture_fps,
        signals=signals.result(),
        noise_std=np.ones(2 * tracker.grid.count, np.float32),
        arrays={
            "block_y": tracker.grid.y,
            "block_x": tracker.grid.x,
            "block_size": np.array([tracker.grid.height, tracker.grid.width], np.int32),
            "whitener": tracker.whitener,
            "reference": np.clip(np.rint(tracker.reference), 0, 255).astype(np.uint8),
            "keyframes": keyframes,
            "bidirectional": np.asarray(getattr(source, "bidirectional", ()), np.bool_),
            "gain": np.concatenate(gains),
            "offset": np.concatenate(offsets),
            "light_coupling": light_coupling(tracker),
            "residual": np.concatenate(residuals),
            "global_shift": np.concatenate(shifts),
        },
        attributes={
            "settings": asdict(settings),
            "lossless": bool(getattr(source, "lossless", False)),
            "noise_read": tracker.noise.read,
            "noise_shot": tracker.noise.shot,
            "illumination": "local" if tracker.local_illumination else "global",
            "light_variance": list(tracker.comparison.light_variance),
            "cramer_rao_px": tracker.cramer_rao_px,
            "unusable_fraction": tracker.unusable_fraction,
            "retracked_fraction": tracker.retracked / max(tracker.tracked, 1),
        },
    )


def _read_lead(batches: Iterator[NDArray[np.uint8]], source: FrameSource) -> NDArray[np.uint8]:
    """Read the first frames, from which the reference is made."""
    area = source.height * source.width
    wanted = int(np.clip(_LEAD_BYTES // max(area, 1), 16, _MAX_LEAD_FRAMES))
    pieces = []
    count = 0
    for batch in batches:
        pieces.append(batch.copy())
        count += len(batch)
        if count >= wanted:
            break
    if count < 2:
        raise VisualMicError(
            f"{source.name} has {count} frame{'' if count == 1 else 's'}: motion needs at least"
            " two; check that this is the film you meant"
        )
    return np.concatenate(pieces) if len(pieces) > 1 else pieces[0]


def _prepare(
    lead: NDArray[np.uint8], settings: LucasKanadeSettings, pool: ThreadPoolExecutor, threads: int
) -> BlockTracker:
    """Make the reference, the noise model and the tracker from the first frames."""
    reference = _mean_image(lead)
    variance = _difference_variance(lead)
    usable = ~unusable_pixels(reference, variance)

    averaged = len(lead)
    swings_px = 0.0

    def make(image: Floats, noise: NoiseModel, local: bool) -> BlockTracker:
        return BlockTracker(
            image,
            usable,
            noise,
            averaged=averaged,
            block_px=settings.block_px,
            illumination=settings.illumination != "none",
            local_illumination=local,
            follow=settings.follow,
            swings_px=swings_px,
            pool=pool,
            threads=threads,
        )

    noise = fit_noise_model(reference[usable], variance[usable])
    local = settings.illumination == "local"
    tracker = make(reference, noise, local)
    some = lead[:: max(1, len(lead) // 96)]
    slow = _slow_frames(lead, 96)
    for attempt in range(4):
        shift, signals = _track(tracker, some)
        spread = float(np.std(shift, axis=0).max())
        if not settings.follow:
            break
        bends = tracker.bends_px(signals)
        swings = max(spread, bends) > _SWINGING_PX
        swings_px = max(float(np.abs(shift).max()), 3 * bends) if swings else 0.0
        if spread < _SHARP_PX:
            break
        # Motion blurs the mean; when it wipes the detail out, one frame is a better start.
        blurred = attempt == 0 and spread > _BLURRED_PX
        reference = (
            some[0].astype(np.float32) if blurred else _aligned_mean(slow, _track(tracker, slow)[0])
        )
        averaged = averaged if blurred else len(slow)
        tracker = make(reference, noise, local)
    near = some[np.abs(shift).max(axis=1) < 0.3]
    if len(near) >= 4:
        left = tracker.pixel_residuals(np.ascontiguousarray(near[:: max(1, len(near) // 32)]))
        variance = (left**2).mean(axis=0)
        followed = usable & (tracker.grid.spread(np.ones(tracker.grid.count, np.float32)) > 0)
        noise = fit_noise_model(reference[followed], variance[followed])
        if settings.illumination == "auto":
            blind = make(reference, noise, True)
            wandering = information_under_light(make(reference, noise, False), left)
            local = float(np.trace(blind.information)) > _WANDERS * wandering
    return make(reference, noise, local)


def _slow_frames(frames: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Choose frames evenly from the slower half: an open shutter smears fast ones."""
    if len(frames) < 4 * count:
        return frames[:: max(1, len(frames) // count)]
    step = max(1, round(float(np.sqrt(frames[0].size)) / 64))
    seen = frames[:, ::step, ::step].astype(np.float32)
    seen -= seen.mean(axis=(1, 2), keepdims=True)
    speed = ((seen[2:] - seen[:-2]) ** 2).mean(axis=(1, 2))
    slower = np.sort(np.argsort(speed, kind="stable")[: len(speed) // 2]) + 1
    return frames[slower[:: len(slower) // count]]


def _track(tracker: BlockTracker, frames: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Displacement of every frame as a whole, (N, 2), and the blocks' signals, (N, 2 * blocks)."""
    tracked = [tracker.track(piece) for piece in _pieces(frames)]
    return (
        np.concatenate([one.shift for one in tracked]),
        np.concatenate([one.signals for one in tracked]),
    )


def _pieces(frames: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    step = max(1, 8 * 2**20 // (frames.shape[1] * frames.shape[2]))
    for start in range(0, len(frames), step):
        yield np.ascontiguousarray(frames[start : start + step])


def _mean_image(frames: NDArray[np.uint8]) -> Floats:
    return (np.add.reduce(frames, axis=0, dtype=np.uint32) / len(frames)).astype(np.float32)


def _difference_variance(frames: NDArray[np.uint8]) -> Floats:
    """Noise variance of each pixel from differences of neighbouring frames."""
    starts = np.unique(np.linspace(0, len(frames) - 2, 24).astype(int))
    total = np.zeros(frames.shape[1:], np.float32)
    for start in starts:
        difference = frames[start + 1].astype(np.float32) - frames[start]
        # A change of the whole frame's light is flicker, not noise.
        difference -= difference.mean()
        total += difference**2
    return total / (2 * len(starts))


def _aligned_mean(frames: NDArray[np.uint8], shift: Floats) -> Floats:
    """Average frames after moving each back by its own shift, (N, 2) in x and y."""
    total = np.zeros(frames.shape[1:], np.float32)
    shift = shift - shift.mean(axis=0)
    for frame, (x, y) in zip(frames, shift, strict=True):
        whole_x, whole_y = round(float(x)), round(float(y))
        height, width = frame.shape
        rows = np.clip(np.arange(height) + whole_y, 0, height - 1)
        columns = np.clip(np.arange(width) + whole_x, 0, width - 1)
        moved = frame[np.ix_(rows, columns)].astype(np.float32)
        total += shifted(moved, whole_x - float(x), whole_y - float(y))
    return total / len(frames)

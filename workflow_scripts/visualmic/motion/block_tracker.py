"""Follow every block of a frame against the reference image."""

import itertools
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from visualmic.motion.block_grid import BORDER_PX, BlockGrid
from visualmic.motion.displaced_templates import Templates
from visualmic.motion.frame_comparison import FrameComparison
from visualmic.motion.projection import project_blocks, project_rows, solve_blocks, whiten_blocks
from visualmic.motion.reference import Floats, NoiseModel, shifted_with_gradient

# A displacement further than this from its template asks for another one: of the whole frame, in
# pixels, or in steps of the templates where it swings, and of a block, which is known less well.
# Templates differ in what they make of the same motion: where one will do, it serves best.
_LINEAR_PX = 0.2
_LINEAR_STEPS = 0.6
_BLOCK_LINEAR_PX = 0.3
_MAX_STEPS = 6
# A block whose template is nearer than it should be by more than this has left the frame.
_LOST_PX = 0.5
# Share of the channels that may go further than all blocks are said to.
_FEW = 0.05
# Blocks known to no better than this are not followed one by one.
_RELIABLE_PX = 0.025
# A block, or a film, whose motion is known to no better than ten pixels shows none.
_LEAST_INFORMATION = 0.01
# Power of a block's texture over that of the noise in the reference, below which it has none.
_LEAST_TEXTURE = 3.0


@dataclass(frozen=True)
class Tracked:
    """What one batch of frames gave.

    Attributes
    ----------
    signals : ndarray, float32, (B, 2 * blocks)
        Whitened displacement of each block.
    gain : ndarray, float32, (B,)
        Brightness of the frame relative to the reference, less one.
    offset : ndarray, float32, (B,)
        Grey levels that were added to all of the frame.
    residual : ndarray, float32, (B,)
        Mean squared weighted difference from the reference, gain and offset removed.
    shift : ndarray, float32, (B, 2)
        Displacement of the whole frame in x and y, in pixels.
    """

    signals: Floats
    gain: Floats
    offset: Floats
    residual: Floats
    shift: Floats


@dataclass(frozen=True)
class _Layout:
    """What each block of each frame is compared with, and whether it has left the frame.

    ``asked`` (B, blocks, 2) is the displacement at which it should be compared, in pixels, and
    ``at`` that of its template: nearer where the block would leave the frame. ``slots`` names the
    template, ``offset_y`` and ``offset_x`` are whole pixels; all others (B, blocks).
    """

    asked: Floats
    at: Floats
    slots: NDArray[np.int32]
    offset_y: NDArray[np.int32]
    offset_x: NDArray[np.int32]
    lost: NDArray[np.bool_]

    @cached_property
    def together(self) -> NDArray[np.bool_]:
        """Frames (B,) whose blocks are all compared with one template at one place."""
        same = [
            (one == one[:, :1]).all(axis=1) for one in (self.slots, self.offset_y, self.offset_x)
        ]
        return np.asarray(same[0] & same[1] & same[2])


@dataclass(frozen=True)
class _Compared:
    """What a layout gave.

    ``sums`` (B, blocks, 2) is frame times gradient, ``share`` (B, blocks) how much of the result
    the layout makes: all of it where it is the only one.
    """

    layout: _Layout
    sums: Floats
    share: Floats


class BlockTracker:
    """Measure the displacement of blocks against a reference image.

    Parameters
    ----------
    reference : ndarray, float32, (H, W)
        Noise-free image in grey levels.
    usable : ndarray, bool, (H, W)
        Pixels that carry motion.
    noise : NoiseModel
        Noise variance as a function of brightness.
    averaged : int
        Frames that the reference is the mean of: what texture their noise leaves in it is none.
    block_px : int
        Side of a block in pixels, or 0 to choose.
    illumination, local_illumination : bool
        Remove gain and offset of the whole frame, and of each block.
    follow : bool
        Follow motion beyond the linear range.
    swings_px : float
        How far the frame or its blocks move, where that is far beyond it; else 0.
    pool : Executor
        Runs the ranges of blocks.
    threads : int
        How many ranges.
    """

    def __init__(
        self,
        reference: Floats,
        usable: NDArray[np.bool_],
        noise: NoiseModel,
        *,
        averaged: int,
        block_px: int,
        illumination: bool,
        local_illumination: bool,
        follow: bool,
        swings_px: float,
        pool: Executor,
        threads: int,
    ) -> None:
        self.swings = swings_px > 0
        self.reference = np.ascontiguousarray(reference, np.float32)
        self.noise = noise
        self.illumination = illumination
        self.local_illumination = local_illumination
        self.tracked = 0
        self.retracked = 0
        self._follow = follow
        self._pool = pool
        self._threads = threads
        self.weight = (usable / noise.variance(self.reference)).astype(np.float32)
        if self.swings:
            # What the templates hold at the border would need to be known of the picture beyond.
            inside = np.zeros(self.weight.shape, np.bool_)
            inside[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX] = True
            self.weight[~inside] = 0
        self.unusable_fraction = float(1.0 - usable.mean())
        total = float(self.weight.sum()) or 1.0
        self.mean_level = float((self.weight * self.reference).sum()) / total
        self.grid = BlockGrid(reference.shape, block_px, swings_px)
        self._leave_out_blank(averaged)
        self.templates = Templates(self)
        self._linear_px = _LINEAR_STEPS / self.templates.steps if self.swings else _LINEAR_PX
        still = int(self.templates.slots(self.templates.quantise(np.zeros(2))[0]))
        tensor = self.templates.tensor[still].astype(np.float64)
        eigenvalues, vectors = np.linalg.eigh(tensor)
        eigenvalues = np.where(eigenvalues > _LEAST_INFORMATION, eigenvalues, 0.0)
        whitener = np.sqrt(eigenvalues)[:, :, None] * vectors.transpose(0, 2, 1)
        self.whitener = np.ascontiguousarray(whitener, np.float32)
        self.information = tensor.sum(axis=0)
        strongest = float(np.linalg.eigvalsh(self.information)[-1])
        self.cramer_rao_px = (
            float(1.0 / np.sqrt(strongest)) if strongest > _LEAST_INFORMATION else float("inf")
        )
        self._reliable = eigenvalues[:, 0] > 1.0 / _RELIABLE_PX**2
        self._followed_variance = (
            self._reliable[:, None] / np.maximum(eigenvalues, _LEAST_INFORMATION)
        ).ravel()
        self.comparison = FrameComparison(
            self.reference,
            self.weight,
            illumination=illumination,
            follow=follow,
            pool=pool,
            threads=threads,
        )
        self._position: Floats = np.zeros(2)
        self._still: _Layout | None = None

    def _leave_out_blank(self, averaged: int) -> None:
        """Give no weight to blocks whose texture is no more than what noise left in the mean."""
        _, *gradients = shifted_with_gradient(self.reference, 0.0, 0.0)
        found = sum(self.grid.sums(self.weight * gradient**2) for gradient in gradients)
        impulse = np.zeros((33, 33), np.float32)
        impulse[16, 16] = 1.0
        _, *responses = shifted_with_gradient(impulse, 0.0, 0.0)
        noise = float(sum((response**2).sum() for response in responses)) / averaged
        pixels = self.grid.sums((self.weight > 0).astype(np.float32))
        blank = found < _LEAST_TEXTURE * noise * pixels
        self.weight[self.grid.spread(blank.astype(np.float32)) > 0] = 0

    def without_brightness(self, maps: Floats, centred: Floats) -> Floats:
        """Make gradient maps blind to gain and offset of each block.

        Each map of (2, H, W) is made orthogonal, within each block, to one and to the image: the
        displacement part of the joint least squares over (dx, dy, gain, offset).
        """
        level = np.maximum(self.grid.sums(self.weight), 1e-12)
        contrast = centred - self.grid.spread(self.grid.sums(self.weight * centred) / level)
        power = np.maximum(self.grid.sums(self.weight * contrast**2), 1e-6)
        cleaned = []
        for one in maps:
            offset = self.grid.spread(self.grid.sums(one) / level)
            gain = self.grid.spread(self.grid.sums(one * contrast) / power)
            cleaned.append(one - self.weight * (offset + gain * contrast))
        return np.stack(cleaned)

    def track(self, frames: NDArray[np.uint8]) -> Tracked:
        """Measure a batch of frames (B, H, W) that follows the one before."""
        count = len(frames)
        self.tracked += count
        coarse, *light, residual = self.comparison.compare(frames, self._position)
        position = np.tile(self._position, (count, 1))
        if self._follow:
            far = np.abs(coarse - position).max(axis=1) > self._linear_px
            position[far] = self.templates.quantise(coarse[far])[2]
        displacement, shift, gain = self._fit(frames, position, *light)
        if self._follow:
            self._position = self.templates.quantise(np.median(shift, axis=0))[2]
        signals = np.empty((count, 2 * self.grid.count), np.float32)
        whiten_blocks(displacement, self.whitener, signals)
        return Tracked(
            signals,
            gain,
            light[-1],
            residual,
            shift.astype(np.float32),
        )

    def _fit(
        self,
        frames: NDArray[np.uint8],
        position: Floats,
        whole: Floats,
        gain: Floats,
        offset: Floats,
    ) -> tuple[Floats, Floats, Floats]:
        """Displacement of each block (B, blocks, 2) and frame (B, 2) in pixels, and gain (B,).

        `gain` and `offset` of the light were found at `whole` pixels of displacement.
        """
        count = len(frames)
        at = np.repeat(position[:, None, :], self.grid.count, axis=1)
        wanted = np.ones((count, self.grid.count), np.bool_)
        sums = np.zeros((count, self.grid.count, 2), np.float32)
        entire = np.ones((count, self.grid.count), np.float32)
        # Blocks that go their own way: none before the whole frame is near its template.
        alone = np.zeros((count, self.grid.count), np.bool_)
        settled = False
        for step in range(_MAX_STEPS):
            layout = self._layout(at)
            at = layout.asked
            self._project(frames, layout, wanted, sums)
            displacement, shift, reach = self._solve(
                [_Compared(layout, sums, entire)], gain, offset
            )
            if not self._follow or step == _MAX_STEPS - 1:
                break
            if self._is_near(layout, shift, reach):
                break
            # The whole frame first; then each block that goes its own way and can be trusted.
            target, wanted = self._next(at, displacement, shift, alone)
            settled |= not wanted.any()
            if settled:
                apart = np.abs(displacement - at).max(axis=2) > _BLOCK_LINEAR_PX
                alone |= self._reliable & apart
                target, wanted = self._next(at, displacement, shift, alone)
            if not wanted.any():
                break
            self.retracked += int(np.count_nonzero(wanted.any(axis=1)))
            held = np.clip(target, -self.comparison.limit, self.comparison.limit)
            at = np.where(wanted[..., None], held, at)
        lost = layout.lost
        if self.swings:
            if self.illumination:
                gain = self.comparison.gain_of_light(gain, shift - whole)
            compared = self._compare_around(frames, displacement, shift)
            displacement, shift, _ = self._solve(compared, gain, offset)
            lost = compared[0].layout.lost
        if lost.any():
            displacement[lost] = np.repeat(shift[:, None, :], self.grid.count, axis=1)[lost]
        return displacement, shift, gain

    def _compare_around(
        self, frames: NDArray[np.uint8], displacement: Floats, shift: Floats
    ) -> list[_Compared]:
        """Compare with the templates on all sides of where frames and blocks were found.

        A template `a` makes ``a + G (d - a)`` of the displacement `d`, with a `G` that is not quite
        one: the shutter smears what moves fast, and the reference is not quite sharp.
        Shares that sum to one and put their templates' mean at `d` give `d` for any `G`.
        """
        aim: Floats = np.repeat(shift[:, None, :], self.grid.count, axis=1)
        own = self._reliable & (np.abs(displacement - aim).max(axis=2) > _BLOCK_LINEAR_PX)
        aim[own] = displacement[own]
        around = self.templates.around(np.clip(aim, -self.comparison.limit, self.comparison.limit))
        # All see the same pixels of the frame, so that no block is lost to one of them only.
        _, whole, _ = self.templates.quantise(around[0][0])
        wanted = np.ones(aim.shape[:2], np.bool_)
        compared = []
        for at, share in around:
            layout = self._layout(at, whole)
            sums = np.zeros(aim.shape, np.float32)
            self._project(frames, layout, wanted, sums)
            compared.append(_Compared(layout, sums, share))
        return compared

    def _next(
        self, at: Floats, displacement: Floats, shift: Floats, alone: NDArray[np.bool_]
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """Where blocks should be compared next (B, blocks, 2), and which (B, blocks) must be.

        Those that are `alone` (B, blocks) follow themselves, the others the whole frame.
        """
        target: Floats = np.where(alone[..., None], displacement, shift[:, None, :])
        reach = np.where(alone, _BLOCK_LINEAR_PX, self._linear_px)
        wanted = np.abs(target - at).max(axis=2) > reach
        # One step of a linear fit is not trusted beyond the reach of the coarse one.
        return np.clip(target, at - 1.0, at + 1.0), wanted

    def _layout(self, at: Floats, whole: NDArray[np.int32] | None = None) -> "_Layout":
        """Say which pixels and templates blocks at `at` (B, blocks, 2) are compared with."""
        if self._still is not None and at.shape == self._still.at.shape and not at.any():
            return self._still
        index, whole, asked = self.templates.quantise(at, whole)
        corner = np.stack([self.grid.x, self.grid.y], axis=-1)
        room = np.array(self.reference.shape[::-1]) - [self.grid.width, self.grid.height] - corner
        inside = np.clip(whole, -corner, room).astype(np.int32)
        at = asked
        out = inside != whole
        if out.any():
            # A template half a pixel short still serves.
            near = np.clip(asked, inside - 0.5, inside + 0.5)
            index, _, at = self.templates.quantise(np.where(out, near, asked), inside)
        lost = np.abs(asked - at).max(axis=2) > _LOST_PX
        offset_x, offset_y = (np.ascontiguousarray(inside[..., i]) for i in range(2))
        layout = _Layout(asked, at, self.templates.slots(index), offset_y, offset_x, lost)
        if not asked.any():
            self._still = layout
        return layout

    def _solve(
        self, compared: Sequence[_Compared], gain: Floats, offset: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """Displacement of blocks (B, blocks, 2) and frames (B, 2), and how far blocks reach (B,).

        A frame's displacement is the one that its blocks agree on best.
        """
        displacement = np.zeros_like(compared[0].sums)
        frame = np.zeros((len(displacement), 6))
        templates = self.templates
        # Gain is about the mean level of the comparison, the templates' about their own.
        level = offset + gain * (self.mean_level - self.comparison.mean)
        uniform = self.illumination and not self.local_illumination
        for one in compared:
            solve_blocks(
                one.sums,
                one.layout.at.astype(np.float32),
                one.layout.slots,
                one.layout.lost,
                one.share,
                self._reliable,
                templates.inverse,
                templates.tensor,
                templates.with_image,
                templates.with_centred,
                templates.with_one,
                gain,
                gain * uniform,
                (level * uniform).astype(np.float32),
                displacement,
                frame,
            )
        xx, xy, yy, pull_x, pull_y, reach = frame.T
        ridge = 1e-6 * (xx + yy) + 1e-9
        xx, yy = xx + ridge, yy + ridge
        determinant = xx * yy - xy**2
        shift = np.column_stack([yy * pull_x - xy * pull_y, xx * pull_y - xy * pull_x])
        return displacement, shift / determinant[:, None], reach

    def _is_near(self, layout: "_Layout", shift: Floats, reach: Floats) -> bool:
        """Whether all blocks of all frames are within the linear range of their templates."""
        if reach.max(initial=0.0) > _BLOCK_LINEAR_PX or not layout.together.all():
            return False
        return bool(np.abs(shift - layout.asked[:, 0]).max(initial=0.0) <= self._linear_px)

    def _project(
        self,
        frames: NDArray[np.uint8],
        layout: "_Layout",
        wanted: NDArray[np.bool_],
        sums: Floats,
    ) -> None:
        """Sum frame times gradient over the blocks that are `wanted` (B, blocks), into `sums`."""
        together = layout.together & wanted.all(axis=1)
        whole = np.flatnonzero(together).astype(np.int32)
        if len(whole):
            self._project_whole(frames, layout, whole, sums)
        if len(whole) == len(frames):
            return
        apart = wanted & ~together[:, None]

        def run(part: tuple[int, int]) -> None:
            project_blocks(
                frames,
                self.templates.maps,
                layout.slots,
                layout.offset_y,
                layout.offset_x,
                apart,
                self.grid.y,
                self.grid.x,
                self.grid.height,
                self.grid.width,
                part[0],
                part[1],
                sums,
            )

        list(self._pool.map(run, self._parts(self.grid.count)))

    def _project_whole(
        self, frames: NDArray[np.uint8], layout: "_Layout", whole: NDArray[np.int32], sums: Floats
    ) -> None:
        """Do the same for frames of which all blocks moved alike."""
        rows, columns = self.grid.rows, self.grid.columns
        slots, offset_y, offset_x = (
            np.ascontiguousarray(one[:, 0])
            for one in (layout.slots, layout.offset_y, layout.offset_x)
        )

        def run(part: tuple[int, int]) -> None:
            project_rows(
                frames,
                whole,
                self.templates.maps,
                slots,
                offset_y,
                offset_x,
                int(self.grid.y[0]),
                int(self.grid.x[0]),
                self.grid.height,
                self.grid.width,
                columns,
                part[0],
                part[1],
                np.empty((2, columns * self.grid.width), np.float32),
                sums,
            )

        list(self._pool.map(run, self._parts(rows)))

    def bends_px(self, signals: Floats) -> float:
        """How far blocks that are followed move, root mean square, but for a few that go further.

        Parameters
        ----------
        signals : ndarray, float32, (N, 2 * blocks)
            Of :class:`Tracked`.
        """
        moved = np.maximum(signals.var(axis=0) - 1.0, 0.0) * self._followed_variance
        return float(np.sqrt(np.quantile(moved, 1 - _FEW)))

    def _parts(self, count: int) -> list[tuple[int, int]]:
        """Part a range among the threads."""
        edges = np.linspace(0, count, self._threads + 1).astype(int).tolist()
        return [(a, b) for a, b in itertools.pairwise(edges) if a < b]

    def pixel_residuals(self, frames: NDArray[np.uint8]) -> Floats:
        """Take light and motion from frames (B, H, W) near the reference; give what is left."""
        _, whole, gain, offset, _ = self.comparison.compare(frames, self._position)
        displacement, _, gain = self._fit(frames, np.zeros((len(frames), 2)), whole, gain, offset)
        _, gradient_x, gradient_y = shifted_with_gradient(self.reference, 0.0, 0.0)
        left = np.empty(frames.shape, np.float32)
        for t, frame in enumerate(frames):
            model = self.reference + gain[t] * (self.reference - self.comparison.mean) + offset[t]
            model -= self.grid.spread(displacement[t, :, 0]) * gradient_x
            model -= self.grid.spread(displacement[t, :, 1]) * gradient_y
            left[t] = frame - model
        return left

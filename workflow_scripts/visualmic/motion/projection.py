"""Inner products of many frames with fixed images: where the time of the estimator goes.

They run without the interpreter lock, so that a thread for each range of blocks uses every core.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visualmic.compiled import compiled


@compiled(
    "u1[3], f4[4], i4[2], i4[2], i4[2], b1[2], i4[1], i4[1], i8, i8, i8, i8, f4[3]",
    fastmath=True,
)
def project_blocks(
    frames: NDArray[np.uint8],
    maps: NDArray[np.floating[Any]],
    template: NDArray[np.int32],
    offset_y: NDArray[np.int32],
    offset_x: NDArray[np.int32],
    wanted: NDArray[np.bool_],
    block_y: NDArray[np.int32],
    block_x: NDArray[np.int32],
    height: int,
    width: int,
    first: int,
    last: int,
    out: NDArray[np.floating[Any]],
) -> None:
    """Sum frame times gradient over each block, for blocks `first` to `last`.

    Parameters
    ----------
    frames : ndarray, uint8, (B, H, W)
    maps : ndarray, float32, (F, 2, H, W)
        Weighted gradients of template F in x and y.
    template, offset_y, offset_x : ndarray, int32, (B, blocks)
        The template a block of a frame is compared with, and the whole pixels it has moved.
    wanted : ndarray, bool, (B, blocks)
        The sums to do; the others keep what `out` holds.
    block_y, block_x : ndarray, int32, (blocks,)
        Top left corner of each block in the reference.
    height, width : int
        Size of a block in pixels.
    first, last : int
        Range of blocks to do.
    out : ndarray, float32, (B, blocks, 2)
        Receives the sums.
    """
    for block in range(first, last):
        top = block_y[block]
        left = block_x[block]
        for t in range(frames.shape[0]):
            if not wanted[t, block]:
                continue
            which = template[t, block]
            y0 = top + offset_y[t, block]
            x0 = left + offset_x[t, block]
            sum_x = np.float32(0.0)
            sum_y = np.float32(0.0)
            for y in range(height):
                row = frames[t, y0 + y, x0 : x0 + width]
                map_x = maps[which, 0, top + y, left : left + width]
                map_y = maps[which, 1, top + y, left : left + width]
                for x in range(width):
                    value = np.float32(row[x])
                    sum_x += value * map_x[x]
                    sum_y += value * map_y[x]
            out[t, block, 0] = sum_x
            out[t, block, 1] = sum_y


@compiled(
    "u1[3], i4[1], f4[4], i4[1], i4[1], i4[1], i8, i8, i8, i8, i8, i8, i8, f4[2], f4[3]",
    fastmath=True,
)
def project_rows(
    frames: NDArray[np.uint8],
    wanted: NDArray[np.int32],
    maps: NDArray[np.floating[Any]],
    template: NDArray[np.int32],
    offset_y: NDArray[np.int32],
    offset_x: NDArray[np.int32],
    top: int,
    left: int,
    height: int,
    width: int,
    columns: int,
    first: int,
    last: int,
    sums: NDArray[np.floating[Any]],
    out: NDArray[np.floating[Any]],
) -> None:
    """Sum frame times gradient over all blocks of frames that moved as a whole.

    The same sums as :func:`project_blocks`, several times as fast: whole rows of the frame are
    multiplied, four at a time, and only their sums are parted into blocks.

    Parameters
    ----------
    frames : ndarray, uint8, (B, H, W)
    wanted : ndarray, int32, (N,)
        The frames to do.
    maps : ndarray, float32, (F, 2, H, W)
        Weighted gradients of template F in x and y.
    template, offset_y, offset_x : ndarray, int32, (B,)
        The template a frame is compared with, and the whole pixels it has moved.
    top, left : int
        Corner of the first block in the reference.
    height, width : int
        Size of a block in pixels.
    columns : int
        Blocks side by side.
    first, last : int
        Range of rows of blocks to do.
    sums : ndarray, float32, (2, columns * width)
        Room to work in.
    out : ndarray, float32, (B, blocks, 2)
        Receives the sums.
    """
    span = columns * width
    sum_x, sum_y = sums[0], sums[1]
    for row in range(first, last):
        begin = top + row * height
        for t in wanted:
            which = template[t]
            at_y = begin + offset_y[t]
            at = left + offset_x[t]
            end = at + span
            right = left + span
            sum_x[:] = 0.0
            sum_y[:] = 0.0
            # Only slices of the last axis are known to be contiguous, and vectorised.
            for y in range(0, height - 3, 4):
                p0, p1 = frames[t, at_y + y, at:end], frames[t, at_y + y + 1, at:end]
                p2, p3 = frames[t, at_y + y + 2, at:end], frames[t, at_y + y + 3, at:end]
                line = begin + y
                a0, a1 = maps[which, 0, line, left:right], maps[which, 0, line + 1, left:right]
                a2, a3 = maps[which, 0, line + 2, left:right], maps[which, 0, line + 3, left:right]
                b0, b1 = maps[which, 1, line, left:right], maps[which, 1, line + 1, left:right]
                b2, b3 = maps[which, 1, line + 2, left:right], maps[which, 1, line + 3, left:right]
                for x in range(span):
                    v0, v1 = np.float32(p0[x]), np.float32(p1[x])
                    v2, v3 = np.float32(p2[x]), np.float32(p3[x])
                    sum_x[x] += v0 * a0[x] + v1 * a1[x] + v2 * a2[x] + v3 * a3[x]
                    sum_y[x] += v0 * b0[x] + v1 * b1[x] + v2 * b2[x] + v3 * b3[x]
            for y in range(height - height % 4, height):
                p0 = frames[t, at_y + y, at:end]
                a0, b0 = (
                    maps[which, 0, begin + y, left:right],
                    maps[which, 1, begin + y, left:right],
                )
                for x in range(span):
                    v0 = np.float32(p0[x])
                    sum_x[x] += v0 * a0[x]
                    sum_y[x] += v0 * b0[x]
            for column in range(columns):
                block_x = np.float32(0.0)
                block_y = np.float32(0.0)
                for x in range(column * width, (column + 1) * width):
                    block_x += sum_x[x]
                    block_y += sum_y[x]
                out[t, row * columns + column, 0] = block_x
                out[t, row * columns + column, 1] = block_y


@compiled("u1[3], i4[1], f4[2], f4[2], f4[3], i4[1], i4[1], i8, i8, f8[2]", fastmath=True)
def compare_frames(
    frames: NDArray[np.uint8],
    wanted: NDArray[np.int32],
    reference: NDArray[np.floating[Any]],
    weight: NDArray[np.floating[Any]],
    coarse: NDArray[np.floating[Any]],
    offset_y: NDArray[np.int32],
    offset_x: NDArray[np.int32],
    margin: int,
    row_step: int,
    out: NDArray[np.floating[Any]],
) -> None:
    """Compare whole frames with the reference on every `row_step`-th row.

    Parameters
    ----------
    frames : ndarray, uint8, (B, H, W)
    wanted : ndarray, int32, (N,)
        The frames to do.
    reference, weight : ndarray, float32, (H, W)
        Reference image in grey levels, and the weight of each pixel.
    coarse : ndarray, float32, (2, H, W)
        Weighted gradients of the blurred reference: a wide basin for large shifts.
    offset_y, offset_x : ndarray, int32, (B,)
        Whole pixels each frame has moved.
    margin : int
        Pixels at the border that are left out.
    row_step : int
        Use every so many rows.
    out : ndarray, float64, (B, 5)
        Receives the weighted sums of r, r times the reference, r squared, and r times the two
        coarse gradients, where r is the frame minus the reference.
    """
    height, width = reference.shape
    inside = width - 2 * margin
    for t in wanted:
        out[t] = 0.0
        x0 = margin + offset_x[t]
        for y in range(margin, height - margin, row_step):
            s0 = np.float32(0.0)
            s1 = np.float32(0.0)
            s2 = np.float32(0.0)
            s3 = np.float32(0.0)
            s4 = np.float32(0.0)
            # Slices that start where the loop does need no test for negative indices.
            row = frames[t, y + offset_y[t], x0 : x0 + inside]
            image = reference[y, margin : margin + inside]
            worth = weight[y, margin : margin + inside]
            coarse_x = coarse[0, y, margin : margin + inside]
            coarse_y = coarse[1, y, margin : margin + inside]
            for x in range(inside):
                r = np.float32(row[x]) - image[x]
                wr = worth[x] * r
                s0 += wr
                s1 += wr * image[x]
                s2 += wr * r
                s3 += r * coarse_x[x]
                s4 += r * coarse_y[x]
            out[t, 0] += s0
            out[t, 1] += s1
            out[t, 2] += s2
            out[t, 3] += s3
            out[t, 4] += s4


@compiled(
    "f4[3], f4[3], i4[2], b1[2], f4[2], b1[1], f4[4], f4[4], f4[3], f4[3], f4[3], f4[1], f4[1],"
    " f4[1], f4[3], f8[2]",
    fastmath=True,
)
def solve_blocks(
    sums: NDArray[np.floating[Any]],
    at: NDArray[np.floating[Any]],
    slots: NDArray[np.int32],
    lost: NDArray[np.bool_],
    share: NDArray[np.floating[Any]],
    reliable: NDArray[np.bool_],
    inverse: NDArray[np.floating[Any]],
    tensor: NDArray[np.floating[Any]],
    with_image: NDArray[np.floating[Any]],
    with_centred: NDArray[np.floating[Any]],
    with_one: NDArray[np.floating[Any]],
    gain: NDArray[np.floating[Any]],
    fitted_gain: NDArray[np.floating[Any]],
    fitted_level: NDArray[np.floating[Any]],
    displacement: NDArray[np.floating[Any]],
    frame: NDArray[np.floating[Any]],
) -> None:
    """Turn the sums of :func:`project_blocks` into displacements, and add them up by frame.

    Parameters
    ----------
    sums, at : ndarray, float32, (B, blocks, 2)
        Frame times gradient, and displacement of the template, in pixels.
    slots, lost : ndarray, (B, blocks)
        The template, and whether the block has left the frame.
    share : ndarray, float32, (B, blocks)
        How much this comparison counts among those that are added up.
    reliable : ndarray, bool, (blocks,)
        Blocks whose own motion can be trusted.
    inverse, tensor : ndarray, float32, (F, blocks, 2, 2)
        Structure tensors, and their inverses.
    with_image, with_centred, with_one : ndarray, float32, (F, blocks, 2)
        Gradient times template, times its contrast, and summed.
    gain, fitted_gain, fitted_level : ndarray, float32, (B,)
        Change of the lamp, and what of gain and level is to be taken out of the sums.
    displacement : ndarray, float32, (B, blocks, 2)
        Its share of the displacement of each block, in pixels, is added to this.
    frame : ndarray, float64, (B, 6)
        So are the sums over blocks of the tensor's xx, xy, yy and of its product with the
        displacement. The last is the furthest that a reliable block is from its template.
    """
    for t in range(sums.shape[0]):
        scale = np.float32(1.0) / (np.float32(1.0) + gain[t])
        xx = xy = yy = pull_x = pull_y = 0.0
        reach = np.float32(frame[t, 5])
        for b in range(sums.shape[1]):
            f = slots[t, b]
            left_x = with_image[f, b, 0] - sums[t, b, 0]
            left_y = with_image[f, b, 1] - sums[t, b, 1]
            left_x += fitted_gain[t] * with_centred[f, b, 0] + fitted_level[t] * with_one[f, b, 0]
            left_y += fitted_gain[t] * with_centred[f, b, 1] + fitted_level[t] * with_one[f, b, 1]
            left_x *= scale
            left_y *= scale
            step_x = inverse[f, b, 0, 0] * left_x + inverse[f, b, 0, 1] * left_y
            step_y = inverse[f, b, 1, 0] * left_x + inverse[f, b, 1, 1] * left_y
            x = at[t, b, 0] + step_x
            y = at[t, b, 1] + step_y
            part = share[t, b]
            displacement[t, b, 0] += part * x
            displacement[t, b, 1] += part * y
            if reliable[b]:
                reach = max(reach, max(abs(step_x), abs(step_y)))
            if not lost[t, b]:
                xx += part * tensor[f, b, 0, 0]
                xy += part * tensor[f, b, 0, 1]
                yy += part * tensor[f, b, 1, 1]
                pull_x += part * (tensor[f, b, 0, 0] * x + tensor[f, b, 0, 1] * y)
                pull_y += part * (tensor[f, b, 1, 0] * x + tensor[f, b, 1, 1] * y)
        frame[t, 0] += xx
        frame[t, 1] += xy
        frame[t, 2] += yy
        frame[t, 3] += pull_x
        frame[t, 4] += pull_y
        frame[t, 5] = reach


@compiled("f4[3], f4[3], f4[2]", fastmath=True)
def whiten_blocks(
    displacement: NDArray[np.floating[Any]],
    whitener: NDArray[np.floating[Any]],
    out: NDArray[np.floating[Any]],
) -> None:
    """Multiply displacements (B, blocks, 2) by each block's whitener (blocks, 2, 2): (B, C)."""
    for t in range(displacement.shape[0]):
        for b in range(displacement.shape[1]):
            x = displacement[t, b, 0]
            y = displacement[t, b, 1]
            out[t, 2 * b] = whitener[b, 0, 0] * x + whitener[b, 0, 1] * y
            out[t, 2 * b + 1] = whitener[b, 1, 0] * x + whitener[b, 1, 1] * y

"""Inner products of many frames with fixed images: where the time of the estimator goes.

Compiled by numba on first use and kept in its cache. The functions release the interpreter lock,
so that a thread for each range of blocks uses every core.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(nogil=True, fastmath=True, cache=True)
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


@njit(nogil=True, fastmath=True, cache=True)
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
    for n in range(wanted.shape[0]):
        t = wanted[n]
        out[t] = 0.0
        for y in range(margin, height - margin, row_step):
            s0 = np.float32(0.0)
            s1 = np.float32(0.0)
            s2 = np.float32(0.0)
            s3 = np.float32(0.0)
            s4 = np.float32(0.0)
            row = frames[t, y + offset_y[t]]
            shift = offset_x[t]
            for x in range(margin, width - margin):
                r = np.float32(row[x + shift]) - reference[y, x]
                wr = weight[y, x] * r
                s0 += wr
                s1 += wr * reference[y, x]
                s2 += wr * r
                s3 += r * coarse[0, y, x]
                s4 += r * coarse[1, y, x]
            out[t, 0] += s0
            out[t, 1] += s1
            out[t, 2] += s2
            out[t, 3] += s3
            out[t, 4] += s4

"""Frames of a displaced texture, true to a hundred-thousandth of a pixel.

The frame is ``I(x - d(x))`` with the texture I a trigonometric polynomial. Around the nodes of a
grid a quarter of a pixel wide, I and all its derivatives up to the fourth are made by Fourier
transform, which is exact, and the rest of the way, at most an eighth of a pixel, is a Taylor
polynomial:

    I(x - n - r) = sum_{i + j <= 4} (-r_x)^i (-r_y)^j / (i! j!) d^(i+j) I / dx^i dy^j (x - n).

At frequency w (radians a pixel) the remainder is below ``(w |r|_1)^5 / 120`` of the component's
amplitude. That is largest at the texture's band limit, where there is little light; the whole
error, as displacement, is below 1e-5 px (a test holds it against Fourier shifts).
"""

from math import factorial

import numpy as np
from numpy.typing import NDArray

from visualmic.compiled import compiled
from visualmic.simulate.textures import MARGIN

NODES_PER_PX = 4
# Exponents (i, j) of r_x and r_y in the order the kernel reads the coefficients.
TERMS = tuple((i, j) for j in range(5) for i in range(5 - j))


class Renderer:
    """Makes frames of one texture moved by modes and by the camera.

    Parameters
    ----------
    texture : ndarray, float64, (Hp, Wp)
        One period of the band-limited texture, as :mod:`visualmic.simulate.textures` makes it.
    shapes : ndarray, float32, (K, 2, H, W)
        Mode shapes in pixels of displacement per unit of the mode.
    reach_px : ndarray, float64, (2, 2)
        Least and greatest displacement in x (row 0) and y (row 1) that will be asked for.
    """

    def __init__(
        self,
        texture: NDArray[np.float64],
        shapes: NDArray[np.float32],
        reach_px: NDArray[np.float64],
    ) -> None:
        self.height, self.width = shapes.shape[2:]
        self._shapes = np.ascontiguousarray(shapes, dtype=np.float32)
        nodes = np.rint(np.asarray(reach_px) * NODES_PER_PX).astype(int)
        self._border = int(np.abs(nodes).max()) // NODES_PER_PX + 1
        self._one_node = bool(np.all(nodes == 0))
        steps_x, steps_y = (_steps_in_use(*nodes[axis]) for axis in range(2))
        self._slot = np.full((NODES_PER_PX, NODES_PER_PX), -1, dtype=np.int64)
        self._bank = np.empty(
            (
                len(steps_x) * len(steps_y),
                self.height + 2 * self._border,
                len(TERMS),
                self.width + 2 * self._border,
            ),
            dtype=np.float32,
        )
        spectrum = np.fft.rfft2(texture)
        slots = ((x, y) for y in steps_y for x in steps_x)
        for slot, (step_x, step_y) in enumerate(slots):
            self._slot[step_y, step_x] = slot
            self._fill(slot, spectrum, texture.shape, step_x / NODES_PER_PX, step_y / NODES_PER_PX)

    def _fill(
        self,
        slot: int,
        spectrum: NDArray[np.complex128],
        period: tuple[int, ...],
        shift_x: float,
        shift_y: float,
    ) -> None:
        omega_x = 2 * np.pi * np.fft.rfftfreq(period[1])[None, :]
        omega_y = 2 * np.pi * np.fft.fftfreq(period[0])[:, None]
        shifted = spectrum * np.exp(-1j * (omega_x * shift_x + omega_y * shift_y))
        rows = np.arange(-self._border, self.height + self._border) + MARGIN
        columns = np.arange(-self._border, self.width + self._border) + MARGIN
        for number, (i, j) in enumerate(TERMS):
            factor = (-1j * omega_x) ** i * (-1j * omega_y) ** j / (factorial(i) * factorial(j))
            image = np.fft.irfft2(shifted * factor, s=period)
            self._bank[slot, :, number] = image[
                np.ix_(rows % period[0], columns % period[1])
            ].astype(np.float32)

    def render(
        self,
        modes: NDArray[np.float64],
        offset: NDArray[np.float64],
        frame: NDArray[np.int64],
        weight: NDArray[np.float64],
        out: NDArray[np.float32],
    ) -> None:
        """Fill `out` with frames, each the weighted sum of moments within its exposure.

        Parameters
        ----------
        modes : ndarray, (N, K)
            Displacement of each mode at each moment.
        offset : ndarray, (N, 2)
            Displacement of the whole frame in x and y at each moment, in pixels.
        frame : ndarray, int64, (N,)
            Which frame of `out` a moment belongs to.
        weight : ndarray, (N,)
            Share of the exposure that a moment stands for.
        out : ndarray, float32, (B, H, W)
            The frames, in the texture's grey levels.
        """
        out[...] = 0
        _, rows, terms, stride = self._bank.shape
        _render(
            self._bank.reshape(-1),
            rows,
            terms,
            stride,
            self._slot,
            self._shapes,
            np.ascontiguousarray(modes, dtype=np.float32),
            np.ascontiguousarray(offset, dtype=np.float32),
            np.ascontiguousarray(frame, dtype=np.int64),
            np.ascontiguousarray(weight, dtype=np.float32),
            self._border,
            self._one_node,
            np.empty((3, out.shape[2]), np.float32),
            np.zeros((2, out.shape[2]), np.int32),
            out,
        )


def _steps_in_use(lowest: int, highest: int) -> list[int]:
    """Which quarter-pixel steps within a pixel the nodes `lowest` to `highest` fall on."""
    count = min(highest - lowest + 1, NODES_PER_PX)
    return sorted((lowest + number) % NODES_PER_PX for number in range(count))


@compiled("f4[1], i8, i8, f4[1], f4[1], f4, f4[1], f4[1]")
def _polynomial(
    bank: NDArray[np.float32],
    first: int,
    stride: int,
    rest_x: NDArray[np.float32],
    rest_y: NDArray[np.float32],
    weight: np.float32,
    total: NDArray[np.float32],
    row: NDArray[np.float32],
) -> None:
    """Add a run of pixels that share a node to `row`.

    Term k of the run's first pixel is ``bank[first + k stride]``. Plain slices and short loops, one
    for each power of r_y, are what the compiler turns into vector instructions.
    """
    n = row.size
    c0, c1, c2 = bank[first:][:n], bank[first + stride :][:n], bank[first + 2 * stride :][:n]
    c3, c4 = bank[first + 3 * stride :][:n], bank[first + 4 * stride :][:n]
    c5, c6 = bank[first + 5 * stride :][:n], bank[first + 6 * stride :][:n]
    c7, c8 = bank[first + 7 * stride :][:n], bank[first + 8 * stride :][:n]
    c9, c10 = bank[first + 9 * stride :][:n], bank[first + 10 * stride :][:n]
    c11, c12 = bank[first + 11 * stride :][:n], bank[first + 12 * stride :][:n]
    c13, c14 = bank[first + 13 * stride :][:n], bank[first + 14 * stride :][:n]
    for x in range(n):
        total[x] = c12[x] + rest_x[x] * c13[x] + rest_y[x] * c14[x]
    for x in range(n):
        u = rest_x[x]
        total[x] = c9[x] + u * (c10[x] + u * c11[x]) + rest_y[x] * total[x]
    for x in range(n):
        u = rest_x[x]
        total[x] = c5[x] + u * (c6[x] + u * (c7[x] + u * c8[x])) + rest_y[x] * total[x]
    for x in range(n):
        u = rest_x[x]
        inner = c0[x] + u * (c1[x] + u * (c2[x] + u * (c3[x] + u * c4[x])))
        total[x] = inner + rest_y[x] * total[x]
    for x in range(n):
        row[x] += weight * total[x]


@compiled(
    "f4[1], i8, i8, i8, i8[2], f4[4], f4[2], f4[2], i8[1], f4[1], i8, b1, f4[2], i4[2], f4[3]"
)
def _render(
    flat: NDArray[np.float32],
    rows: int,
    terms: int,
    stride: int,
    slot: NDArray[np.int64],
    shapes: NDArray[np.float32],
    modes: NDArray[np.float32],
    offset: NDArray[np.float32],
    frame: NDArray[np.int64],
    weight: NDArray[np.float32],
    border: int,
    one_node: bool,
    room: NDArray[np.float32],
    nodes: NDArray[np.int32],
    out: NDArray[np.float32],
) -> None:
    count = shapes.shape[0]
    height, width = out.shape[1], out.shape[2]
    per_row = terms * stride
    per_slot = rows * per_row
    moved_x, moved_y, total = room[0], room[1], room[2]
    node_x, node_y = nodes[0], nodes[1]
    quarter, per_px = np.float32(1 / NODES_PER_PX), np.float32(NODES_PER_PX)
    # A row's coefficients are used for all frames before the next row, so they stay in cache.
    for y in range(height):
        for n in range(len(frame)):
            moved_x[:] = offset[n, 0]
            moved_y[:] = offset[n, 1]
            for k in range(count):
                q, shape_x, shape_y = modes[n, k], shapes[k, 0, y], shapes[k, 1, y]
                for x in range(width):
                    moved_x[x] += q * shape_x[x]
                for x in range(width):
                    moved_y[x] += q * shape_y[x]
            if not one_node:
                for x in range(width):
                    node = np.rint(moved_x[x] * per_px)
                    moved_x[x] -= node * quarter
                    node_x[x] = np.int32(node)
                for x in range(width):
                    node = np.rint(moved_y[x] * per_px)
                    moved_y[x] -= node * quarter
                    node_y[x] = np.int32(node)
            strangers = 0
            for x in range(width):
                strangers += (node_x[x] != node_x[0]) | (node_y[x] != node_y[0])
            start = 0
            while start < width:
                at_x, at_y = node_x[start], node_y[start]
                stop = start + 1 if strangers else width
                while stop < width and node_x[stop] == at_x and node_y[stop] == at_y:
                    stop += 1
                whole_x, whole_y = at_x // NODES_PER_PX, at_y // NODES_PER_PX
                chosen = slot[at_y - NODES_PER_PX * whole_y, at_x - NODES_PER_PX * whole_x]
                first = chosen * per_slot + (y + border - whole_y) * per_row
                first += start + border - whole_x
                _polynomial(
                    flat,
                    first,
                    stride,
                    moved_x[start:stop],
                    moved_y[start:stop],
                    weight[n],
                    total,
                    out[frame[n], y, start:stop],
                )
                start = stop

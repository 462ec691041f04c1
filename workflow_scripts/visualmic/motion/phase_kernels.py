"""Compiled inner loops of the pyramid: they run without the interpreter lock, once a pixel.

Each function works on one thread, and callers run several at once.
"""

import numpy as np
from numpy.typing import NDArray

from visualmic.compiled import compiled


@compiled("u1[3], i8, f4[3]", fastmath=True)
def block_means(frames: NDArray[np.uint8], factor: int, means: NDArray[np.float32]) -> None:
    """Write the mean of each `factor` x `factor` block of frames ``(B, H, W)`` into `means`."""
    scale = np.float32(1.0 / (factor * factor))
    for index in range(means.shape[0]):
        for y in range(means.shape[1]):
            for x in range(means.shape[2]):
                total = np.float32(0.0)
                for v in range(factor):
                    for u in range(factor):
                        total += np.float32(frames[index, y * factor + v, x * factor + u])
                means[index, y, x] = total * scale


@compiled("c8[3], i8[1], i8[1], f4[2], c8[1], c8[3]", fastmath=True)
def filter_spectrum(
    spectrum: NDArray[np.complex64],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    gain: NDArray[np.float32],
    factor: NDArray[np.complex64],
    product: NDArray[np.complex64],
) -> None:
    """Write ``factor * gain * F(rows, columns)`` into `product` ``(B, len(rows), len(columns))``.

    `spectrum` holds the half ``(B, H, W // 2 + 1)`` of the spectrum ``F`` of real frames; the
    other half is ``F(-y, -x) = conj(F(y, x))``. `columns` names its frequencies from zero up
    before its negative ones, each run consecutive.
    """
    height = spectrum.shape[1]
    positive = 0
    while positive < len(columns) and columns[positive] >= 0:
        positive += 1
    start = columns[0] if positive > 0 else 0
    negative_start = -columns[positive] if positive < len(columns) else 0
    for index in range(spectrum.shape[0]):
        for i in range(len(rows)):
            row = spectrum[index, rows[i] % height]
            mirrored = spectrum[index, -rows[i] % height]
            for j in range(positive):
                product[index, i, j] = row[start + j] * (factor[0] * gain[i, j])
            for j in range(positive, len(columns)):
                value = mirrored[negative_start - (j - positive)]
                product[index, i, j] = np.conj(value) * (factor[0] * gain[i, j])


@compiled("c8[3], c8[2], f8[1], f8[1]", fastmath=True)
def phase_sums(
    coefficients: NDArray[np.complex64],
    reference: NDArray[np.complex64],
    weighted_phase: NDArray[np.float64],
    energy: NDArray[np.float64],
) -> None:
    r"""Amplitude-squared weighted sum of phase differences to a reference, frame by frame.

    .. math:: \Phi(t) = \sum_x |C_t(x)|^2 \arg(C_t(x) \overline{C_0(x)}), \qquad
              E(t) = \sum_x |C_t(x)|^2

    Parameters
    ----------
    coefficients : ndarray, complex64, (B, h, w)
        Subband of every frame.
    reference : ndarray, complex64, (h, w)
        The same subband of the reference.
    weighted_phase, energy : ndarray, float64, (B,)
        Where the sums are written.

    Notes
    -----
    The arctangent is the polynomial of Abramowitz and Stegun 4.4.49 on [0, 1], which is true to
    2e-8, below what single precision holds; it has no branches, so the compiler uses vectors.
    """
    half_turn = np.float32(np.pi)
    quarter_turn = np.float32(np.pi / 2)
    tiny = np.float32(1e-30)
    for index in range(coefficients.shape[0]):
        phase_total = 0.0
        energy_total = 0.0
        for y in range(coefficients.shape[1]):
            # A row at a time in single precision, rows in double: exact enough and fast.
            phase_row = np.float32(0.0)
            energy_row = np.float32(0.0)
            for x in range(coefficients.shape[2]):
                here = coefficients[index, y, x]
                there = reference[y, x]
                across = here.real * there.real + here.imag * there.imag
                along = here.imag * there.real - here.real * there.imag
                power = here.real * here.real + here.imag * here.imag
                a = abs(across)
                b = abs(along)
                ratio = min(a, b) / max(max(a, b), tiny)
                square = ratio * ratio
                angle = np.float32(0.0028662257)
                angle = angle * square - np.float32(0.0161657367)
                angle = angle * square + np.float32(0.0429096138)
                angle = angle * square - np.float32(0.0752896400)
                angle = angle * square + np.float32(0.1065626393)
                angle = angle * square - np.float32(0.1420889944)
                angle = angle * square + np.float32(0.1999355085)
                angle = angle * square - np.float32(0.3333314528)
                angle = (angle * square + np.float32(1.0)) * ratio
                angle = quarter_turn - angle if b > a else angle
                angle = half_turn - angle if across < np.float32(0.0) else angle
                angle = -angle if along < np.float32(0.0) else angle
                phase_row += power * angle
                energy_row += power
            phase_total += float(phase_row)
            energy_total += float(energy_row)
        weighted_phase[index] = phase_total
        energy[index] = energy_total

r"""What could be heard at best: bounds and estimators that know the truth of a simulation.

A frame's noise-free pixels are :math:`I(x - d(x, t))`, so with the true mode shapes the derivative
with respect to mode k is

.. math:: J_k(x, t) = -\phi_k(x) \cdot \nabla I(x - d(x, t)).

With independent noise of variance :math:`\sigma^2(x)` the Fisher information of the modes is
:math:`A_{kl} = \sum_x J_k J_l / \sigma^2`, no unbiased estimator of :math:`q_k` has a variance
below :math:`(A^{-1})_{kk}`, and weighted least squares around the truth reaches it. That
estimator is the oracle: it needs shapes and a starting point that nobody has, and stands in tables
for what the light allowed.

References
----------
D. Robinson and P. Milanfar, "Fundamental performance limits in image registration", IEEE
Transactions on Image Processing 13 (2004).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import irfft, rfft
from scipy.ndimage import uniform_filter1d

from visualmic.errors import VisualMicError
from visualmic.film.source import FrameSource
from visualmic.simulate.render import Renderer
from visualmic.simulate.textures import spectral_gradient
from visualmic.simulate.truth import Truth

CHUNK = 24
# Grey levels this close to black or white may have been clipped, and carry no motion.
CLIPPED_LEVELS = 2.0
SMOOTHING_HZ = 20.0
SMALL_PX = 0.2


def cramer_rao_std(
    gradient: NDArray[np.float64],
    noise_variance: ArrayLike,
    direction_deg: float | None = None,
) -> NDArray[np.float64]:
    r"""Bound the noise of any unbiased estimate of a rigid shift from one frame.

    With the structure tensor :math:`S = \sum_x \nabla I \nabla I^T / \sigma^2(x)` the bound on the
    standard deviation is :math:`\sqrt{(S^{-1})_{ii}}` for x and y estimated together, and
    :math:`1 / \sqrt{u^T S u}` along a known direction u.

    Parameters
    ----------
    gradient : ndarray, (2, H, W)
        Derivatives of the noise-free frame in x and y, in grey levels a pixel.
    noise_variance : float or ndarray, (H, W)
        Variance of a pixel's noise in squared grey levels; rounding to whole levels adds 1/12.
    direction_deg : float, optional
        Known direction of motion, from x towards y.

    Returns
    -------
    ndarray, float64, (2,) or ()
        Standard deviation in pixels, for x and y or along the direction.

    Examples
    --------
    >>> ramp = np.stack([np.full((10, 10), 3.0), np.zeros((10, 10))])
    >>> round(float(cramer_rao_std(ramp, 9.0, direction_deg=0.0)), 6)
    0.1
    """
    weighted = gradient / np.asarray(noise_variance)
    tensor = np.einsum("iyx,jyx->ij", weighted, gradient)
    if direction_deg is None:
        return np.sqrt(np.diag(np.linalg.inv(tensor)))
    turn = np.deg2rad(direction_deg)
    along = np.array([np.cos(turn), np.sin(turn)])
    return 1 / np.sqrt(along @ tensor @ along)


def mode_cramer_rao_std(truth: Truth) -> NDArray[np.float64]:
    """Bound the noise of any unbiased estimate of the modes from one frame at rest: (K,) pixels."""
    jacobian = -np.einsum("kcyx,cyx->kyx", truth.mode_shapes, truth.gradient)
    information = np.einsum("kyx,lyx->kl", jacobian / truth.noise_variance, jacobian)
    return np.sqrt(np.diag(np.linalg.inv(information)))


def oracle_modes(
    source: FrameSource, truth: Truth, camera_known: bool = True
) -> NDArray[np.float64]:
    """Estimate every mode in every frame by least squares around the truth.

    Parameters
    ----------
    source : FrameSource
        The film, before or after compression.
    truth : Truth
        What was filmed.
    camera_known : bool
        Whether shake and lamp are known too; else they are estimated together with the modes,
        frame by frame, and what they share with the modes is lost.

    Returns
    -------
    ndarray, float64, (T, K)
        Modes in pixels.

    Raises
    ------
    VisualMicError
        If film and truth differ in size or length.
    """
    if (source.height, source.width) != truth.shading.shape:
        raise VisualMicError(
            f"{source.name} is {source.width}x{source.height} but its truth is"
            f" {truth.shading.shape[1]}x{truth.shading.shape[0]}; give the truth of this film"
        )
    linear = _Linearised(truth, camera_known)
    estimate = np.empty_like(truth.displacement)
    start = 0
    for batch in source.batches():
        if start + len(batch) > len(estimate):
            break
        for first in range(0, len(batch), CHUNK):
            frames = batch[first : first + CHUNK]
            part = slice(start + first, start + first + len(frames))
            estimate[part] = truth.displacement[part] + linear.correction(frames, part)
        start += len(batch)
    if start != len(estimate):
        raise VisualMicError(
            f"{source.name} has another number of frames than its truth, {len(estimate)}; give"
            " the truth of this film"
        )
    return estimate


def oracle_signal(
    source: FrameSource, truth: Truth, camera_known: bool = True
) -> NDArray[np.float64]:
    r"""Hear the sound as well as the film allows: oracle modes, combined with all that is true.

    At each frequency the modes are :math:`q = h s + n` with the true transfer functions h (times
    gains, where compression shrank the motion), the power P of the true sound and the covariance C
    of the oracle's errors; the linear estimate of least mean square error is

    .. math:: \hat s = \frac{P h^H C^{-1} q}{1 + P h^H C^{-1} h}.

    Parameters
    ----------
    source, truth, camera_known
        As for :func:`oracle_modes`.

    Returns
    -------
    ndarray, float64, (T,)
        The sound in the truth's unit.
    """
    modes = oracle_modes(source, truth, camera_known)
    return combine_modes(modes, truth)


def combine_modes(modes: NDArray[np.float64], truth: Truth) -> NDArray[np.float64]:
    """Combine estimated modes (T, K) into the sound (T,), as :func:`oracle_signal` says."""
    count = len(modes)
    frequency = np.fft.rfftfreq(count, 1 / truth.capture_fps).astype(np.float64)
    exposure_s = truth.settings.get("exposure", 0.0) / truth.capture_fps
    response = truth.modes.response(frequency) * np.sinc(frequency * exposure_s)
    # Compression copies blocks and so shrinks small motion: the modes come with gains (K, K).
    gains = np.linalg.lstsq(truth.displacement, modes, rcond=None)[0]
    error = modes - truth.displacement @ gains
    response = gains.T @ response
    covariance = np.atleast_2d(np.cov(error.T, bias=True)) * count
    tiny = 1e-12 * np.trace(covariance) + 1e-30
    inverse = np.linalg.inv(covariance + tiny * np.eye(len(covariance)))
    resolution = max(round(SMOOTHING_HZ * count / truth.capture_fps), 1)
    power = uniform_filter1d(np.abs(rfft(truth.sound)) ** 2, resolution, mode="nearest")
    seen = np.einsum("kf,kl->lf", response.conj(), inverse)
    matched = np.einsum("lf,lf->f", seen, rfft(modes, axis=0).T)
    strength = np.einsum("lf,lf->f", seen, response).real
    return irfft(power * matched / (1 + power * strength), count)


class _Linearised:
    """Frames as they should be, and their derivatives, around the true displacement."""

    def __init__(self, truth: Truth, camera_known: bool) -> None:
        self._truth = truth
        self._camera_known = camera_known
        reach = _reach(truth)
        texture, shapes = truth.texture, truth.mode_shapes
        self._clean = Renderer(texture, shapes, reach)
        self._slopes = [Renderer(slope, shapes, reach) for slope in spectral_gradient(texture)]
        self._weight = (1 / truth.noise_variance).astype(np.float32)
        self._weight.reshape(-1)[truth.dead_pixels] = 0
        # The derivatives of a picture that hardly moves are those at rest, to second order.
        self._fixed = self._derivatives(slice(0, 1), at_rest=True) if _is_small(reach) else None

    def correction(self, frames: NDArray[np.uint8], part: slice) -> NDArray[np.float64]:
        """Least-squares step from the true modes to those that `frames` show: (B, K)."""
        light = self._truth.light[part].astype(np.float32)
        clean = self._render(self._clean, part, at_rest=False)
        clean *= self._truth.shading * light[:, None, None]
        residual = (frames - clean).reshape(len(frames), -1, 1)
        if self._fixed is not None:
            jacobian, weighted = self._fixed
            right = (residual[:, :, 0] / light[:, None]) @ weighted[0].T
            right = right[:, :, None]
        else:
            jacobian, weighted = self._derivatives(part, at_rest=False)
            right = weighted @ (residual / light[:, None, None])
        normal = (weighted @ jacobian.transpose(0, 2, 1)).astype(np.float64)
        # A rigid mode is a shift of the picture: pinv shares what cannot be told apart.
        step = np.linalg.pinv(normal, rcond=1e-6, hermitian=True) @ right
        return step[:, : len(self._truth.mode_shapes), 0]

    def _derivatives(
        self, part: slice, at_rest: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Make the derivatives of frames under even light, plain and weighted: (B, C, H W)."""
        shading = self._truth.shading
        slope_x, slope_y = (
            self._render(renderer, part, at_rest) * shading for renderer in self._slopes
        )
        columns = [-(shape[0] * slope_x + shape[1] * slope_y) for shape in self._truth.mode_shapes]
        clean = self._render(self._clean, part, at_rest) * shading
        if not self._camera_known:
            columns += [-slope_x, -slope_y, clean, np.full_like(clean, 100.0)]
        jacobian = np.stack(columns, axis=1).reshape(len(clean), len(columns), -1)
        inside = (clean > CLIPPED_LEVELS) & (clean < 255 - CLIPPED_LEVELS)
        return jacobian, jacobian * (inside * self._weight).reshape(len(clean), 1, -1)

    def _render(self, renderer: Renderer, part: slice, at_rest: bool) -> NDArray[np.float32]:
        truth = self._truth
        displacement, offset = truth.displacement[part], truth.offset[part]
        if at_rest:
            displacement, offset = np.zeros_like(displacement), np.zeros_like(offset)
        count = len(displacement)
        out = np.empty((count, *truth.shading.shape), dtype=np.float32)
        renderer.render(displacement, offset, np.arange(count), np.ones(count), out)
        return out


def _is_small(reach: NDArray[np.float64]) -> bool:
    return bool(np.abs(reach).max() < SMALL_PX)


def _reach(truth: Truth) -> NDArray[np.float64]:
    """Bound the displacement in x and y over the film from above: (2, 2)."""
    most = np.abs(truth.mode_shapes).max(axis=(2, 3))
    spread = (np.abs(truth.displacement)[:, :, None] * most).sum(axis=1).max(axis=0) + 1e-4
    low, high = truth.offset.min(axis=0) - spread, truth.offset.max(axis=0) + spread
    return np.stack([low, high], axis=1)

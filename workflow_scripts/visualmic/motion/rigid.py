"""How much of the motion is that of the picture as a whole, as a rigid object moves."""

import numpy as np

from visualmic.motion.reference import Floats
from visualmic.motion.signals import MotionSignals

# Share of all motion's power that motion as a whole may leave unexplained where it is all there is.
_UNEXPLAINED = 1e-4


def rigid_space(
    motion: MotionSignals, scale: Floats, covariance: Floats, space: Floats
) -> Floats | None:
    """Find directions (C, k) of motion as a whole, where all else is too little to be an object's.

    Wide swings are measured with errors that follow the motion: they stand above the noise, and a
    beam that follows them too is the worse for it.

    Parameters
    ----------
    motion : MotionSignals
        Channels, with the whitening of their blocks.
    scale : ndarray, float64, (C,)
        That brings the noise of the channels to one.
    covariance : ndarray, float64, (C, C)
        Of the channels, scaled.
    space : ndarray, float64, (C, K)
        Orthonormal directions of all that stands above the noise.

    Returns
    -------
    ndarray, float64, (C, k), or None
        None where the object bends.
    """
    moved = _as_one(motion, scale)
    inside = moved.T @ covariance @ moved
    whole = float(np.trace(space.T @ covariance @ space)) - space.shape[1]
    if whole - (float(np.trace(inside)) - 2) > _UNEXPLAINED * whole:
        return None
    values, vectors = np.linalg.eigh(inside)
    return np.asarray(moved @ vectors[:, values - 1 > _UNEXPLAINED * whole])


def rigid_part(motion: MotionSignals, noise: Floats, basis: Floats) -> Floats:
    """Give motion as a whole that there is in a pattern of factors: (2, K).

    Of a pattern `p` of unit norm the squared norm of the product is the share of its power in which
    the picture moves as a whole.

    Parameters
    ----------
    motion : MotionSignals
    noise : ndarray, float64, (C,)
        Variance of the channels' noise.
    basis : ndarray, float64, (C, K)
        Filters that give the factors, orthonormal in channels of unit noise.
    """
    root = np.sqrt(noise)
    return np.asarray(_as_one(motion, 1 / root).T @ (root[:, None] * basis))


def _as_one(motion: MotionSignals, scale: Floats) -> Floats:
    """Orthonormal patterns (C, 2) of motion as a whole in scaled channels."""
    whitener = np.asarray(motion.arrays["whitener"], np.float64).reshape(len(scale), 2)
    return np.asarray(np.linalg.qr(scale[:, None] * whitener)[0])

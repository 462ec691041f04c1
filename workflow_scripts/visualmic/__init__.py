"""Recover sound from silent film, and say honestly how good it is.

Conventions used by every module: time is the first axis, frames are ``(T, H, W)`` luma in
``uint8``, signals are ``(T,)`` or ``(T, channels)``, rates are in hertz, time is in seconds, and
motion is in pixels of the frame as filmed (x to the right, y downwards).
"""

__version__ = "0.1.0"

"""Tiny films made on the fly, with luma that is known to the bit."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray


def run_ffmpeg(*arguments: str | Path, data: bytes | None = None) -> None:
    """Run the wheel's ffmpeg, that films are the same whichever ffmpeg is to read them."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, input=data, check=True)


def random_luma(
    frames: int, height: int, width: int, seed: int = 0, peak: int = 255
) -> NDArray[np.uint16]:
    """Luma in which every pixel of every frame is its own."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, peak, (frames, height, width), dtype=np.uint16, endpoint=True)


def encode_luma(
    path: Path,
    luma: NDArray[np.uint16],
    fps: str = "100",
    pixels: str = "gray",
    codec: Sequence[str] = ("-c:v", "ffv1"),
) -> Path:
    """Write luma without loss; chroma, where the format has some, is grey."""
    height, width = luma.shape[1:]
    deep = "le" in pixels
    samples = luma.astype("<u2" if deep else np.uint8)
    grey = 1 << (int(pixels[-4:-2]) - 1 if deep else 7)
    if pixels.startswith("gray"):
        chroma = 0
    elif "444" in pixels:
        chroma = 2 * height * width
    else:
        chroma = 2 * ((height + 1) // 2) * ((width + 1) // 2)
    planes = [
        np.concatenate([frame.ravel(), np.full(chroma, grey, samples.dtype)]) for frame in samples
    ]
    run_ffmpeg(
        *("-f", "rawvideo", "-pix_fmt", pixels, "-s", f"{width}x{height}", "-framerate", fps),
        *("-i", "-", *codec, path),
        data=b"".join(plane.tobytes() for plane in planes),
    )
    return path


def garble(path: Path, offset: int, count: int) -> None:
    """Spoil `count` bytes of a file, `offset` after its middle."""
    content = bytearray(path.read_bytes())
    first = len(content) // 2 + offset
    for at in range(first, first + count):
        content[at] ^= 0x55
    path.write_bytes(content)


def make_film(
    path: Path,
    frames: int = 24,
    size: str = "48x32",
    fps: str = "100",
    sound_s: float | None = None,
    options: Sequence[str] = (),
) -> Path:
    """Write a moving test picture in H.264, with a 440 Hz tone where `sound_s` is given."""
    sound: tuple[str, ...] = ()
    if sound_s is not None:
        sound = ("-f", "lavfi", "-i", f"sine=440:r=44100:d={sound_s}")
    picture = f"testsrc2=s={size}:r={fps}:d=1000,trim=end_frame={frames}"
    run_ffmpeg(
        *("-f", "lavfi", "-i", picture, *sound),
        *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", *options, path),
    )
    return path

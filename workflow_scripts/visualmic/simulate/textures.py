"""What the filmed objects look like: band-limited textures drawn at random.

A surface is drawn finer than the pixels, blurred by the lens and the pixel's own area, and kept
only below the pixel grid's band limit. What remains is a trigonometric polynomial, so it can be
evaluated exactly between pixels: that is what makes displacements of a thousandth of a pixel true.

A texture is periodic and wider than the frame by :data:`MARGIN` on every side, so that the seam of
its period never comes into view.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len

from visualmic.simulate.settings import SimulationSettings

MARGIN = 24
CONTRAST_LEVELS = 40.0
# Radial frequencies, in cycles a pixel, between which the texture's spectrum is taken to zero.
BAND_START, BAND_STOP = 0.34, 0.42

Image = NDArray[np.float32]


def make_texture(settings: SimulationSettings) -> NDArray[np.float64]:
    """Draw the object of `settings` as a periodic, band-limited image in grey levels.

    Parameters
    ----------
    settings : SimulationSettings
        Object, frame size, brightness, contrast, blur and seed are used.

    Returns
    -------
    ndarray, float64, (Hp, Wp)
        One period. Frame pixel (row, column) at rest is ``[MARGIN + row, MARGIN + column]``; in
        the frame the mean is `brightness` and the standard deviation 40 `contrast`.
    """
    height = next_fast_len(settings.height + 2 * MARGIN, real=True)
    width = next_fast_len(settings.width + 2 * MARGIN, real=True)
    fineness = 3 if height * width < 500_000 else 2
    rng = np.random.default_rng([settings.seed, 2])
    canvas = _Canvas(height * fineness, width * fineness, fineness, settings, rng)
    surface = SURFACES[settings.object](canvas)
    image = band_limit(surface, height, width, settings.blur_px)
    frame = image[MARGIN : MARGIN + settings.height, MARGIN : MARGIN + settings.width]
    spread = float(frame.std()) or 1.0
    return settings.brightness + settings.contrast * CONTRAST_LEVELS / spread * (
        image - frame.mean()
    )


def band_limit(surface: Image, height: int, width: int, blur_px: float) -> NDArray[np.float64]:
    """Blur a finely drawn periodic surface as a lens does, and sample it once a pixel.

    The transfer function is that of a Gaussian of standard deviation `blur_px` times a raised
    cosine that ends below the pixel grid's Nyquist frequency, so no detail aliases.

    Parameters
    ----------
    surface : ndarray, float32, (n height, n width)
        The surface, `n` samples a pixel.
    height, width : int
        Size of the result in pixels.
    blur_px : float
        Standard deviation of the blur in pixels.

    Returns
    -------
    ndarray, float64, (height, width)
        The sampled image; its spectrum is zero from 0.42 cycles a pixel on.
    """
    full = np.fft.rfft2(surface)
    spectrum = np.zeros((height, width // 2 + 1), dtype=np.complex128)
    top, bottom, columns = (height + 1) // 2, height // 2, width // 2 + 1
    spectrum[:top] = full[:top, :columns]
    spectrum[-bottom:] = full[-bottom:, :columns]
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    fall = np.clip((radius - BAND_START) / (BAND_STOP - BAND_START), 0, 1)
    lens = np.exp(-2 * (np.pi * blur_px * radius) ** 2) * 0.5 * (1 + np.cos(np.pi * fall))
    scale = height * width / surface.size
    return np.fft.irfft2(spectrum * lens * scale, s=(height, width))


def spectral_gradient(texture: NDArray[np.float64]) -> NDArray[np.float64]:
    """Derive a periodic, band-limited image in x and y exactly: (2, Hp, Wp)."""
    spectrum = np.fft.rfft2(texture)
    omega_x = 2 * np.pi * np.fft.rfftfreq(texture.shape[1])[None, :]
    omega_y = 2 * np.pi * np.fft.fftfreq(texture.shape[0])[:, None]
    slopes = [np.fft.irfft2(1j * w * spectrum, s=texture.shape) for w in (omega_x, omega_y)]
    return np.stack(slopes)


class _Canvas:
    """A surface to draw on, `fineness` samples a pixel, and the random fields drawings share."""

    def __init__(
        self,
        rows: int,
        columns: int,
        fineness: int,
        settings: SimulationSettings,
        rng: np.random.Generator,
    ) -> None:
        self.rows, self.columns, self.fineness, self.rng = rows, columns, fineness, rng
        # Coarse structures scale with the frame, fine ones with the pixel.
        self.object_size = min(settings.height, settings.width) * fineness
        self.x, self.y = np.meshgrid(
            np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32)
        )

    def smooth_noise(self, wavelength_px: float) -> Image:
        """Gaussian noise of unit variance with no detail finer than `wavelength_px`."""
        wavelength = wavelength_px * self.fineness
        # Ten samples a wavelength suffice; the rest is interpolation, and much faster.
        coarse = max(int(wavelength / 10), 1)
        rows, columns = -(-self.rows // coarse) + 1, -(-self.columns // coarse) + 1
        white = self.rng.standard_normal((rows, columns), np.float32)
        spread = wavelength / (np.sqrt(2) * np.pi * coarse)
        blurred = cv2.GaussianBlur(white, (0, 0), spread, borderType=cv2.BORDER_REFLECT)
        size = (columns * coarse, rows * coarse)
        fine = cv2.resize(blurred, size, interpolation=cv2.INTER_CUBIC)
        noise = np.asarray(fine[: self.rows, : self.columns], dtype=np.float32)
        noise -= noise.mean()
        return noise / noise.std()

    def natural_noise(self, coarsest_px: float, finest_px: float = 2.0) -> Image:
        """Noise whose amplitude falls as one over frequency, as in natural images."""
        total = np.zeros((self.rows, self.columns), dtype=np.float32)
        wavelength = coarsest_px
        while wavelength >= finest_px:
            total += self.smooth_noise(wavelength)
            wavelength /= 2
        return total / total.std()

    def facets(self, size_px: float, bend_px: float) -> tuple[NDArray[np.int32], Image, Image]:
        """Divide the canvas into cells with bent edges: the cell, and the way from its centre."""
        size = size_px * self.fineness
        count = max(int(self.rows * self.columns / size**2), 4)
        sites = np.full((self.rows, self.columns), 255, dtype=np.uint8)
        site_y = self.rng.integers(0, self.rows, count)
        site_x = self.rng.integers(0, self.columns, count)
        sites[site_y, site_x] = 0
        _, cell = cv2.distanceTransformWithLabels(
            sites, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
        )
        bend = bend_px * self.fineness
        rows = (self.y + bend * self.smooth_noise(1.2 * size_px)).astype(np.int32) % self.rows
        columns = (self.x + bend * self.smooth_noise(1.2 * size_px)).astype(np.int32)
        cell = np.asarray(cell, dtype=np.int32)[rows, columns % self.columns]
        members = np.bincount(cell.ravel(), minlength=count + 1).clip(1)
        centre_y = np.bincount(cell.ravel(), self.y.ravel(), count + 1) / members
        centre_x = np.bincount(cell.ravel(), self.x.ravel(), count + 1) / members
        away_x = (self.x - centre_x[cell]).astype(np.float32) / size
        away_y = (self.y - centre_y[cell]).astype(np.float32) / size
        return cell, away_x, away_y

    def crumple(self, coarsest_px: float, finest_px: float) -> tuple[Image, Image]:
        """Slopes in x and y of a sheet that was crumpled and smoothed out again."""
        slope_x = np.zeros((self.rows, self.columns), dtype=np.float32)
        slope_y = np.zeros_like(slope_x)
        size, strength = coarsest_px, 1.0
        while size >= finest_px:
            cell, away_x, away_y = self.facets(size, 0.12 * size)
            tilt = self.rng.standard_normal((3, int(cell.max()) + 1)).astype(np.float32)
            # Facets are a little curved, so shading varies within one too.
            slope_x += strength * (tilt[0][cell] + 0.8 * tilt[2][cell] * away_x)
            slope_y += strength * (tilt[1][cell] + 0.8 * tilt[2][cell] * away_y)
            size, strength = size / 2.1, strength * 0.72
        return slope_x, slope_y

    def line(self, points: NDArray[np.float64], thickness_px: float) -> Image:
        """Draw an open line through `points` (n, 2: x, y on the canvas), 1 on it and 0 off it."""
        sheet = np.zeros((self.rows, self.columns), dtype=np.uint8)
        self.draw_line(sheet, points, thickness_px)
        return sheet.astype(np.float32) / np.float32(255)

    def draw_line(
        self, sheet: NDArray[np.uint8], points: NDArray[np.float64], thickness_px: float
    ) -> None:
        """Draw an open line through `points` onto `sheet`."""
        cv2.polylines(
            sheet,
            [np.round(points * 8).astype(np.int32)],
            False,
            255,
            max(round(thickness_px * self.fineness), 1),
            cv2.LINE_AA,
            3,
        )


def _crisp_packet(canvas: _Canvas) -> Image:
    """Draw printed plastic foil: bands, a badge, words and small print on crinkles that glint."""
    rng, unit = canvas.rng, canvas.object_size / 192
    slope_x, slope_y = canvas.crumple(0.28 * canvas.object_size / canvas.fineness, 5.0)
    # Print follows the crinkles, so that its edges are not straight.
    warp = 0.55 * canvas.fineness
    rows = (canvas.y + warp * slope_y).astype(np.int32) % canvas.rows
    columns = (canvas.x + warp * slope_x).astype(np.int32) % canvas.columns
    ink = _packet_print(canvas, unit)[rows, columns]
    turn = rng.uniform(0, 2 * np.pi)
    towards = np.cos(turn) * slope_x + np.sin(turn) * slope_y
    shade = 0.75 + 0.13 * towards + 0.05 * canvas.natural_noise(60.0)
    glint = np.exp(-((towards - 1.6) ** 2) / 0.08)
    return _soft_limit(ink * np.clip(shade, 0.15, None) + 0.35 * glint)


def _packet_print(canvas: _Canvas, unit: float) -> Image:
    rng = canvas.rng
    centre = np.array([canvas.columns / 2, canvas.rows / 2])
    turn = rng.uniform(-0.25, 0.25)
    up_down, left_right = rng.uniform(-14, 14), rng.uniform(-10, 10)
    across = np.cos(turn) * (canvas.x - centre[0]) + np.sin(turn) * (canvas.y - centre[1])
    along = np.cos(turn) * (canvas.y - centre[1]) - np.sin(turn) * (canvas.x - centre[0])
    ink = np.full((canvas.rows, canvas.columns), 0.55, dtype=np.float32)
    wavelength, height = rng.uniform(17, 32) * unit, rng.uniform(3, 12) * unit
    wave = along + height * np.sin(across / wavelength + rng.uniform(0, 6))
    low_band, bar = (38 + up_down) * unit, rng.uniform(2.5, 5) * unit
    ink[np.abs(wave - low_band) < 3 * bar] = 0.95
    ink[np.abs(wave - low_band - 4.5 * bar) < bar] = 0.2
    ink[wave < -55 * unit] = rng.uniform(0.2, 0.4)
    badge = np.hypot(across + left_right * 3 * unit, along + (36 - up_down / 2) * unit)
    ink[badge < 30 * unit] = 0.95
    ink[badge < 26 * unit] = rng.uniform(0.2, 0.4)
    sheet = np.zeros(ink.shape, dtype=np.uint8)

    def write(text: str, x: float, y: float, size: float, weight: float) -> None:
        place = (round(centre[0] + (x + left_right) * unit), round(centre[1] + y * unit))
        thickness = max(round(weight * unit), 1)
        cv2.putText(
            sheet, text, place, cv2.FONT_HERSHEY_DUPLEX, size * unit, 255, thickness, cv2.LINE_AA
        )

    write("CRISPS", -80, 14 + up_down, 1.3, 4.0)
    write("sea salt", -30, -32 + up_down / 2, 0.5, 1.3)
    for number in range(6):
        words = " ".join(
            "".join(rng.choice(list("aeinorstl"), rng.integers(2, 8))) for _ in range(9)
        )
        write(words, -84, 68 + 6 * number, 0.17, 0.5)
    text = sheet.astype(np.float32) / np.float32(255)
    ink += (1.05 - ink) * text
    bars = (canvas.x > centre[0] + 52 * unit) & (canvas.x < centre[0] + 88 * unit)
    bars &= (canvas.y > centre[1] - 84 * unit) & (canvas.y < centre[1] - 58 * unit)
    stripes = np.repeat(rng.integers(0, 2, canvas.columns), max(round(1.6 * unit), 1))
    return np.where(bars, 0.15 + 0.85 * stripes[: canvas.columns][None, :], ink).astype(np.float32)


def _plant_leaf(canvas: _Canvas) -> Image:
    """Draw a leaf with a midrib, side veins and a net of small ones, before a blurred room."""
    rng, unit = canvas.rng, canvas.object_size / 192
    centre = np.array([canvas.columns / 2, canvas.rows / 2])
    turn = rng.uniform(-0.5, 0.5) + rng.choice([0, np.pi / 2])
    axis = np.array([np.cos(turn), np.sin(turn)])
    along = (canvas.x - centre[0]) * axis[0] + (canvas.y - centre[1]) * axis[1]
    across = (canvas.y - centre[1]) * axis[0] - (canvas.x - centre[0]) * axis[1]
    bend = rng.uniform(-0.0012, 0.0012) / unit
    across = across - bend * along**2
    length, half_width = 118 * unit, rng.uniform(70, 84) * unit
    place = np.clip((along + length) / (2 * length), 0, 1)
    edge = half_width * np.sin(np.pi * place**0.8) ** 0.75
    edge = edge * (1 + 0.025 * np.sin(along / (3.2 * unit)))
    inside = 1 / (1 + np.exp(np.clip(-(edge - np.abs(across)) / (0.5 * canvas.fineness), -30, 30)))

    def on_canvas(path: NDArray[np.float64]) -> NDArray[np.float64]:
        sideways = path[:, 1] + bend * path[:, 0] ** 2
        normal = np.array([-axis[1], axis[0]])
        return centre + path[:, :1] * axis + sideways[:, None] * normal

    sheet = np.zeros((canvas.rows, canvas.columns), dtype=np.uint8)
    steps = np.linspace(0, 1, 40)
    for start in np.arange(-0.88, 0.85, 0.155):
        for side in (-1, 1):
            reach = half_width * rng.uniform(0.95, 1.1)
            base = (start + rng.uniform(-0.03, 0.03)) * length
            path = np.stack([base + 0.62 * reach * steps**1.5, side * reach * steps], axis=1)
            for part in range(4):
                piece = slice(10 * part, 10 * part + 11)
                canvas.draw_line(sheet, on_canvas(path[piece]), (2.2 - 0.45 * part) * unit / 3)
    veins = sheet.astype(np.float32) / 255
    midrib = canvas.line(
        on_canvas(np.stack([np.linspace(-1.2, 1, 60) * length, np.zeros(60)], axis=1)),
        4.2 * unit / canvas.fineness,
    )
    net = np.zeros(veins.shape, dtype=np.float32)
    for size, strength in ((14.0 * np.sqrt(unit / canvas.fineness), 0.9), (6.0, 0.5)):
        cell, _, _ = canvas.facets(size, 0.1 * size)
        border = (cell != np.roll(cell, 1, 0)) | (cell != np.roll(cell, 1, 1))
        net += strength * cv2.GaussianBlur(border.astype(np.float32), (0, 0), 0.6 * canvas.fineness)
    # Between two side veins the blade bulges, so light and shade alternate with them.
    fold = (along - 0.62 * np.abs(across) ** 1.5 / np.sqrt(half_width)) / (0.155 * length)
    bulge = np.sin(2 * np.pi * fold) * np.clip(np.abs(across) / (0.3 * half_width), 0, 1)
    blade = 0.5 + 0.05 * bulge + 0.06 * np.sign(across) + 0.07 * canvas.natural_noise(50.0)
    blade = blade + 0.32 * net + 0.035 * canvas.smooth_noise(2.5)
    blade = blade * (1 - 0.75 * veins) + 0.88 * 0.75 * veins
    blade = blade * (1 - midrib) + 0.95 * midrib
    room = 0.22 + 0.09 * canvas.smooth_noise(45.0) + 0.05 * canvas.smooth_noise(14.0)
    return _soft_limit(inside * blade + (1 - inside) * room)


def _foil(canvas: _Canvas) -> Image:
    """Draw crumpled aluminium foil: facets, sharp creases, highlights, rolling marks."""
    slope_x, slope_y = canvas.crumple(0.3 * canvas.object_size / canvas.fineness, 3.5)
    lamps = canvas.rng.uniform(0, 2 * np.pi, 3)
    bright = np.full(slope_x.shape, 0.3, dtype=np.float32)
    for turn, strength in zip(lamps, (0.75, 0.45, 0.3), strict=True):
        towards = np.cos(turn) * slope_x + np.sin(turn) * slope_y
        away = np.cos(turn) * slope_y - np.sin(turn) * slope_x
        bright += strength * np.exp(-((towards - 0.9) ** 2) / 0.5 - away**2 / 2.5)
    creases = cv2.GaussianBlur(slope_x + slope_y, (0, 0), 0.35 * canvas.fineness)
    bright += 0.05 * (creases - cv2.GaussianBlur(creases, (0, 0), 1.5 * canvas.fineness))
    marks = canvas.rng.standard_normal((1, canvas.columns), np.float32)
    bright += 0.12 * cv2.GaussianBlur(marks, (0, 0), 0.7 * canvas.fineness)
    return _soft_limit(bright + 0.05 * canvas.natural_noise(40.0))


def _rigid(canvas: _Canvas) -> Image:
    """Draw a card printed with a speckle pattern, as used for measuring displacement."""
    speckle = np.zeros((canvas.rows, canvas.columns), dtype=np.float32)
    for wavelength, weight in ((24.0, 0.5), (11.0, 0.8), (5.5, 1.0)):
        speckle += weight * np.tanh(3 * (canvas.smooth_noise(wavelength) - 0.3))
    return _soft_limit(0.5 + 0.16 * speckle + 0.05 * canvas.natural_noise(60.0))


def _soft_limit(surface: Image) -> Image:
    """Compress the brightest and darkest parts, as a print or a film's tone curve does."""
    middle = float(np.mean(surface))
    spread = 2.0 * float(np.std(surface)) or 1.0
    return (np.tanh((surface - middle) / spread) * spread).astype(np.float32)


SURFACES: dict[str, Callable[[_Canvas], Image]] = {
    "crisp-packet": _crisp_packet,
    "plant-leaf": _plant_leaf,
    "foil": _foil,
    "rigid": _rigid,
}

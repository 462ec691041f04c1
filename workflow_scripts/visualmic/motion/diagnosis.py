"""Say what a film did to its sound: light, codec, camera, sensor, sampling, and what was heard."""

from dataclasses import replace
from typing import Any

import numpy as np

from visualmic.motion.agreement import FROZEN, Agreement
from visualmic.motion.interference import Cleaner
from visualmic.motion.recovery import Diagnosis
from visualmic.motion.reference import ROUNDING, Floats
from visualmic.motion.signals import MotionSignals
from visualmic.motion.spectra import Rows, ShortTimeFourier, Spectra
from visualmic.motion.sway import LEAST_SWAY_PX, SWAY_BELOW_HZ, sway_rms_px
from visualmic.motion.wiener import Combined

_UNUSABLE = 0.01
# Noise variance, in grey levels squared, below which rounding to 8 bits is no longer dithered.
_LEAST_DITHER = 0.08
# Share of the gradients' power beyond 0.35 cycles a pixel. Lenses leave 0.02 of it there; every
# second pixel of such a picture, taken without a filter, has a quarter.
_FINE_CYCLES = 0.35
_FINE_SHARE = 0.25
# Noise of blocks over what pixels promise, below which a codec must have smoothed it.
_SMOOTHED = 0.5
_HEAT_FRAMES = 128
_MOST_HEAT_SEGMENTS = 64
_FEWEST_SEGMENTS = 4
_LEAST_HEAT = 0.01


def diagnose(
    motion: MotionSignals,
    combined: Combined,
    cleaner: Cleaner,
    agreement: Agreement | None = None,
    lowest_hz: float = 20.0,
) -> Diagnosis:
    """Put into words and numbers what the measurement and the combination found.

    Parameters
    ----------
    motion : MotionSignals
        Motion of the blocks.
    combined : Combined
        The sound.
    cleaner : Cleaner
        What was taken out before.
    agreement : Agreement, optional
        Whether distant parts of the frame move together, where that was asked.
    lowest_hz : float
        Slower motion was removed.

    Returns
    -------
    Diagnosis
    """
    bound = float(motion.attributes.get("cramer_rao_px", np.inf))
    if combined.heard:
        combined = replace(combined, snr=combined.snr * _own_share(combined.sound, combined.snr))
    result = Diagnosis(
        verdict=_verdict(motion, combined, agreement, lowest_hz),
        crb_px=bound if np.isfinite(bound) else None,
        frequency_hz=combined.frequency_hz,
        snr=combined.snr,
    )
    for name, number, text in (
        *_light(motion, cleaner),
        *_codec(motion, cleaner),
        *_camera(motion, combined),
        *_sensor(motion, combined),
    ):
        result.found[name] = number
        result.warnings.append(text)
    if np.isfinite(bound):
        result.noise_floor_px = bound * float(np.sqrt(combined.noise_level))
    if combined.heard:
        above = _heard_hz(combined, lowest_hz)
        result.effective_bandwidth_hz = float(above[-1]) if len(above) else 0.0
        result.heat = _heat(motion, combined, cleaner.rows, lowest_hz)
    return result


def _own_share(sound: Floats, snr: Floats) -> Floats:
    """Share of the power at each frequency, (F,), that is not spread there from others.

    Short windows, some of them cut off by the film's ends, spread a strong tone over the whole
    spectrum. A Blackman-Harris window inside the film does not.
    """
    length = 2 * (len(snr) - 1)
    if len(sound) < 2 * length:
        return np.ones_like(snr)
    power = []
    for name, overlap in (("hann", 4), ("blackman-harris", 2)):
        stft = ShortTimeFourier(length, overlap, name)
        pieces = stft.pieces(lambda start, stop: sound[start:stop, None], len(sound))
        windows = np.concatenate([np.abs(piece[:, :, 0]) ** 2 for piece in pieces])
        inside = windows[1:-1] if name == "blackman-harris" else windows
        power.append(inside.mean(axis=0))
    return np.minimum(power[1] / np.maximum(power[0], 1e-30), 1.0)


def _heard_hz(combined: Combined, lowest_hz: float) -> Floats:
    """Frequencies at which the sound stands above the noise."""
    heard: Floats = combined.frequency_hz[
        (combined.snr > 1.0) & (combined.frequency_hz >= lowest_hz)
    ]
    return heard


def _verdict(
    motion: MotionSignals, combined: Combined, agreement: Agreement | None, lowest_hz: float
) -> str:
    if not np.isfinite(motion.attributes.get("cramer_rao_px", np.inf)):
        return "no sound: the picture has no texture that motion could show in"
    if not combined.heard and agreement is not None:
        return (
            "no sound: what moves follows the codec, not a sound; the recovered sound is silence,"
            " and less compression might leave one"
        )
    if not combined.heard:
        return "no sound: nothing in the film moves above the noise; the recovered sound is silence"
    peak = float(10 * np.log10(max(float(combined.snr.max()), 1e-3)))
    above = _heard_hz(combined, lowest_hz)
    if len(above) == 0:
        return "a faint sound, below the noise at every frequency"
    strongest = combined.frequency_hz[np.argmax(combined.snr)]
    return (
        f"a sound from {above[0]:.0f} to {above[-1]:.0f} Hz, strongest at {strongest:.0f} Hz,"
        f" {peak:.0f} dB over the noise"
    )


Finding = tuple[str, dict[str, Any], str]


def _light(motion: MotionSignals, cleaner: Cleaner) -> list[Finding]:
    found: list[Finding] = []
    settings = motion.attributes.get("settings", {})
    if cleaner.flicker_hz:
        removed = cleaner.removes_flicker and settings.get("illumination") != "none"
        done = "it was removed" if removed else "it was left in, as asked"
        found.append(
            (
                "flicker",
                {
                    "frequency_hz": [round(line, 2) for line in cleaner.flicker_hz],
                    "share_of_light": round(cleaner.flicker_share, 5),
                    "removed": removed,
                },
                f"the lamp flickers by {100 * cleaner.flicker_share:.2g} % (seen at"
                f" {_listed(cleaner.flicker_hz)}); {done}, but light from direct current is better",
            )
        )
    # Where the user chose it, it is no news.
    if motion.attributes.get("illumination") == "local" and settings.get("illumination") == "auto":
        found.append(
            (
                "uneven_light",
                {"removed": True},
                "light or background change differently over the frame; brightness was fitted"
                " block by block, which costs some of the motion",
            )
        )
    return found


def _codec(motion: MotionSignals, cleaner: Cleaner) -> list[Finding]:
    if cleaner.period is None:
        return []
    removed = cleaner.removes_comb
    done = "they were removed" if removed else "they were left in, as asked"
    spacing = motion.capture_fps / cleaner.period
    return [
        (
            "codec_comb",
            {
                "group_frames": cleaner.period,
                "frequency_hz": [round(line, 3) for line in cleaner.codec_hz],
                "removed": removed,
            },
            f"the codec repeats itself every {cleaner.period} frames and leaves lines at"
            f" multiples of {spacing:.4g} Hz ({_listed(cleaner.codec_hz)}); {done}, but less"
            " compression is better",
        )
    ]


def _listed(lines_hz: list[float]) -> str:
    shown = [f"{line:.4g}" for line in lines_hz[:4]]
    more = f" and {len(lines_hz) - 4} more" if len(lines_hz) > 4 else ""
    return f"{', '.join(shown)} Hz{more}"


def _camera(motion: MotionSignals, combined: Combined) -> list[Finding]:
    slow = sway_rms_px(motion)
    if slow <= LEAST_SWAY_PX:
        return []
    followed = bool(motion.attributes.get("settings", {}).get("follow", True))
    done = (
        "it was followed and removed"
        if followed
        else "it was not followed, as asked, only filtered out"
    )
    numbers = {"rms_px": round(slow, 4), "below_hz": SWAY_BELOW_HZ, "followed": followed}
    if combined.above_hz:
        numbers["left_out_below_hz"] = combined.above_hz
        done += (
            f" and all below {combined.above_hz:.0f} Hz left out, where what it leaves behind was"
            " louder than all else"
        )
    return [
        (
            "shake",
            numbers,
            f"the camera or the object sways by {slow:.2f} px rms below {SWAY_BELOW_HZ:.0f} Hz;"
            f" {done}, but a tripod is better",
        )
    ]


def _sensor(motion: MotionSignals, combined: Combined) -> list[Finding]:
    found: list[Finding] = []
    unusable = float(motion.attributes.get("unusable_fraction", 0.0))
    if unusable > _UNUSABLE:
        found.append(
            (
                "saturation",
                {"share_of_pixels": round(unusable, 4)},
                f"{100 * unusable:.0f} % of the pixels are clipped or stuck and carry nothing; they"
                " were left out; expose so that nothing is white or black",
            )
        )
    read = float(motion.attributes.get("noise_read", 1.0))
    shot = float(motion.attributes.get("noise_shot", 0.0))
    textured = bool(np.isfinite(motion.attributes.get("cramer_rao_px", np.inf)))
    if textured and read + shot * 128 <= max(_LEAST_DITHER, 1.05 * ROUNDING):
        found.append(
            (
                "rounding",
                {"noise_variance": round(read + shot * 128, 4)},
                "the noise is far below one grey level: motion smaller than the rounding to 8 bits"
                " may be lost; more gain or less denoising in the camera would keep it",
            )
        )
    reference = motion.arrays.get("reference")
    if reference is not None:
        detail = fine_detail_share(reference, read + shot * float(np.mean(reference)))
        if detail > _FINE_SHARE:
            found.append(
                (
                    "undersampling",
                    {"fine_share": round(detail, 3)},
                    f"{100 * detail:.0f} % of the detail is as fine as the pixels: the film was"
                    " downsampled too coarsely or without a filter, so that motion is misread;"
                    " film or crop at full resolution",
                )
            )
    if combined.heard and combined.noise_level < _SMOOTHED:
        found.append(
            (
                "smoothing",
                {"below_sensor_db": round(-10 * float(np.log10(combined.noise_level)), 2)},
                f"the noise is {-10 * np.log10(combined.noise_level):.0f} dB below that of single"
                " pixels: the codec has smoothed the film, weak sounds with it, and ratios to the"
                " noise say little; film with less compression",
            )
        )
    if combined.heard and combined.noise_level > 2.0:
        found.append(
            (
                "excess_noise",
                {"over_sensor_db": round(10 * float(np.log10(combined.noise_level)), 2)},
                f"the noise is {10 * np.log10(combined.noise_level):.0f} dB above that of the"
                " sensor: compression, or motion that no block follows",
            )
        )
    return found


def fine_detail_share(reference: Floats, noise_variance: float) -> float:
    r"""Share of an image's gradients that is too fine for its pixels.

    A lens blurs before the pixels sample, so power falls towards the Nyquist frequency. Where
    pixels were left out afterwards, what was beyond it is folded back, power no longer falls, and
    the gradient, on which motion rests, is wrong:

    .. math:: \sum_{f > 0.35} f^2 S(f) \,\big/\, \sum_f f^2 S(f) .

    Parameters
    ----------
    reference : ndarray, (H, W)
        Mean image in grey levels.
    noise_variance : float
        Of a single frame, in grey levels squared.

    Returns
    -------
    float
        The larger one of both directions: some cameras skip lines only. 0 without texture.

    References
    ----------
    D. Robinson and P. Milanfar, "Fundamental performance limits in image registration", IEEE
    Transactions on Image Processing 13(9), 2004.
    """
    image = np.asarray(reference, np.float64)
    # The reference is an average of many frames, rounded.
    noise = ROUNDING + noise_variance / 32
    shares = [0.0]
    for picture in (image, image.T):
        rows, columns = picture.shape
        if min(rows, columns) < 16:
            continue
        window = np.hanning(columns + 2)[1:-1]
        centred = (picture - picture.mean(axis=1, keepdims=True)) * window
        power = (np.abs(np.fft.rfft(centred, axis=1)) ** 2).mean(axis=0) / (window**2).sum()
        frequency = np.fft.rfftfreq(columns)
        slopes = frequency**2 * np.maximum(power - noise, 0)
        if slopes.sum() > (frequency**2 * noise).sum():
            shares.append(float(slopes[frequency > _FINE_CYCLES].sum() / slopes.sum()))
    return max(shares)


def _heat(
    motion: MotionSignals, combined: Combined, rows: Rows, lowest_hz: float
) -> dict[str, Any]:
    r"""Signal-to-noise ratio of the sound in each block, in dB.

    The part of a block's motion that follows the sound through any transfer function,
    :math:`|S_{bs}|^2 / S_{ss}` summed over frequencies, over the rest.
    """
    ratio = np.zeros(motion.signals.shape[1])
    loudest = _loudest_segments(combined.sound)
    length = min(_HEAT_FRAMES, len(combined.sound))
    if len(loudest) >= _FEWEST_SEGMENTS:
        window = np.hanning(length + 2)[1:-1, None]
        inside = np.fft.rfftfreq(length, 1 / motion.capture_fps) >= lowest_hz

        def spectra(part: Floats) -> Spectra:
            return np.fft.rfft((part - part.mean(axis=0)) * window, axis=0)[inside]

        sound_power = np.full((int(inside.sum()), 1), 1e-30)
        power = np.zeros((len(sound_power), len(ratio)))
        cross = np.zeros(power.shape, np.complex128)
        for start in loudest:
            stop = start + length
            heard = spectra(combined.sound[start:stop, None])
            block = spectra(rows(start, stop))
            sound_power += np.abs(heard) ** 2
            power += np.abs(block) ** 2
            cross += block * heard.conj()
        # Noise follows any sound by chance, the more the fewer segments there are.
        by_chance = power / len(loudest)
        followed = np.maximum((np.abs(cross) ** 2 / sound_power - by_chance).sum(axis=0), 0)
        unit = len(loudest) * len(sound_power) * float((window**2).sum())
        rest = np.maximum(power.sum(axis=0) - followed, FROZEN * unit)
        ratio = followed / rest
    height, width = (int(side) for side in motion.arrays["block_size"])
    value = 10 * np.log10(np.maximum(ratio.reshape(-1, 2).sum(axis=1), _LEAST_HEAT))
    return {
        "x_px": (motion.arrays["block_x"] + width / 2).astype(float).tolist(),
        "y_px": (motion.arrays["block_y"] + height / 2).astype(float).tolist(),
        "size_px": float(max(height, width)),
        "value": [round(float(v), 2) for v in value],
        "unit": "dB",
    }


def _loudest_segments(sound: Floats) -> list[int]:
    """First frames of the segments in which the sound is loudest."""
    count = len(sound) // _HEAT_FRAMES
    power = (sound[: count * _HEAT_FRAMES].reshape(count, -1) ** 2).sum(axis=1)
    return sorted(int(one) * _HEAT_FRAMES for one in np.argsort(-power)[:_MOST_HEAT_SEGMENTS])

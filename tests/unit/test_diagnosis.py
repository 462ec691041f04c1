"""Each disturbance is named in films that have it, and in no other; its cure does no harm."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from channels import line_power
from numpy.typing import NDArray
from visualmic.evaluate.equaliser import info
from visualmic.film.decode import FilmFrames
from visualmic.motion.diagnosis import fine_detail_share
from visualmic.motion.hearing import HearingSettings, combine_lucas_kanade
from visualmic.motion.lucas_kanade import LucasKanadeSettings, measure_lucas_kanade
from visualmic.motion.recovery import Recovery
from visualmic.motion.signals import MotionSignals
from visualmic.simulate.recording import simulate_recording
from visualmic.simulate.scene import Scene
from visualmic.simulate.settings import SimulationSettings

FPS = 1000.0
# What may disturb any film; others are about compression.
DISTURBANCES = ("flicker", "shake", "saturation", "undersampling", "codec_comb")
FILMS = {
    "clean": {},
    "silent": {"sound": "silence"},
    "flicker": {"flicker": 0.02},
    "flicker of 60 Hz mains": {"flicker": 0.02, "mains_hz": 60.0},
    "flicker, folded": {"flicker": 0.02, "fps": 170.0, "seconds": 5.0},
    "shake": {"shake_px": 0.3},
    "saturation": {"brightness": 215.0},
    "flicker and shake": {"flicker": 0.01, "shake_px": 0.4},
}


def settings_of(film: str) -> SimulationSettings:
    base = {"width": 80, "height": 80, "fps": FPS, "seconds": 0.9, "sound": "chirp", "seed": 4}
    return SimulationSettings(**(base | {"amplitude_px": 0.03} | FILMS[film]))  # type: ignore[arg-type]


@cache
def measured(film: str, illumination: str = "auto", follow: bool = True) -> MotionSignals:
    settings = LucasKanadeSettings(illumination=illumination, follow=follow)
    return measure_lucas_kanade(Scene(settings_of(film)), settings)


def heard(film: str, **settings: bool) -> Recovery:
    return combine_lucas_kanade(measured(film), HearingSettings(**settings))


@cache
def truth(film: str) -> NDArray[np.float64]:
    return Scene(settings_of(film)).truth.sound


@pytest.mark.parametrize("film", FILMS)
def test_what_disturbs_a_film_is_named_and_nothing_else(film: str) -> None:
    found = heard(film).diagnosis.found
    expected = {name for name in DISTURBANCES if name in film}
    assert {name for name in found if name in DISTURBANCES} == expected


@pytest.mark.parametrize("film", FILMS)
def test_every_finding_has_its_line_in_words_with_what_was_done(film: str) -> None:
    diagnosis = heard(film).diagnosis
    assert len(diagnosis.warnings) == len(diagnosis.found)
    words = {"flicker": "flickers", "shake": "sways", "saturation": "clipped"}
    for name, word in words.items():
        assert any(word in line for line in diagnosis.warnings) == (name in film)


def test_flicker_is_given_in_hertz_and_as_a_share_of_the_light() -> None:
    found = heard("flicker").diagnosis.found["flicker"]
    assert found["frequency_hz"][:2] == pytest.approx([100, 200], abs=0.3)
    assert found["share_of_light"] == pytest.approx(0.021, rel=0.1)
    folded = heard("flicker, folded").diagnosis.found["flicker"]
    # 170 - 100 and 200 - 170.
    assert folded["frequency_hz"][:2] == pytest.approx([70, 30], abs=0.3)


def test_shake_is_given_in_pixels() -> None:
    offset = Scene(settings_of("shake")).truth.offset
    window = np.hanning(len(offset) + 2)[1:-1, None]
    expected = np.sqrt((((offset - offset.mean(axis=0)) * window) ** 2).sum() / (window**2).sum())
    assert heard("shake").diagnosis.found["shake"]["rms_px"] == pytest.approx(expected, rel=0.05)


def test_saturation_is_given_as_a_share_of_the_pixels() -> None:
    frame = next(Scene(settings_of("saturation")).batches(1))[0]
    share = heard("saturation").diagnosis.found["saturation"]["share_of_pixels"]
    assert share == pytest.approx(np.mean(frame == 255), abs=0.05)


def test_the_cures_of_flicker_take_its_lines_from_the_sound() -> None:
    bare = combine_lucas_kanade(
        measured("flicker", illumination="none"), HearingSettings(remove_flicker=False)
    )
    cured = heard("flicker")
    before, after = (line_power(one.sound[:, None], 100.0, FPS)[0] for one in (bare, cured))
    assert before > 100 * after
    sound = truth("flicker")
    assert info(sound, cured.sound, FPS) > info(sound, bare.sound, FPS) + 3


def test_the_switch_names_the_flicker_that_it_leaves_in() -> None:
    kept = heard("flicker", remove_flicker=False)
    assert not kept.diagnosis.found["flicker"]["removed"]
    assert any("left in, as asked" in line for line in kept.diagnosis.warnings)


@pytest.mark.parametrize(
    ("film", "loss_db"),
    [("flicker", 1), ("shake", 4), ("saturation", 4), ("flicker and shake", 9)],
)
def test_a_cured_film_sounds_nearly_as_clear_as_a_clean_one(film: str, loss_db: float) -> None:
    clean = info(truth("clean"), heard("clean").sound, FPS)
    assert info(truth(film), heard(film).sound, FPS) > clean - loss_db


@pytest.mark.parametrize("cure", ["remove_flicker", "remove_comb", "require_agreement"])
@pytest.mark.parametrize("film", ["clean", "shake"])
def test_a_cure_leaves_a_film_alone_that_does_not_need_it(film: str, cure: str) -> None:
    with_cure, without = heard(film), heard(film, **{cure: False})
    np.testing.assert_allclose(with_cure.sound, without.sound)


def test_shake_that_is_not_followed_is_named_so() -> None:
    recovery = combine_lucas_kanade(measured("shake", follow=False))
    assert recovery.diagnosis.found["shake"]["followed"] is False
    assert any("not followed, as asked" in line for line in recovery.diagnosis.warnings)


def pixels(blur_px: float, side: int = 384) -> NDArray[np.float64]:
    """A picture of a crisp packet as a sharp or a soft lens shows it."""
    settings = SimulationSettings(
        width=side, height=side, blur_px=blur_px, seconds=0.003, sound="silence", noise_sigma=0.5
    )
    return np.rint(next(Scene(settings).batches())[0].astype(np.float64))


@pytest.mark.parametrize(
    "taken",
    [
        lambda image: image[::3, ::3],
        lambda image: image[::4, ::4],
        # Some cameras leave out lines only.
        lambda image: image[::3],
    ],
    ids=["every third pixel", "every fourth pixel", "every third line"],
)
def test_leaving_out_pixels_shows_as_too_fine_detail(
    taken: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> None:
    image = pixels(0.6)
    assert fine_detail_share(image, 0.25) < 0.05
    assert fine_detail_share(taken(image), 0.25) > 0.25


def test_a_film_downsampled_with_a_filter_has_no_too_fine_detail() -> None:
    image = pixels(1.0)
    halved = image.reshape(192, 2, 192, 2).mean(axis=(1, 3))
    assert fine_detail_share(halved, 0.1) < 0.25


@pytest.mark.parametrize("contrast", [0.0, 0.3])
def test_noise_is_no_detail(contrast: float) -> None:
    rng = np.random.default_rng(0)
    image = 128 + contrast * rng.standard_normal((200, 200))
    assert fine_detail_share(np.rint(image), 4.0) == 0


def test_undersampling_is_named_in_a_film() -> None:
    class EveryThird(Scene):
        """The film with two of three pixels left out."""

        def batches(self, batch_frames: int | None = None):  # type: ignore[no-untyped-def]
            for batch in super().batches(batch_frames):
                yield np.ascontiguousarray(batch[:, ::3, ::3])

    scene = EveryThird(SimulationSettings(width=288, height=288, fps=FPS, seconds=0.3, seed=1))
    scene.height = scene.width = 96
    recovery = combine_lucas_kanade(measure_lucas_kanade(scene))
    assert "undersampling" in recovery.diagnosis.found
    assert any("downsampled too coarsely" in line for line in recovery.diagnosis.warnings)


@pytest.fixture(scope="module")
def compressed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], MotionSignals]:
    """Measure a film in H.264 of a sound or of nothing, at a quality."""
    folder = tmp_path_factory.mktemp("compressed")

    @cache
    def measure(sound: str, crf: int) -> MotionSignals:
        film: Path = folder / f"{sound}_{crf}.mp4"
        settings = SimulationSettings(
            width=80, height=80, fps=2200.0, seconds=0.7, sound=sound, crf=crf, amplitude_px=0.1
        )
        simulate_recording(settings, film, quiet=True)
        return measure_lucas_kanade(FilmFrames(film))

    return measure


@pytest.mark.parametrize("crf", [8, 18])
def test_a_film_of_nothing_but_compressed_noise_gives_silence(
    crf: int, compressed: Callable[[str, int], MotionSignals]
) -> None:
    motion = compressed("silence", crf)
    recovery = combine_lucas_kanade(motion)
    assert np.all(recovery.sound == 0)
    assert "follows the codec, not a sound" in recovery.diagnosis.verdict
    assert recovery.diagnosis.heat is None
    # The switch gives what was found all the same.
    assert np.any(combine_lucas_kanade(motion, HearingSettings(require_agreement=False)).sound)


@pytest.mark.parametrize("crf", [8, 18])
def test_a_sound_in_a_compressed_film_is_not_taken_for_the_codec(
    crf: int, compressed: Callable[[str, int], MotionSignals]
) -> None:
    recovery = combine_lucas_kanade(compressed("speech", crf))
    assert recovery.diagnosis.verdict.startswith("a sound from")
    assert recovery.diagnosis.heat is not None
    assert np.any(recovery.sound)


def test_the_codecs_comb_is_named_and_removed(
    compressed: Callable[[str, int], MotionSignals],
) -> None:
    motion = compressed("silence", 8)
    doubt = {"require_agreement": False}
    cured = combine_lucas_kanade(motion, HearingSettings(**doubt))
    found = cured.diagnosis.found["codec_comb"]
    assert found["group_frames"] == 60
    assert found["removed"]
    assert any("leaves lines at multiples of 36.67 Hz" in w for w in cured.diagnosis.warnings)
    kept = combine_lucas_kanade(motion, HearingSettings(remove_comb=False, **doubt))
    assert not kept.diagnosis.found["codec_comb"]["removed"]
    for line in found["frequency_hz"]:
        if line > 500:
            before, after = (
                line_power(one.sound[:, None], line, 2200.0)[0] for one in (kept, cured)
            )
            # The combination alone already turns away from some.
            assert after < 0.5 * before

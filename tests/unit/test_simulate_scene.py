"""The whole scene: displacement, exposure and repeatability."""

import numpy as np
import pytest
from visualmic.errors import VisualMicError
from visualmic.simulate.render import Renderer
from visualmic.simulate.scene import Scene, simulate_frames
from visualmic.simulate.settings import SimulationSettings
from visualmic.simulate.sounds import Sound

SMALL = {"width": 48, "height": 40, "seconds": 0.1, "fps": 1000.0}


def collect(scene: Scene, batch_frames: int | None = None) -> np.ndarray:
    return np.concatenate([batch.copy() for batch in scene.batches(batch_frames)])


@pytest.mark.parametrize("kind", ["crisp-packet", "plant-leaf", "foil", "rigid"])
@pytest.mark.parametrize("amplitude", [0.002, 0.05, 2.0])
def test_the_largest_displacement_is_the_amplitude(kind, amplitude):
    truth = Scene(SimulationSettings(**SMALL, object=kind, amplitude_px=amplitude)).truth
    moved = np.einsum("tk,kcyx->tcyx", truth.displacement, truth.mode_shapes.astype(float))
    assert np.hypot(moved[:, 0], moved[:, 1]).max() == pytest.approx(amplitude, rel=2e-3)


def test_frames_do_not_depend_on_batches_and_come_again():
    settings = SimulationSettings(
        **{**SMALL, "width": 46}, shake_px=0.3, flicker=0.02, electrons_per_level=40.0, seed=8
    )
    scene = Scene(settings)
    frames = collect(scene)
    np.testing.assert_array_equal(collect(scene, 7), frames)
    np.testing.assert_array_equal(collect(Scene(settings), 64), frames)
    other = collect(Scene(SimulationSettings(**{**SMALL, "width": 46}, seed=9)))
    assert not np.array_equal(other, frames)


def test_the_rigid_displacement_is_the_sound_weakened_by_the_exposure():
    settings = SimulationSettings(
        **{**SMALL, "seconds": 1.0}, object="rigid", sound="tone", tone_hz=300.0, exposure=1.0
    )
    truth = Scene(settings).truth
    inside = slice(100, 900)
    ratio = truth.displacement[inside, 0] @ truth.sound[inside] / (truth.sound[inside] ** 2).sum()
    np.testing.assert_allclose(
        truth.displacement[inside, 0],
        ratio * truth.sound[inside],
        atol=1e-6,
    )
    assert ratio == pytest.approx(truth.mode_gain[0] * np.sinc(0.3), rel=1e-4)


@pytest.mark.parametrize(("amplitude", "exposure"), [(0.02, 0.5), (0.1, 1.0), (3.0, 1.0)])
def test_an_exposure_is_the_mean_over_its_time(amplitude, exposure):
    settings = SimulationSettings(
        **{**SMALL, "seconds": 0.03},
        object="rigid",
        sound="chirp",
        amplitude_px=amplitude,
        exposure=exposure,
        direction_deg=20.0,
    )
    scene = Scene(settings)
    frames = np.empty((30, 40, 48), dtype=np.float32)
    scene.expose(0, frames)
    truth = scene.truth
    # Brute force: 64 pictures at moments spread evenly over each exposure (midpoint rule).
    moments = (np.arange(64) + 0.5) / 64 - 0.5
    time = (np.arange(30)[:, None] + exposure * moments) / 1000
    fine = scene._scale * scene._vibration.modes_at(time)
    renderer = Renderer(truth.texture, truth.mode_shapes, np.array([[-3.2, 3.2], [-3.2, 3.2]]))
    brute = np.empty_like(frames)
    renderer.render(
        fine.reshape(-1, 1),
        np.zeros((30 * 64, 2)),
        np.repeat(np.arange(30), 64),
        np.full(30 * 64, 1 / 64),
        brute,
    )
    error = np.sqrt(((frames - brute) ** 2).sum(axis=(1, 2)) / (truth.gradient[0] ** 2).sum())
    assert error.max() < 1e-4


def test_a_sound_in_memory_shakes_the_object():
    rng = np.random.default_rng(1)
    given = Sound(rng.uniform(-1, 1, 4800), 48_000)
    frames, truth = simulate_frames(
        SimulationSettings(width=32, height=32, object="rigid", seconds=None), given
    )
    assert sum(len(batch) for batch in frames) == 220
    assert truth.source is given.samples
    assert np.abs(truth.sound).max() > 0


@pytest.mark.parametrize("changes", [{"sound": "silence"}, {"amplitude_px": 0.0}])
def test_a_still_film_is_still(changes):
    truth = Scene(SimulationSettings(**SMALL, **changes)).truth
    assert not truth.displacement.any()


def test_a_film_may_have_one_frame():
    scene = Scene(SimulationSettings(width=16, height=16, seconds=0.001, fps=1000.0, shake_px=1.0))
    assert collect(scene).shape == (1, 16, 16)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"object": "cheese"}, "object is 'cheese'; it must be one of crisp-packet"),
        ({"fps": -1.0}, "fps is -1; it must be a number from 10"),
        ({"fps": float("nan")}, "fps is nan; it must be a number"),
        ({"width": 20.5}, "width is 20.5; it must be a whole number"),
        ({"seed": True}, "seed is True; it must be a whole number"),
        ({"width": 47}, "H.264 needs an even width and height, not 47x192"),
        ({"sound": "tone", "tone_hz": 2000.0}, "tone_hz is 2000; it must be a number from 50"),
        ({"sound_low_hz": 500.0, "sound_high_hz": 400.0}, "sound_low_hz 500 is not below"),
        ({"codec": "vp9"}, "codec is 'vp9'; it must be one of h264, lossless"),
        ({"seconds": 0.0}, "seconds is 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(VisualMicError, match=message):
        SimulationSettings(**changes)

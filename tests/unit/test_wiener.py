"""The combination of channels, on channels whose content is known."""

from dataclasses import replace

import numpy as np
import pytest
from arrays import ArrayFrames, shifted_frames, texture
from channels import bending, line_power, made_motion, noise
from modes import DAMPING, RESONANCES, SHAPES
from numpy.typing import NDArray
from visualmic.errors import VisualMicError
from visualmic.evaluate.equaliser import info
from visualmic.evaluate.waveform import si_sdr
from visualmic.motion import hearing
from visualmic.motion.beam import Bands, Beam, beamform
from visualmic.motion.displaced_templates import Templates
from visualmic.motion.frame_comparison import FrameComparison
from visualmic.motion.hearing import HearingSettings, combine_lucas_kanade
from visualmic.motion.methods import method_named, recover
from visualmic.motion.modal_model import Expected, ModalModel
from visualmic.motion.modal_posterior import Posterior
from visualmic.motion.recovery import Recovery
from visualmic.motion.signals import MotionSignals
from visualmic.motion.spectra import Rows, ShortTimeFourier, Spectra, highpass

FPS = 2200.0


def voice(frames: int, seed: int = 0) -> NDArray[np.float64]:
    """Noise in 100 to 800 Hz with pauses, as a voice has."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal(frames))
    frequency = np.fft.rfftfreq(frames, 1 / FPS)
    spectrum[(frequency < 100) | (frequency > 800)] = 0
    envelope = np.clip(np.sin(2 * np.pi * 3 * np.arange(frames) / FPS), 0, None)
    sound = np.fft.irfft(spectrum, frames) * envelope
    return sound / np.abs(sound).max()


def test_a_rigid_sound_comes_back_as_clear_as_the_light_allows() -> None:
    sound = voice(3000)
    frames = shifted_frames(texture(96, 96), 0.02 * sound, (0.6, 0.8), noise_std=1.0, seed=1)
    recovery = recover(ArrayFrames(frames, FPS), "lucas-kanade")
    heard = recovery.sound
    assert abs(np.corrcoef(heard, sound)[0, 1]) > 0.97
    assert recovery.diagnosis.verdict.startswith("a sound from")
    assert recovery.diagnosis.as_dict()["ratio_db"] == pytest.approx(0, abs=0.7)


def test_the_errors_of_a_wide_swing_are_not_taken_for_an_object_that_bends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What the measurement takes out of such errors is left in, so that there are some.
    monkeypatch.setattr(
        Templates,
        "around",
        lambda bank, place: [(bank.quantise(place)[2], np.ones(place.shape[:-1], np.float32))],
    )
    monkeypatch.setattr(FrameComparison, "gain_of_light", lambda _, gain, displacement: gain)
    sound = voice(3000)
    frames = shifted_frames(texture(96, 96), 1.2 * sound, (0.6, 0.8), noise_std=0.5, seed=1)
    swinging = recover(ArrayFrames(frames, FPS)).sound
    monkeypatch.setattr("visualmic.motion.rigid._UNEXPLAINED", -1.0)
    bending = recover(ArrayFrames(frames, FPS)).sound
    assert si_sdr(sound, swinging) > si_sdr(sound, bending) + 0.2


@pytest.mark.parametrize("channels", [1, 2])
def test_a_single_mode_that_is_expected_is_taken_out_of_the_sound(
    channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    total, length = 8800, 512
    rng = np.random.default_rng(0)
    sound = rng.standard_normal(total)
    fine = np.fft.rfftfreq(total, 1 / FPS)
    resonator = 1 / (1 - (fine / 300) ** 2 + 0.2j * fine / 300)
    motion = np.fft.irfft(np.fft.rfft(sound) * resonator, total)
    signals = 30 * motion[:, None] * np.array([[1.0, -0.5]])[:, :channels]
    signals += rng.standard_normal(signals.shape)
    frequency = np.fft.rfftfreq(length, 1 / FPS)
    bins = [np.arange(8, 60), np.arange(60, 257)]
    bands = Bands(bins, np.zeros((2, 1, 1)), np.ones(2), np.ones(channels), np.ones(2))
    response = 1 / (1 - (frequency / 300) ** 2 + 0.2j * frequency / 300)
    stft = ShortTimeFourier(length, 4, "hann")
    played = np.concatenate(
        [one[:, :, 0] for one in stft.pieces(lambda a, b: sound[a:b, None], total)]
    )

    def expect(beam: Beam, frequency_hz: NDArray[np.float64]) -> Expected:
        assert beam.spectra.shape[1] == len(frequency_hz)
        return Expected(2 * np.log(np.abs(response)), np.full(len(frequency_hz), 1.0))

    assert beamform(signals, frequency, length, bands, 40.0).modes is None
    beam = beamform(signals, frequency, length, bands, 40.0, expect)
    assert beam.modes is not None
    assert beam.modes.frequency_hz == pytest.approx([300], rel=0.02)
    band = (frequency > 60) & (frequency < 800)
    # What is left of the mode is one constant.
    heard = beam.spectra * beam.gain * np.sqrt(beam.level)
    left = (played.conj() * heard).mean(axis=0)[band] / (np.abs(played) ** 2).mean(axis=0)[band]
    assert np.abs(left / left.mean() - 1).max() < 0.1
    # Where what frames lack was filled in, what modes leave is no noise, and tells nothing.
    filled = replace(bands, filled=True)
    assert beamform(signals, frequency, length, filled, 40.0, expect).modes is None
    # Had the motion by itself been predicted to be clear, it would have been kept.
    with monkeypatch.context() as patch:
        patch.setattr("visualmic.motion.beam._CLEAR_DB", -100.0)
        assert beamform(signals, frequency, length, bands, 40.0, expect).modes is None
    # So too had the noise been predicted to outweigh what is undone.
    foretold = iter([5.0, 5.0, 4.0])
    monkeypatch.setattr(Posterior, "clearness_db", lambda *_: next(foretold))
    assert beamform(signals, frequency, length, bands, 40.0, expect).modes is None


@pytest.mark.parametrize("count", [2, 3])
def test_two_modes_are_told_by_no_motion_and_three_are(count: int) -> None:
    total, length = 8800, 512
    rng = np.random.default_rng(1)
    resonances, damping = np.array([170.0, 390.0, 640.0])[:count], 0.1
    shapes = np.array([[1.0, 0.4, -0.7, 0.2], [0.3, -1.0, 0.5, 0.6], [-0.5, 0.6, 0.4, 1.0]])[:count]
    fine = np.fft.rfftfreq(total, 1 / FPS)
    ratio = fine[:, None] / resonances
    response = (1 / (1 - ratio**2 + 2j * damping * ratio)) @ shapes
    sound = np.fft.rfft(rng.standard_normal(total))
    signals = 30 * np.fft.irfft(sound[:, None] * response, total, axis=0)
    signals += rng.standard_normal(signals.shape)
    frequency = np.fft.rfftfreq(length, 1 / FPS)
    bins = [np.arange(8, 60), np.arange(60, 257)]
    bands = Bands(bins, np.zeros((2, 1, 1)), np.ones(2), np.ones(4), np.ones(2))
    beam = beamform(signals, frequency, length, bands, 40.0)
    # That it bends is told all the same: a swaying camera's slow motion must not be listened to.
    assert beam.bends
    if count < 3:
        assert beam.modes is None
    else:
        assert beam.modes is not None
        assert beam.modes.frequency_hz == pytest.approx(resonances, rel=0.03)
    stiff = sound[:, None] * shapes[0]
    signals = 30 * np.fft.irfft(stiff, total, axis=0) + rng.standard_normal(signals.shape)
    assert not beamform(signals, frequency, length, bands, 40.0).bends


def coloured_signals(seed: int) -> NDArray[np.float64]:
    """Factor signals of an object with known modes, which a sound with peaks of its own shakes."""
    total = 8800
    rng = np.random.default_rng(seed)
    fine = np.fft.rfftfreq(total, 1 / FPS)
    ratio = fine[:, None] / RESONANCES
    pattern = (1 / (1 - ratio**2 + 2j * DAMPING * ratio)) @ SHAPES.T
    colour = np.interp(fine, np.linspace(0, FPS / 2, 60), rng.normal(0, 0.75, 60))
    sound = np.fft.rfft(rng.standard_normal(total)) * np.exp(colour)
    heard = 300 * np.fft.irfft(sound[:, None] * pattern, total, axis=0)
    return np.asarray(heard + rng.standard_normal(heard.shape))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_long_windows_tell_modes_that_short_ones_mistake(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals, length = coloured_signals(seed), 512
    frequency = np.fft.rfftfreq(length, 1 / FPS)
    bins = [np.arange(8, 60), np.arange(60, 257)]
    bands = Bands(bins, np.zeros((2, 1, 1)), np.ones(2), np.ones(5), np.ones(2))
    ratio = frequency[:, None] / RESONANCES
    pattern = (1 / (1 - ratio**2 + 2j * DAMPING * ratio)) @ SHAPES.T

    def error(bands: Bands) -> float:
        modes = beamform(signals, frequency, length, bands, 40.0).modes
        assert modes is not None
        found = modes.response(frequency)
        alike = (found.conj() * pattern).sum(axis=1) / (np.abs(found) ** 2).sum(axis=1)
        alike = alike[(frequency > 80) & (frequency < 1000)]
        return float(np.abs(alike / alike.mean() - 1).std())

    refined = error(bands)
    # What was filled in has no noise that long windows could tell from modes.
    filled = error(replace(bands, filled=True))
    monkeypatch.setattr("visualmic.motion.beam.refine_modes", lambda modes, *_, **__: modes)
    mistaken = error(bands)
    assert refined < 0.03
    assert refined < 0.4 * mistaken
    assert filled == mistaken


@pytest.mark.parametrize("told", [True, False])
def test_other_modes_are_taken_where_they_promise_more_and_the_object_bends(
    told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals, length = coloured_signals(0), 512
    frequency = np.fft.rfftfreq(length, 1 / FPS)
    bins = [np.arange(8, 60), np.arange(60, 257)]
    bands = Bands(bins, np.zeros((2, 1, 1)), np.ones(2), np.ones(5), np.ones(2))
    other = ModalModel(np.array([333.0]), np.array([0.1]), np.ones((5, 1)), 0.0)

    def sampled(*_: object, most_unexplained: float, **__: object) -> Posterior:
        # In a lossless film, too, what leaves much more than noise is not to be believed.
        assert 1.2 < most_unexplained < 2
        return Posterior(other, [other], np.ones(1))

    monkeypatch.setattr("visualmic.motion.beam.sample_modes", sampled)
    if not told:
        monkeypatch.setattr("visualmic.motion.beam.identify_modes", lambda *_, **__: None)

    def expect(beam: Beam, frequency_hz: NDArray[np.float64]) -> Expected:
        return Expected(np.zeros(len(frequency_hz)), np.ones(len(frequency_hz)))

    joined: list[Spectra] = []

    def join(_: Posterior, mean: Spectra, usual: Spectra, *__: object) -> Spectra:
        joined.append(usual)
        return mean

    monkeypatch.setattr(Posterior, "joined", join)

    def takes_other(promise_db: float, clear_db: float = 5.0, rigid: bool = False) -> bool:
        foretold = iter([5.0, 5.0 + promise_db])

        def clearness(_: Posterior, *told: object) -> float:
            return next(foretold) if len(told) > 3 else clear_db

        monkeypatch.setattr(Posterior, "clearness_db", clearness)
        whole = np.eye(5) if rigid else np.zeros((2, 5))
        modes = beamform(signals, frequency, length, bands, 40.0, expect, whole).modes
        return modes is other

    assert takes_other(0.5)
    # What the motion tells has a part in it.
    assert len(joined) == told
    assert not takes_other(-0.5)
    assert not takes_other(0.5, clear_db=25.0)
    assert not takes_other(0.5, rigid=True)


@pytest.mark.parametrize("seed", [0, 1])
def test_errors_of_a_codec_along_the_motion_do_not_turn_the_beam(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    total, length = 8800, 512
    rng = np.random.default_rng(seed)
    sound = voice(total, seed)
    # The strongest motion comes with the strongest errors, alike at all frequencies.
    signals = sound[:, None] * np.array([[400.0, 80.0, 0.0]])
    signals += rng.standard_normal(signals.shape) * np.array([[15.0, 1.0, 1.0]])
    frequency = np.fft.rfftfreq(length, 1 / FPS)
    bins = [np.arange(8, 60), np.arange(60, 257)]
    bands = Bands(bins, np.zeros((2, 1, 1)), np.ones(2), np.ones(3), np.ones(2), True, True)

    def heard() -> NDArray[np.float64]:
        beam = beamform(signals, frequency, length, bands, None)
        spectra = (beam.spectra * beam.gain * np.sqrt(beam.level)).astype(np.complex64)
        return ShortTimeFourier(length, 4, "hann").inverse(spectra, total)

    whitened = heard()
    monkeypatch.setattr("visualmic.motion.beam._codec_whitener", lambda signals, *_: np.eye(3))
    taken_as_they_are = heard()
    assert info(sound, whitened, FPS) > info(sound, taken_as_they_are, FPS) + 2


def test_a_sound_is_as_loud_among_errors_of_a_codec_as_without() -> None:
    total, length = 8800, 512
    sound = voice(total)
    signals = sound[:, None] * np.array([[400.0, 0.0]])
    signals += np.random.default_rng(0).standard_normal(signals.shape) * np.array([[12.0, 1.0]])
    frequency = np.fft.rfftfreq(length, 1 / FPS)
    bins = [np.arange(8, 60), np.arange(60, 257)]
    bands = Bands(bins, np.zeros((2, 1, 1)), np.ones(2), np.ones(2), np.ones(2), True, True)
    beam = beamform(signals, frequency, length, bands, None)
    assert np.abs(beam.pattern) == pytest.approx([1, 0], abs=0.02)
    spectra = (beam.spectra * beam.gain * np.sqrt(beam.level)).astype(np.complex64)
    heard = ShortTimeFourier(length, 4, "hann").inverse(spectra, total)
    assert abs(heard @ sound) / (sound @ sound) == pytest.approx(400, rel=0.05)


def test_a_sound_at_all_frequencies_is_not_taken_for_errors_of_a_codec() -> None:
    total, length = 8800, 512
    rng = np.random.default_rng(0)
    signals = 30 * rng.standard_normal((total, 1)) * np.array([[1.0, 0.5]])
    signals += rng.standard_normal(signals.shape)
    frequency = np.fft.rfftfreq(length, 1 / FPS)
    bins = [np.arange(8, 60), np.arange(60, 257)]
    bands = Bands(bins, np.zeros((2, 1, 1)), np.ones(2), np.ones(2), np.ones(2), True, True)
    beam = beamform(signals, frequency, length, bands, None)
    # Of its power over the noise, 31 dB, 15 dB are left.
    assert np.median(beam.power[bins[0]]) > 20


@pytest.mark.parametrize("lossless", [False, True])
def test_only_what_a_lossy_codec_coded_between_frames_is_searched_for_its_errors(
    lossless: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = shifted_frames(texture(96, 96), 0.05 * voice(3000), (0.6, 0.8), noise_std=1.0, seed=1)
    film = ArrayFrames(frames, FPS)
    monkeypatch.setattr(film, "keyframes", np.arange(0, 3000, 60), raising=False)
    monkeypatch.setattr(film, "lossless", lossless, raising=False)
    searched = []

    def search(signals: NDArray[np.float64], *_: object) -> NDArray[np.float64]:
        searched.append(signals.shape)
        return np.eye(signals.shape[1])

    monkeypatch.setattr("visualmic.motion.beam._codec_whitener", search)
    recover(film)
    assert bool(searched) is not lossless


def test_what_the_shutter_smeared_is_made_up_for() -> None:
    time = np.arange(4400) / FPS
    tones, open_share = (150.0, 950.0), 0.5
    kept = [float(np.sinc(open_share * tone / FPS)) for tone in tones]
    motion = sum(k * np.sin(2 * np.pi * f * time) for k, f in zip(kept, tones, strict=True))
    frames = shifted_frames(texture(64, 64), 0.05 * motion, (0.6, 0.8), noise_std=1.0, seed=1)

    def loudness(exposure: float) -> list[float]:
        settings = HearingSettings(exposure=exposure)
        heard = recover(ArrayFrames(frames, FPS), "lucas-kanade", combine_settings=settings).sound
        spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
        return [float(spectrum[round(tone * len(heard) / FPS)]) for tone in tones]

    low, high = loudness(open_share)
    assert high / low == pytest.approx(1, abs=0.02)
    low, high = loudness(0.0)
    assert high / low == pytest.approx(kept[1] / kept[0], abs=0.02)


def test_a_shutter_open_for_longer_than_a_frame_is_refused() -> None:
    with pytest.raises(VisualMicError, match=r"exposure is 1\.5: give the share"):
        HearingSettings(exposure=1.5)


@pytest.mark.parametrize("seed", range(4))
def test_pure_noise_is_called_silence(seed: int) -> None:
    frames = shifted_frames(texture(96, 96), np.zeros(1500), noise_std=1.0, seed=seed)
    recovery = recover(ArrayFrames(frames, FPS))
    assert "no sound" in recovery.diagnosis.verdict
    assert np.all(recovery.sound == 0)


@pytest.mark.parametrize("method", ["lucas-kanade", "pyramid"])
@pytest.mark.parametrize(
    "frames",
    [
        np.tile(np.rint(texture(64, 64)).astype(np.uint8), (200, 1, 1)),
        np.full((200, 64, 64), 90, np.uint8),
        np.tile(np.rint(texture(64, 64)).astype(np.uint8), (3, 1, 1)),
    ],
    ids=["still film", "one colour", "three frames"],
)
def test_nothing_is_invented_where_nothing_moves(frames: NDArray[np.uint8], method: str) -> None:
    recovery = recover(ArrayFrames(frames, FPS), method)
    assert recovery.sound.shape == (len(frames),)
    assert np.all(recovery.sound == 0)
    assert "no" in recovery.diagnosis.verdict


def test_a_sound_in_half_of_the_frame_is_placed_there() -> None:
    scene = texture(96, 96)
    sound = 0.05 * voice(1500)
    moving = shifted_frames(scene, sound, noise_std=1.0, seed=5)
    still = shifted_frames(scene, np.zeros(1500), noise_std=1.0, seed=6)
    frames = np.concatenate([still[:, :, :48], moving[:, :, 48:]], axis=2)
    heat = recover(ArrayFrames(frames, FPS)).diagnosis.as_dict()["heat_map"]
    value, x = np.array(heat["value"]), np.array(heat["x_px"])
    assert value[x > 52].mean() > value[x < 44].mean() + 10


def test_more_noise_gives_less_information_but_no_nonsense() -> None:
    sound = voice(2500, seed=3)
    found = []
    for noise_std in (0.5, 2.0, 8.0):
        frames = shifted_frames(texture(96, 96), 0.02 * sound, noise_std=noise_std, seed=7)
        found.append(info(sound, recover(ArrayFrames(frames, FPS)).sound, FPS))
    assert found[0] > found[1] > found[2] > 0


def test_windows_overlap_to_the_same_signal() -> None:
    signal = np.random.default_rng(0).standard_normal((1000, 1)).astype(np.float32)
    stft = ShortTimeFourier(128, 4, "hann")
    spectra = np.concatenate(list(stft.pieces(lambda a, b: signal[a:b], 1000, at_once=5)))
    np.testing.assert_allclose(stft.inverse(spectra[:, :, 0], 1000), signal[:, 0], atol=1e-5)
    assert np.mean(np.abs(spectra[4:-4]) ** 2) == pytest.approx(1.0, rel=0.1)


def test_the_highpass_removes_drift_and_keeps_the_tone_in_phase() -> None:
    time = np.arange(4000) / FPS
    tone = np.sin(2 * np.pi * 100 * time)
    signal = (tone + 50 * time + 3)[:, None].astype(np.float32)
    found = highpass(signal, FPS, 20.0)[:, 0]
    np.testing.assert_allclose(found[500:-500], tone[500:-500], atol=0.01)


def test_the_highpass_leaves_a_tone_as_it_is_where_the_film_begins_and_ends() -> None:
    time = np.arange(2200) / FPS
    tone = np.cos(2 * np.pi * 200 * time)
    sway = 10 * np.sin(2 * np.pi * 2 * time + 1)
    for slow in (0 * sway, sway):
        left = highpass((tone + slow)[:, None], FPS, 20.0)[:, 0] - tone
        assert np.sqrt(np.mean(left[:110] ** 2)) < 0.06
        assert np.sqrt(np.mean(left[-110:] ** 2)) < 0.06


def test_an_unknown_method_names_the_nearest() -> None:
    from visualmic.errors import VisualMicError

    with pytest.raises(VisualMicError, match="did you mean pyramid"):
        method_named("pyramids")


def test_what_a_sway_leaves_behind_is_left_out_where_it_is_louder_than_the_sound() -> None:
    total = 6600
    time_s = np.arange(total) / FPS
    sway = 0.2 * np.sin(2 * np.pi * 1.3 * time_s)
    error = 0.004 * np.sin(2 * np.pi * 35 * time_s)
    tone = 0.002 * np.sin(2 * np.pi * 310 * time_s)

    def recovered(moves: NDArray[np.float64], swings: bool = True, **settings: bool) -> Recovery:
        motion = made_motion(bending(moves) + noise(total), FPS)
        if swings:
            motion.arrays["global_shift"] = np.outer(sway, [1.0, 0.5])
        return combine_lucas_kanade(motion, HearingSettings(**settings))

    def heard(slow: NDArray[np.float64], swings: bool, **settings: bool) -> tuple[float, float]:
        recovery = recovered(slow + tone, swings, **settings)
        told = recovery.diagnosis.found.get("shake", {}).get("left_out_below_hz", 0)
        lines = [float(line_power(recovery.sound[:, None], hz, FPS)[0]) for hz in (35, 310)]
        return lines[0] / lines[1], told

    share, told = heard(error, True)
    assert share < 1e-3
    assert told == 80
    assert heard(error, True, remove_sway=False)[0] > 1
    # Without a sway it is a sound, and so is what is not louder than the rest.
    assert heard(error, False)[0] > 1
    share, told = heard(0.2 * error, True)
    assert share > 0.05
    assert told == 0
    # A bass is no such error.
    bass = 0.006 * np.sin(2 * np.pi * 62 * time_s)
    assert heard(bass, True)[1] == 0
    # Where there is nothing else, there is no sound.
    assert not recovered(error).sound.any()
    assert recovered(error, remove_sway=False).sound.any()


def test_a_codec_is_not_believed_for_what_a_sway_left_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    total = 6600
    time_s = np.arange(total) / FPS
    moves = 0.02 * np.sin(2 * np.pi * 35 * time_s) + 0.004 * np.sin(2 * np.pi * 310 * time_s)
    motion = made_motion(bending(moves) + noise(total), FPS, range(0, total, 60))
    motion.arrays["global_shift"] = np.outer(0.2 * np.sin(2 * np.pi * 1.3 * time_s), [1.0, 0.5])
    asked = []

    def agree(motion: MotionSignals, rows: Rows, lowest_hz: float) -> None:
        asked.append(lowest_hz)

    monkeypatch.setattr(hearing, "measure_agreement", agree)
    assert combine_lucas_kanade(motion).sound.any()
    assert asked == [80]

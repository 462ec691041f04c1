import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
import scipy.signal
from PIL import Image
from visualmic.audio.wav import write_wav
from visualmic.errors import VisualMicError
from visualmic.evaluate.alignment import align
from visualmic.report import figures
from visualmic.report.figure_style import figure_style, method_colours, new_figure, save_figure
from visualmic.report.figures_sound import spectrogram

RATE = 2200.0
METHODS = ("pyramid", "pyramid-denoised", "lucas-kanade", "lucas-kanade-denoised")


@pytest.fixture(scope="module")
def sounds():
    rng = np.random.default_rng(0)
    time = np.arange(4400) / RATE
    played = scipy.signal.chirp(time, 100, 2.0, 900) * np.sin(np.pi * time / 2)
    return {
        method: align(played + level * rng.standard_normal(4400), RATE, played, RATE)
        for method, level in zip(METHODS, (1.0, 0.5, 0.3, 0.1), strict=True)
    }


def texts(svg) -> str:
    root = ElementTree.parse(svg).getroot()
    return "\n".join("".join(node.itertext()) for node in root.iter() if node.tag.endswith("text"))


def check_files(paths, *words):
    """The PNG is a picture with something in it, the SVG holds the words as text."""
    png, svg = paths
    assert (png.suffix, svg.suffix) == (".png", ".svg")
    picture = np.asarray(Image.open(png).convert("L"))
    assert picture.shape[1] >= 500
    assert (picture < 200).mean() > 0.002
    found = texts(svg)
    for word in words:
        assert word in found, f"{word!r} is not written in {svg.name}"


def test_sounds_are_drawn_with_units_and_every_method(tmp_path, sounds):
    paths = figures.draw_sounds(sounds, tmp_path / "a.b", "packet_speech")
    assert [path.name for path in paths] == ["a.b.png", "a.b.svg"]
    check_files(
        paths, "Time (s)", "Frequency (Hz)", "Amplitude", "Level (dB of", "packet_speech", *METHODS
    )
    assert "Pearson correlation 1.00" not in texts(paths[1]).split("lucas-kanade")[0]


def test_figures_are_the_same_every_time(tmp_path, sounds):
    for name in ("first", "second"):
        figures.draw_sounds(sounds, tmp_path / name)
    for suffix in ("png", "svg"):
        first, second = ((tmp_path / f"{name}.{suffix}") for name in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()


def test_a_spectrogram_shows_a_tone_at_its_frequency_and_time():
    time = np.arange(6600) / RATE
    tone = np.where(time < 1.5, np.sin(2 * np.pi * 300 * time), np.sin(2 * np.pi * 800 * time))
    shown = spectrogram(tone, RATE, start_s=2.0)
    frequency = (np.arange(len(shown.power)) + 0.5) * shown.highest_hz / len(shown.power)
    loudest = frequency[shown.power.argmax(axis=0)]
    instants = np.linspace(*shown.time_s, shown.power.shape[1])
    assert np.abs(loudest[instants < 3.4] - 300).max() < 15
    assert np.abs(loudest[instants > 3.6] - 800).max() < 15
    assert shown.time_s[0] == pytest.approx(2.0, abs=0.05)
    assert shown.time_s[1] == pytest.approx(5.0, abs=0.05)


@pytest.mark.parametrize(("samples", "rate"), [(44, 2200.0), (16, 480.0), (2_000_000, 48000.0)])
def test_a_spectrogram_is_never_larger_than_a_picture_can_show(samples, rate):
    shown = spectrogram(np.random.default_rng(0).standard_normal(samples), rate)
    assert 1 <= shown.power.shape[1] <= 400
    assert 1 <= shown.power.shape[0] <= 160
    assert np.isfinite(shown.power).all()


def test_sounds_without_a_reference_are_drawn_alone(tmp_path):
    noise = np.random.default_rng(0).standard_normal(2200)
    paths = figures.draw_sounds_alone({"pyramid": (noise, RATE)}, tmp_path / "alone", "fork")
    check_files(paths, "pyramid", "Time (s)", "Frequency (Hz)", "Level (dB of the loudest point)")


def test_silence_and_very_short_sounds_are_drawn(tmp_path, sounds):
    played = sounds["pyramid"].reference
    silent = {"silent": align(np.zeros(4400), RATE, played, RATE)}
    check_files(figures.draw_sounds(silent, tmp_path / "silent"), "correlation 0.00")
    noise = np.random.default_rng(0).standard_normal(44)
    short = {"short": align(noise, RATE, noise, RATE)}
    for draw in (figures.draw_sounds, figures.draw_amplitudes):
        check_files(draw(short, tmp_path / "short"), "short")
    check_files(figures.draw_frequency_snr(short, tmp_path / "snr"), "too short")


@pytest.mark.parametrize(
    "draw", [figures.draw_sounds, figures.draw_frequency_snr, figures.draw_amplitudes]
)
def test_no_sound_gives_a_figure_that_says_so(tmp_path, draw):
    assert any(word in texts(draw({}, tmp_path / "none")[1]) for word in ("no sound", "too short"))


def test_frequency_snr_is_drawn_per_frequency_and_per_octave(tmp_path, sounds):
    paths = figures.draw_frequency_snr(sounds, tmp_path / "snr")
    check_files(paths, "Signal-to-noise ratio (dB)", "Frequency (Hz)", "250", "1000", *METHODS)


def test_amplitudes_are_drawn_for_each_method(tmp_path, sounds):
    paths = figures.draw_amplitudes(sounds, tmp_path / "amplitudes")
    check_files(paths, "True amplitude (peak = 1)", "Number of samples", *METHODS)


ROWS = [
    {
        "recording": f"r{index}",
        "method": method,
        "rmse": 0.1 + 0.01 * index,
        "rmse_silence": 0.2,
        "mae": 0.05,
        "mae_silence": 0.1,
        "pearson": 0.9,
        "pearson_silence": 0.0,
        "si_sdr": 5.0 + index,
        "si_sdr_silence": -100.0,
        "info": 9.0,
        "info_silence": 0.0,
        "estoi": None,
    }
    for method in METHODS
    for index in range(4)
]


def test_scores_are_drawn_with_silence_and_direction(tmp_path):
    paths = figures.draw_scores(ROWS, tmp_path / "scores", "Scores")
    check_files(
        paths,
        "RMSE, lower is better",
        "SI-SDR (dB), higher is better",
        "dashed: silence, 0.2",
        "silence: \N{MINUS SIGN}100 dB, beyond this scale",
        "no scores",
        "of 4 recordings",
        *METHODS,
    )


def test_a_panel_without_scores_leaves_the_names_of_the_methods_to_the_others(tmp_path):
    paths = figures.draw_scores(ROWS, tmp_path / "scores", metrics=("estoi", "rmse"))
    check_files(paths, "no scores", *METHODS)


def test_scores_of_one_recording_or_none_are_drawn(tmp_path):
    one = [row for row in ROWS if row["recording"] == "r0"]
    check_files(figures.draw_scores(one, tmp_path / "one"), "RMSE, lower is better")
    assert "no scores" in texts(figures.draw_scores([], tmp_path / "none")[1])


def test_training_is_drawn_with_a_panel_a_quantity(tmp_path):
    epochs = list(range(1, 11))
    history = {
        "epoch": epochs,
        "train_loss": [1 / epoch for epoch in epochs],
        "validation_loss": [1.1 / epoch for epoch in epochs],
        "val_si_sdr": [float("nan"), *epochs[1:]],
    }
    paths = figures.draw_training({"siamese": history, "hybrid": history}, tmp_path / "training")
    check_files(paths, "Epoch", "Loss", "SI-SDR (dB)", "siamese", "hybrid", "training")
    assert "no training history" in texts(figures.draw_training({}, tmp_path / "none")[1])


@pytest.mark.parametrize("shape", [(90, 160), (160, 90), (64, 64), (16, 400)])
def test_where_the_sound_was_heard_is_drawn_over_the_frame(tmp_path, shape):
    frame = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    y, x = (axis.ravel() for axis in np.mgrid[8 : shape[0] : 16, 8 : shape[1] : 16])
    heat = figures.block_grid(x, y, np.hypot(x, y) / 10, 16, shape)
    paths = figures.draw_heat_map(frame, heat, tmp_path / "heat", "chips")
    check_files(paths, "x (px)", "y (px)", "Signal-to-noise ratio (dB)", "chips")
    picture = np.asarray(Image.open(paths[0]))
    assert picture.shape[0] < 2 * picture.shape[1]


def test_blocks_are_laid_out_where_they_are_in_the_frame():
    grid = figures.block_grid([8, 24], [8, 8], [1.0, np.nan], 16, (20, 40))
    assert (grid[:16, :16] == 1).all()
    assert np.isnan(grid[16:]).all()
    assert np.isnan(grid[:, 16:]).all()
    cut = figures.block_grid([38], [18], [2.0], 16, (20, 40))
    assert (cut[10:, 30:] == 2).all()
    overlap = figures.block_grid([8, 12], [8, 8], [1.0, 5.0], 16, (16, 20))
    assert overlap[0, 10] == 5


def test_a_heat_map_without_any_measurement_says_so(tmp_path):
    paths = figures.draw_heat_map(np.zeros((20, 30)), np.full((2, 3), np.nan), tmp_path / "none")
    assert "nothing was measured" in texts(paths[1])
    with pytest.raises(VisualMicError, match="rows and columns"):
        figures.draw_heat_map(np.zeros((20, 30, 3)), np.zeros((2, 3)), tmp_path / "colour")


def test_methods_keep_their_colours_and_none_is_used_twice():
    names = [*METHODS, "siamese", "resnet50", "fpn", "hybrid", "mine", "yours"]
    colours = method_colours(names)
    assert len(set(colours.values())) == len(names)
    assert method_colours(["hybrid", "pyramid"])["pyramid"] == colours["pyramid"]
    assert all(re.fullmatch("#[0-9A-F]{6}", colour) for colour in colours.values())


def deuteranope(colour: str) -> np.ndarray:
    """What a person without green cones sees (Machado, Oliveira and Fernandes, 2009)."""
    red, green, blue = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    matrix = [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]
    return np.clip(np.array(matrix) @ [red, green, blue], 0, 1)


def test_colours_of_the_methods_differ_for_colour_blind_people():
    seen = [deuteranope(colour) for colour in method_colours(METHODS).values()]
    for index, first in enumerate(seen):
        for second in seen[index + 1 :]:
            assert np.linalg.norm(first - second) > 0.15


def test_nothing_is_left_of_a_figure_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with figure_style():
        figure = new_figure(4, 3)
        figure.subplots().plot([1, 2])
    with pytest.raises(VisualMicError, match="cannot write"):
        save_figure(figure, tmp_path / "file" / "figure")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_files_are_aligned_for_drawing_at_the_true_capture_rate(tmp_path):
    rng = np.random.default_rng(0)
    played = np.repeat(rng.standard_normal(2000), 20)
    write_wav(tmp_path / "played.wav", played, 4800)
    fps = 239.76
    instants = np.arange(int(len(played) / 4800 * fps)) / fps
    low = scipy.signal.sosfiltfilt(scipy.signal.butter(4, 80, fs=4800, output="sos"), played)
    heard = np.interp(instants, np.arange(len(low)) / 4800, low)
    write_wav(tmp_path / "heard.wav", heard, fps)
    files = {"pyramid": tmp_path / "heard.wav"}
    exact = figures.align_files(files, tmp_path / "played.wav", fps=fps)["pyramid"]
    rounded = figures.align_files(files, tmp_path / "played.wav")["pyramid"]
    assert exact.rate == fps
    assert exact.correlation > rounded.correlation


def test_drawing_needs_no_display_and_leaves_pyplot_alone(tmp_path):
    program = (
        "import sys, numpy as np\n"
        "from visualmic.report import figures\n"
        "assert 'matplotlib' not in sys.modules\n"
        "figures.draw_heat_map(np.eye(20), np.eye(2), sys.argv[1])\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "heat"],
        env={"PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

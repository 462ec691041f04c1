"""Sound files that play everywhere, and sounds read from whatever a recorder wrote."""

import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from films import make_film, run_ffmpeg
from numpy.typing import NDArray
from visualmic.audio.wav import read_audio, write_wav
from visualmic.errors import VisualMicError


def tone(rate: float, hertz: float = 100.0, seconds: float = 0.5) -> NDArray[np.float64]:
    return np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)


def test_a_wav_is_mono_16_bit_pcm_at_the_rate_rounded_to_a_whole_number(tmp_path: Path) -> None:
    write_wav(tmp_path / "deep" / "a.wav", tone(2200), 2199.7)
    with wave.open(str(tmp_path / "deep" / "a.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 2200)
        assert file.getnframes() == 1100


@pytest.mark.parametrize("scale", [1e-6, 1.0, 300.0])
def test_the_peak_is_brought_to_nine_tenths(scale: float, tmp_path: Path) -> None:
    sound = tone(2200)
    write_wav(tmp_path / "a.wav", -scale * sound, 2200)
    read, rate = read_audio(tmp_path / "a.wav")
    assert rate == 2200
    np.testing.assert_allclose(read, -0.9 * sound / np.max(np.abs(sound)), atol=1e-4)


def test_the_level_is_kept_where_asked_and_what_is_too_loud_is_clipped(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", [0.25, -0.5, 1.5, -2.0], 8000, normalise=False)
    read, _ = read_audio(tmp_path / "a.wav")
    np.testing.assert_allclose(read, [0.25, -0.5, 1.0, -1.0], atol=1e-4)


def test_silence_stays_silence(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.zeros(10), 8000)
    assert not read_audio(tmp_path / "a.wav")[0].any()


@pytest.mark.parametrize("rate", [2200.0, 239.76, 1000.0, 20000.0])
def test_the_copy_for_players_is_the_same_tone_at_48_khz(rate: float, tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone(rate, hertz=60.0, seconds=2.0), rate, listen=True)
    read, copy_rate = read_audio(tmp_path / "a_48k.wav")
    assert copy_rate == 48000
    assert read.size == pytest.approx(96000, abs=48000 / rate + 1)
    spectrum = np.abs(np.fft.rfft(read * np.hanning(read.size), 1 << 20))
    assert np.argmax(spectrum) * 48000 / (1 << 20) == pytest.approx(60.0, abs=0.1)


@pytest.mark.parametrize("samples", [[], [[0.0, 1.0]], [0.0, np.nan], [np.inf]])
def test_what_is_no_sound_is_refused_and_leaves_what_was_there(
    samples: list[float], tmp_path: Path
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"before")
    with pytest.raises(VisualMicError, match=r"a\.wav would"):
        write_wav(path, samples, 8000)
    assert path.read_bytes() == b"before"


@pytest.mark.parametrize("rate", [0.0, -5.0, float("nan")])
def test_a_rate_that_cannot_be_is_refused(rate: float, tmp_path: Path) -> None:
    with pytest.raises(VisualMicError, match="samples per second"):
        write_wav(tmp_path / "a.wav", [0.0], rate)


def test_channels_are_mixed_to_their_mean(tmp_path: Path) -> None:
    left, right = tone(8000), tone(8000, 150.0)
    soundfile.write(tmp_path / "a.flac", 0.5 * np.stack([left, right], axis=1), 8000, "PCM_24")
    read, rate = read_audio(tmp_path / "a.flac")
    assert rate == 8000
    np.testing.assert_allclose(read, 0.25 * (left + right), atol=1e-6)


@pytest.mark.parametrize("name", ["a.m4a", "a.mp4", "a.mka"])
def test_formats_of_telephones_and_films_are_read_too(name: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", 0.5 * tone(44100, 440.0), 44100)
    codec = "pcm_s16le" if name == "a.mka" else "aac"
    run_ffmpeg("-i", tmp_path / "a.wav", "-c:a", codec, tmp_path / name)
    read, rate = read_audio(tmp_path / name)
    assert rate == 44100
    assert read.size == pytest.approx(22050, abs=1100)
    np.testing.assert_allclose(read[5000:15000], 0.5 * tone(44100, 440.0)[5000:15000], atol=5e-2)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.wav", None, "there is no file"),
        ("a.wav", b"", "is empty"),
        ("a.wav", b"this is a text, not a sound\n" * 20, "is not a sound that can be read"),
    ],
)
def test_what_cannot_be_read_is_named(
    name: str, content: bytes | None, words: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(VisualMicError, match=rf"{words}|{name}.*{words}"):
        read_audio(tmp_path / name)


def test_a_film_without_sound_is_named(tmp_path: Path) -> None:
    with pytest.raises(VisualMicError, match=r"a\.mp4 has no sound track"):
        read_audio(make_film(tmp_path / "a.mp4"))


def test_a_wav_without_samples_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 8000)
    with pytest.raises(VisualMicError, match="holds no sound samples"):
        read_audio(tmp_path / "a.wav")

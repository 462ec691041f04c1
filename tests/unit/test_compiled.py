"""Machine code that is kept gives what its function says; what is stale or broken never runs."""

import hashlib
import importlib.util
import linecache
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from visualmic.compiled import Held, compiled

MODULE = """
import numpy as np
from visualmic.compiled import compiled

FACTOR = {factor}


@compiled("f8[1], i8 -> f8")
def power(values, order):
    total = 0.0
    for value in values:
        total += value**order
    return total


@compiled("f8[2], u1[1], b1[1], f4, f8[2]", fastmath=True)
def fill(values, levels, wanted, offset, out):
    for row in range(values.shape[0]):
        if wanted[row]:
            for column in range(values.shape[1]):
                out[row, column] = FACTOR * values[row, column] + levels[column] + offset
            out[row, 0] = power(out[row], 2)


@compiled("i8, f8[1]")
def allocating(count, out):
    out[0] = np.zeros(count).sum()
"""


def load(folder: Path, factor: float = 2.0):
    """Import the module anew."""
    file = folder / "kernels.py"
    file.write_text(MODULE.format(factor=factor))
    spec = importlib.util.spec_from_file_location("kernels", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    spec.loader.exec_module(module)
    sys.dont_write_bytecode = before
    # Python looks for the text of functions where it last saw the file.
    linecache.checkcache()
    return module


def filled(module, width: int = 3) -> np.ndarray:
    values = np.arange(2.0 * width).reshape(2, width)
    out = np.full((2, width), -1.0)
    levels = np.arange(width, dtype=np.uint8)
    module.fill(values, levels, np.array([False, True]), 0.5, out)
    return out


def kept(folder: Path, name: str = "") -> list[Path]:
    return sorted((folder / "__pycache__").glob(f"kernels.{name}*.native"))


def test_arrays_numbers_and_calls_of_each_other_are_as_in_python(tmp_path):
    row = 2.0 * np.array([3.0, 4, 5]) + [0, 1, 2] + 0.5
    wanted = [[-1, -1, -1], [float((row**2).sum()), *row[1:]]]
    assert np.allclose(filled(load(tmp_path)), wanted)


def test_kept_code_runs_without_numba(tmp_path):
    expected = filled(load(tmp_path))
    program = (
        "import sys\n"
        "sys.modules['numba'] = None\n"
        f"sys.path[:0] = [{str(tmp_path)!r}, {str(Path(__file__).parent)!r}]\n"
        "import kernels\n"
        "from test_compiled import filled\n"
        "print(filled(kernels).ravel().tolist())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(expected.ravel().tolist())


def test_a_change_of_the_function_or_of_what_it_uses_is_compiled_and_replaces_the_old(tmp_path):
    before = filled(load(tmp_path))
    (old,) = kept(tmp_path, "fill")
    after = filled(load(tmp_path, factor=3.0))
    (new,) = kept(tmp_path, "fill")
    assert new != old
    assert after[1, 1] - before[1, 1] == pytest.approx(4.0)


@pytest.mark.parametrize("harm", ["cut", "other", "empty"])
def test_code_that_is_not_whole_is_compiled_again(tmp_path, harm):
    expected = filled(load(tmp_path))
    (file,) = kept(tmp_path, "fill")
    whole = file.read_bytes()
    broken = {"cut": whole[:-100], "other": whole[:-1] + b"x", "empty": b""}[harm]
    file.write_bytes(broken)
    assert np.array_equal(filled(load(tmp_path)), expected)
    digest, code = file.read_bytes().split(b"\n", 1)
    assert digest.decode() == hashlib.sha256(code).hexdigest()


def test_where_the_module_cannot_be_written_the_users_cache_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "__pycache__").write_text("no folder")
    filled(load(tmp_path))
    assert list((tmp_path / "cache" / "visualmic").glob("kernels.fill.*.native"))


def test_nothing_that_can_be_written_still_computes(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "__pycache__").write_text("no folder")
    assert filled(load(tmp_path))[1, 2] == 12.5


def test_a_user_without_a_home_needs_none(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "__pycache__").write_text("no folder")
    assert filled(load(tmp_path))[1, 2] == 12.5
    assert not (tmp_path / "~").exists()


def test_a_function_that_allocates_is_refused(tmp_path):
    with pytest.raises(TypeError, match=r"allocating needs NRT_.*must not allocate"):
        load(tmp_path).allocating(3, np.zeros(1))


def test_an_argument_of_another_kind_is_named(tmp_path):
    module = load(tmp_path)
    with pytest.raises(TypeError, match=r"power: values is to be f8\[1\], not f4\[1\]"):
        module.power(np.zeros(3, np.float32), 2)
    with pytest.raises(TypeError, match=r"values is to be f8\[1\], not f8\[2\]"):
        module.power(np.zeros((3, 3)), 2)
    with pytest.raises(TypeError, match="power: values is not contiguous"):
        module.power(np.zeros(6)[::2], 2)
    with pytest.raises(ValueError, match="argument"):
        module.power(np.zeros(3))


def test_held_arrays_are_seen_as_they_are_now(tmp_path):
    module = load(tmp_path)
    values = np.arange(3.0)
    held = Held(values)
    assert module.power(held, 2) == 5.0
    values[:] = 1.0
    assert module.power(held, 2) == 3.0


def test_a_function_without_a_file_is_compiled_for_this_process():
    space: dict = {"compiled": compiled}
    exec("@compiled('f8 -> f8')\ndef twice(value):\n    return 2 * value\n", space)
    assert space["twice"](2.0) == 4.0

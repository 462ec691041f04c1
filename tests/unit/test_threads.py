"""Threads are as many as a process may use, and leave no trace in what they compute."""

import multiprocessing
import threading

import numpy as np
import pytest
from visualmic.motion.spectra import ShortTimeFourier, highpass
from visualmic.threads import default_threads, in_threads


@pytest.mark.parametrize("wanted", ["", "none", "0", "-1"])
def test_without_a_number_of_threads_all_cores_are_used(monkeypatch, wanted):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cores = default_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    assert default_threads() == cores >= 1


def test_a_process_keeps_to_the_threads_it_was_given(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert default_threads() == 1
    assert set(in_threads(lambda _: threading.get_ident(), range(50))) == {threading.get_ident()}


def test_what_fails_in_a_thread_fails_here():
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda one: 1 // one, [2, 1, 0])


def _doubled_in_threads(values):
    return in_threads(lambda one: 2 * one, values)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own():
    in_threads(abs, range(4))
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply_async(_doubled_in_threads, ([1, 2, 3],)).get(30) == [2, 4, 6]


def test_spectra_do_not_depend_on_the_number_of_threads(monkeypatch):
    signals = np.random.default_rng(0).standard_normal((3000, 5)).astype(np.float32)
    found = []
    for threads in ("1", ""):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        filtered = highpass(signals, 1000.0, 20.0)
        pieces = ShortTimeFourier(256, 4, "hann").pieces(lambda a, b: signals[a:b], 3000)
        found.append([filtered, *pieces])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)

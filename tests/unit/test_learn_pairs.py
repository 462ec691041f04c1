"""Pairs come from frame stores a run at a time, from each process' own handle."""

import os

import h5py
import numpy as np
import pytest
import torch
from learning import moved_card, store
from visualmic.learn import pairs as module
from visualmic.learn.pairs import FramePairs, OrderedBatches, Piece, ShuffledBatches, load
from visualmic.learn.settings import InputSettings
from visualmic.learn.views import make_view


@pytest.fixture
def pieces(tmp_path):
    """Two recordings, one with a gap in it."""
    found = []
    for number, chosen in enumerate([np.r_[0:100, 150:200], np.arange(40, 120)]):
        frames, sound = moved_card(200, seed=number)
        film = store(tmp_path / f"{number}.h5", frames)
        view = make_view(film, "difference", 8, [(0, 200)], sound, InputSettings(crop="frame"))
        found.append(Piece(film.name, view, chosen, sound[chosen]))
    return found


@pytest.fixture
def reads(monkeypatch):
    """Note every read from a store: process, begin, end."""
    noted = []
    plain = FramePairs._read

    def read(self, piece, begin, end):
        noted.append((os.getpid(), piece, begin, end))
        return plain(self, piece, begin, end)

    monkeypatch.setattr(FramePairs, "_read", read)
    return noted


def test_a_pair_is_the_reference_beside_the_frame_with_its_label(pieces):
    pairs = FramePairs(pieces)
    assert len(pairs) == 230
    pair, label = pairs[150]
    with h5py.File(pieces[1].store) as kept:
        frame = kept["frames"][40:41]
    assert np.array_equal(pair[..., :8], pieces[1].view.reference_planes())
    assert np.array_equal(pair[..., 8:], pieces[1].view.current_planes(frame)[0])
    assert label == pytest.approx(pieces[1].labels[0])


def test_input_in_memory_is_the_input_from_the_store(pieces):
    streamed, cached = FramePairs(pieces), FramePairs(pieces, cache_mb=10)
    assert (streamed.cached, cached.cached) == (False, True)
    chosen = [229, 3, 4, 5, 149, 150, 100, 99]
    for mine, its in zip(streamed.__getitems__(chosen), cached.__getitems__(chosen), strict=True):
        # The order of a sum may depend on how many frames are prepared at once.
        assert torch.allclose(mine, its, atol=1e-3)


def test_frames_that_follow_each_other_are_read_at_once(pieces, reads):
    FramePairs(pieces).__getitems__([12, 10, 11, 13, 150, 151, 99, 100])
    assert [read[1:] for read in reads] == [
        (0, 10, 14),
        (0, 99, 100),
        (0, 150, 151),
        (1, 40, 42),
    ]


def test_shuffled_batches_are_runs_of_frames_where_they_come_from_the_store(pieces, reads):
    pairs = FramePairs(pieces)
    for batch in ShuffledBatches(pairs, 32, seed=0):
        pairs.__getitems__(batch)
    assert len(reads) < 230 / 4


def test_each_worker_opens_the_stores_for_itself(pieces, monkeypatch):
    pairs = FramePairs(pieces)
    pairs[0]
    mine = dict(pairs._open)
    opened = []

    class Noting(h5py.File):
        def __init__(self, *arguments):
            opened.append(os.getpid())
            super().__init__(*arguments)

    monkeypatch.setattr(module.h5py, "File", Noting)
    loaded = load(pairs, OrderedBatches(pairs, 50), workers=2)
    served = torch.cat([labels for _, labels in loaded])
    assert torch.equal(served, pairs.labels)
    # The workers opened what they read; this process' own handle was neither used nor replaced.
    assert opened == []
    assert pairs._open == mine
    assert all(key[0] == os.getpid() for key in mine)


def test_an_epoch_shows_frames_once_in_an_order_of_its_own(pieces):
    for cache_mb in (0, 10):
        pairs = FramePairs(pieces, cache_mb)
        batches = ShuffledBatches(pairs, 32, seed=3)
        orders = []
        for epoch in (0, 1, 0):
            batches.set_epoch(epoch)
            orders.append(np.concatenate(list(batches)))
        assert np.array_equal(orders[0], orders[2])
        assert not np.array_equal(orders[0], orders[1])
        for order in orders:
            assert len(np.unique(order)) == len(order) == 230 // 32 * 32


def test_processes_that_train_together_share_the_frames(pieces):
    pairs = FramePairs(pieces, 10)
    shares = [np.concatenate(list(ShuffledBatches(pairs, 32, 0, rank, world=2))) for rank in (0, 1)]
    assert len(shares[0]) == len(shares[1]) == 3 * 32
    assert not set(shares[0]) & set(shares[1])
    ordered = [np.concatenate(list(OrderedBatches(pairs, 32, rank, 2))) for rank in (0, 1)]
    assert np.array_equal(np.sort(np.concatenate(ordered)), np.arange(230))

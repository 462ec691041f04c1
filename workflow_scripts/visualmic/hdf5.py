"""HDF5 files that are whole or not there, on disks that may be full."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h5py

from visualmic.atomic import atomic_path


class _DiskFile(io.FileIO):
    """A file that remembers its first failure and swallows what is written after it.

    HDF5 cannot close a file whose last blocks it cannot write, and then crashes the process when
    it ends. Told that all is well it closes, and the file is thrown away.
    """

    failure: OSError | None = None

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        while len(rest) and self.failure is None:
            try:
                rest = rest[super().write(rest) :]
            except OSError as error:
                self.failure = error
        return size

    def truncate(self, size: int | None = None) -> int:
        if self.failure is None:
            try:
                return super().truncate(size)
            except OSError as error:
                self.failure = error
        return size or 0


class NewStore(h5py.File):
    """An HDF5 file in the making, as :func:`write_hdf5` gives it."""

    def __init__(self, disk: _DiskFile) -> None:
        # The newest layout that HDF5 1.10 reads keeps the index of many chunks small.
        super().__init__(disk, "w", libver=("v110", "v110"))
        self._disk = disk

    def check_disk(self) -> None:
        """Raise OSError if something could not be written; long work asks this now and then."""
        if self._disk.failure is not None:
            raise self._disk.failure


@contextmanager
def write_hdf5(path: str | os.PathLike[str]) -> Iterator[NewStore]:
    """Open a new HDF5 file, which appears at `path` when the block succeeds.

    Parameters
    ----------
    path : path
        The file to make; what is there stays until the new one is whole.

    Yields
    ------
    NewStore
        An empty, writable :class:`h5py.File`.

    Raises
    ------
    VisualMicError
        If the disk is full or the folder cannot be written.
    """
    with atomic_path(path) as temporary, _DiskFile(temporary, "r+") as disk:
        with NewStore(disk) as store:
            yield store
        if disk.failure is not None:
            raise disk.failure

"""Progress of long work: a bar on a terminal, plain lines in a log."""

import sys
import time
from types import TracebackType
from typing import Self, TextIO

from tqdm import tqdm


class Progress:
    """Count steps of long work and show them on standard error.

    On a terminal this is a `tqdm` bar; elsewhere a plain line at most every `interval_s` seconds,
    so that logs stay readable. Use it as a context manager and call :meth:`advance`.

    Parameters
    ----------
    description : str
        What is being done, such as ``"decode chips.mp4"``.
    total : int or None
        Number of steps, or None when it is not known.
    unit : str
        What a step is.
    stream : file, optional
        Where to show it; standard error by default.
    interval_s : float
        Least time between two plain lines, in seconds.
    quiet : bool
        Show nothing.
    """

    def __init__(
        self,
        description: str,
        total: int | None = None,
        unit: str = "frame",
        stream: TextIO | None = None,
        interval_s: float = 10.0,
        quiet: bool = False,
    ) -> None:
        self.description = description
        self.total = total
        self.unit = unit
        self.done = 0
        self._stream = stream if stream is not None else sys.stderr
        self._quiet = quiet
        self._interval_s = interval_s
        self._started = time.monotonic()
        self._last_line = self._started
        self._bar: tqdm | None = None
        if not quiet and self._stream.isatty():
            self._bar = tqdm(
                total=total, desc=description, unit=unit, file=self._stream, leave=False
            )

    def advance(self, steps: int = 1) -> None:
        """Count `steps` more steps as done."""
        self.done += steps
        if self._bar is not None:
            self._bar.update(steps)
        elif not self._quiet and time.monotonic() - self._last_line >= self._interval_s:
            self._last_line = time.monotonic()
            self._line()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif not self._quiet and self._last_line > self._started:
            self._line()

    def _line(self) -> None:
        of = f" of {self.total}" if self.total else ""
        rate = self.done / max(time.monotonic() - self._started, 1e-9)
        plural = "" if self.unit.endswith("s") else "s"
        print(
            f"{self.description}: {self.done}{of} {self.unit}{plural}, {rate:.0f} per second",
            file=self._stream,
            flush=True,
        )

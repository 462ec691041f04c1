"""How many threads to use, and one way to use them."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def default_threads() -> int:
    """Cores that this process may use, or as many threads as `OMP_NUM_THREADS` allows it."""
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(wanted)) if wanted.isdecimal() and int(wanted) > 0 else cores


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    # A process that was forked has none of the threads of the one before it.
    return ThreadPoolExecutor(threads, "visualmic")


def in_threads(function: Callable[[T], R], values: Iterable[T]) -> list[R]:
    """Call a function that leaves the interpreter alone for each value, on all cores.

    Examples
    --------
    >>> in_threads(len, ["one", "three"])
    [3, 5]
    """
    threads = default_threads()
    if threads == 1:
        return [function(value) for value in values]
    return list(_pool(threads, os.getpid()).map(function, values))

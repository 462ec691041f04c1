"""The surroundings of a job: its log, its end with its parent, and the digests of what it made."""

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, TextIO

import visualmic
from visualmic.errors import VisualMicError, VisualMicWarning
from visualmic.workflow.digests import digest_line

WORKFLOW_PID = "VISUALMIC_WORKFLOW_PID"
"""Environment variable that names the process whose death ends its jobs."""

_PR_SET_PDEATHSIG = 1
_POLL_S = 1.0


class JobFacts(Protocol):
    """What Snakemake tells a script about its job."""

    rule: str
    threads: int
    log: Iterable[str]
    output: Iterable[str]
    wildcards: Any


@contextlib.contextmanager
def job(facts: JobFacts) -> Iterator[None]:
    """Surround a script's library call.

    Everything printed, by this process and its children, goes to the job's log. A user's mistake
    is one line and any other error a traceback, in the log and on the terminal, and the process
    ends with status 1. When the call has succeeded, the log ends with the digest of each output.
    The job ends when the workflow that started it does, however that ended.

    Parameters
    ----------
    facts : JobFacts
        The `snakemake` object of the script.
    """
    end_with_parent()
    limit_threads(facts.threads)
    outputs = [Path(path) for path in facts.output]
    for output in outputs:
        remove_leftovers(output)
    with redirected(next(iter(facts.log))) as terminal:
        started = time.monotonic()
        wildcards = " ".join(f"{name}={value}" for name, value in facts.wildcards.items())
        print(f"{facts.rule} {wildcards}".rstrip(), f"(visualmic {visualmic.__version__})")
        try:
            with warnings.catch_warnings():
                show_warnings(terminal)
                yield
            for output in outputs:
                if output.is_file():
                    print(digest_line(output))
            print(f"done in {time.monotonic() - started:.1f} s")
        except VisualMicError as error:
            _say(f"{facts.rule}: {error}", terminal)
            raise SystemExit(1) from None
        except KeyboardInterrupt:
            print("stopped")
            raise SystemExit(130) from None
        except Exception:
            _say(traceback.format_exc().rstrip(), terminal)
            raise SystemExit(1) from None


@contextlib.contextmanager
def redirected(log: str | os.PathLike[str]) -> Iterator[TextIO]:
    """Send file descriptors 1 and 2 to a log, and give what standard error was before."""
    path = Path(log)
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    stream = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
    try:
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        with os.fdopen(os.dup(kept[1]), "w") as terminal:
            yield terminal
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        for descriptor in (*kept, stream):
            os.close(descriptor)


def adopt_jobs(library: str | os.PathLike[str]) -> None:
    """Tell the jobs that this process will start whose they are, and where their library is.

    Parameters
    ----------
    library : path
        Folder of this package. Snakemake would let jobs find it only behind what is installed.
    """
    os.environ[WORKFLOW_PID] = str(os.getpid())
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    places = dict.fromkeys([os.path.abspath(library), *filter(None, before)])
    os.environ["PYTHONPATH"] = os.pathsep.join(places)


def end_with_parent() -> None:
    """Have the kernel kill this process when the one that started it dies.

    Without it, killing Snakemake leaves its jobs running, and the next run writes the same files
    beside them. Linux does it by itself; elsewhere, and where something stands between the
    workflow and its job, a thread looks once a second.
    """
    workflow = int(os.environ.get(WORKFLOW_PID, os.getppid()))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != workflow or sys.platform != "linux":
        # It may have died between the start of this process and the line above.
        if not _is_alive(workflow):
            os.kill(os.getpid(), signal.SIGKILL)
        threading.Thread(target=_watch, args=(workflow,), daemon=True).start()


def limit_threads(threads: int) -> None:
    """Keep numerical libraries to a job's share of the cores; call it before they are imported."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(threads)


def remove_leftovers(output: Path) -> None:
    """Remove what a killed attempt at making `output` left beside it.

    Snakemake lets no two jobs make the same file, so nobody is writing these.
    """
    for leftover in output.parent.glob(f".{output.stem}.*.partial{output.suffix}"):
        leftover.unlink(missing_ok=True)


def show_warnings(terminal: TextIO) -> None:
    """Write warnings to the log, and those meant for the user to the terminal too."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: object = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, VisualMicWarning):
            _say(f"warning: {message}", terminal)
        else:
            print(warnings.formatwarning(message, category, filename, lineno, line), end="")

    warnings.showwarning = show
    warnings.simplefilter("always", VisualMicWarning)


def _say(text: str, terminal: TextIO) -> None:
    print(text, file=sys.stderr, flush=True)
    print(text, file=terminal, flush=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _watch(process: int) -> None:
    while _is_alive(process):
        time.sleep(_POLL_S)
    os.kill(os.getpid(), signal.SIGKILL)

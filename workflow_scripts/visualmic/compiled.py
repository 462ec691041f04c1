"""Functions compiled by numba, whose machine code is kept and runs without numba.

Importing numba and its first call take longer than recovering a second of film. So numba compiles
a function on its first use only; its machine code is kept, for this processor, beside the module or
in the user's cache, and llvmlite alone loads it from there. The functions run without the
interpreter lock, so that threads use every core.

Such functions do not allocate: what they need for themselves is given to them.
"""

import ctypes
import functools
import hashlib
import importlib.metadata
import inspect
import json
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any, ParamSpec, TypeVar

import numpy as np

from visualmic.atomic import atomic_path
from visualmic.errors import VisualMicError

P = ParamSpec("P")
R = TypeVar("R")

# Types by the codes of numpy, as numba names them.
_TYPES = {
    "b1": "boolean",
    "u1": "uint8",
    "u2": "uint16",
    "i4": "int32",
    "i8": "int64",
    "f4": "float32",
    "f8": "float64",
    "c8": "complex64",
    "c16": "complex128",
}
_SCALARS: dict[str, Any] = {
    "b1": ctypes.c_bool,
    "i8": ctypes.c_int64,
    "f4": ctypes.c_float,
    "f8": ctypes.c_double,
}
# What numba calls to raise an exception or to free memory: of neither is there any.
_NEVER_CALLED = {
    "numba_gil_ensure",
    "numba_gil_release",
    "numba_unpickle",
    "numba_runtime_build_excinfo_struct",
    "numba_do_raise",
    "NRT_Free",
    "NRT_MemInfo_call_dtor",
}
_lock = threading.RLock()


def compiled(
    signature: str, *, fastmath: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function of arrays and numbers.

    Parameters
    ----------
    signature : str
        Types of the arguments by their numpy codes, those of arrays with their dimensions, and
        what is returned: ``"f4[2], i8 -> f8"``. Arrays are contiguous, the last axis first.
    fastmath : bool
        Let sums be rearranged.

    Examples
    --------
    >>> @compiled("f8[1], f8 -> f8")
    ... def scaled_sum(values, scale):
    ...     total = 0.0
    ...     for value in values:
    ...         total += scale * value
    ...     return total
    >>> float(scaled_sum(np.arange(4.0), 0.5))
    3.0
    """

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        return _Compiled(function, signature, fastmath)  # type: ignore[return-value]

    return wrap


class Held:
    """An array whose address has been asked for, for functions that are called often.

    Parameters
    ----------
    array : ndarray
        Contiguous, and where it is for as long as this lives.
    """

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.dtype, self.ndim = array.dtype, array.ndim
        self.flags = array.flags
        self.flat = (array.ctypes.data, *array.shape)


class _Compiled:
    """A function that is compiled, or loaded, when it is first called."""

    def __init__(self, function: Callable[..., Any], signature: str, fastmath: bool) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.fastmath = fastmath
        arguments, _, self.returned = signature.partition(" -> ")
        told = [re.fullmatch(r"(\w+)(?:\[(\d)\])?", one) for one in arguments.split(", ")]
        self.arguments = [(one[1], int(one[2] or 0)) for one in told if one]
        assert len(self.arguments) == len(told) == len(inspect.signature(function).parameters)
        self._dtypes = [np.dtype(code) if axes else None for code, axes in self.arguments]
        self._call: Any = None
        self._engine: Any = None

    def __call__(self, *arguments: Any) -> Any:
        call = self._call or self._prepared()
        flat: list[Any] = []
        for value, dtype, (_, axes) in zip(arguments, self._dtypes, self.arguments, strict=True):
            if dtype is None:
                flat.append(value)
                continue
            if value.dtype != dtype or value.ndim != axes or not value.flags.c_contiguous:
                raise TypeError(self._refused(arguments))
            if isinstance(value, Held):
                flat += value.flat
            else:
                flat.append(value.ctypes.data)
                flat += value.shape
        return call(*flat)

    def _refused(self, arguments: tuple[Any, ...]) -> str:
        """Say which argument is not what it should be."""
        names = inspect.signature(self.function).parameters
        for name, value, dtype, (code, axes) in zip(
            names, arguments, self._dtypes, self.arguments, strict=True
        ):
            if dtype is not None and (value.dtype, value.ndim) != (dtype, axes):
                what = f"{code}[{axes}], not {value.dtype.str[1:]}[{value.ndim}]"
                return f"{self.function.__name__}: {name} is to be {what}"
            if dtype is not None and not value.flags.c_contiguous:
                return f"{self.function.__name__}: {name} is not contiguous"
        raise AssertionError

    def _prepared(self) -> Any:
        with _lock:
            if self._call is None:
                code = _kept(self) or _compile(self)
                self._engine, address = _load(code)
                types: list[Any] = []
                for scalar, axes in self.arguments:
                    types += [ctypes.c_void_p] + axes * [ctypes.c_int64] if axes else []
                    types += [] if axes else [_SCALARS[scalar]]
                returned = _SCALARS[self.returned] if self.returned else None
                self._call = ctypes.CFUNCTYPE(returned, *types)(address)
        return self._call

    def uses(self) -> dict[str, Any]:
        """Give what of its module the function refers to, by name."""
        names, known = self.function.__code__.co_names, self.function.__globals__
        return {name: known[name] for name in names if name in known}

    def told(self) -> str:
        """All that its machine code depends on, but for the compiler and the processor."""
        used = [
            f"{name} {value.told() if isinstance(value, _Compiled) else repr(value)}"
            for name, value in self.uses().items()
            if isinstance(value, _Compiled | int | float | np.generic)
        ]
        source = inspect.getsource(self.function)
        return "\n".join([source, str(self.arguments), self.returned, str(self.fastmath), *used])

    @functools.cached_property
    def jitted(self) -> Any:
        """The function as numba has it, for others that call it."""
        import numba

        known = {
            name: value.jitted if isinstance(value, _Compiled) else value
            for name, value in self.uses().items()
        }
        copy = FunctionType(self.function.__code__, known, self.function.__name__)
        return numba.njit(copy, fastmath=self.fastmath, error_model="numpy")


def _compile(one: _Compiled) -> bytes:
    """Compile a function, and keep its machine code: an object file, after a line about it."""
    import llvmlite.binding as llvm
    import numba

    names, views, types = [], [], []
    for number, (code, axes) in enumerate(one.arguments):
        kind = getattr(numba.types, _TYPES[code])
        sides = [f"n{number}_{axis}" for axis in range(axes)]
        names += [f"a{number}", *sides]
        types += [numba.types.CPointer(kind), *[numba.types.int64] * axes] if axes else [kind]
        views.append(f"carray(a{number}, ({', '.join(sides)},))" if axes else f"a{number}")
    text = f"def entry({', '.join(names)}):\n    return kernel({', '.join(views)})\n"
    known = {"carray": numba.carray, "kernel": one.jitted}
    exec(text, known)
    returned = getattr(numba.types, _TYPES[one.returned]) if one.returned else numba.types.void
    entry = numba.cfunc(returned(*types), error_model="numpy")(known["entry"])
    module = llvm.parse_assembly(entry.inspect_llvm())
    outside = [
        each.name
        for each in module.functions
        if each.is_declaration and not each.name.startswith("llvm.")
    ]
    lacking = {name for name in outside if name.startswith(("NRT_", "numba_"))} - _NEVER_CALLED
    if lacking:
        raise TypeError(
            f"{one.function.__name__} needs {', '.join(sorted(lacking))} of numba: a compiled"
            " function must not allocate, reshape or raise"
        )
    head = json.dumps({"entry": entry.native_name, "outside": outside}).encode()
    code = head + b"\n" + _machine().emit_object(module)
    _keep(one, code)
    return code


def _load(code: bytes) -> tuple[Any, int]:
    """Load machine code: what holds it in memory, and the address of its entry."""
    import llvmlite.binding as llvm

    head, _, code = code.partition(b"\n")
    facts = json.loads(head)
    machine = _machine()
    never = ctypes.cast(ctypes.CDLL(None).abort, ctypes.c_void_p).value
    for name in facts["outside"]:
        if name in _NEVER_CALLED and llvm.address_of_symbol(name) is None:
            llvm.add_symbol(name, never)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return engine, engine.get_function_address(facts["entry"])


def _machine() -> Any:
    """Describe this processor to llvmlite."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True
    )


@functools.cache
def _compiler() -> str:
    """Name what compiles, and for which processor."""
    import llvmlite.binding as llvm

    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("numba", "llvmlite")]
    return "\n".join([*versions, llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()])


def _places(one: _Compiled) -> list[Path]:
    """Where the machine code of a function may lie, the best place first."""
    import llvmlite.binding as llvm

    module = Path(inspect.getfile(one.function))
    if not module.exists():
        return []
    digest = hashlib.sha256(f"{_compiler()}\n{one.told()}".encode()).hexdigest()[:20]
    processor = llvm.get_host_cpu_name()
    name = f"{module.stem}.{one.function.__name__}.{processor}.{digest}.native"
    places = [module.parent / "__pycache__" / name]
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if Path(cache).is_absolute():
        # A user of a container may have no home.
        places.append(Path(cache, "visualmic", name))
    return places


def _kept(one: _Compiled) -> bytes | None:
    """Read the machine code of a function, if it was kept and is whole."""
    for place in _places(one):
        try:
            digest, _, code = place.read_bytes().partition(b"\n")
        except OSError:
            continue
        if digest == hashlib.sha256(code).hexdigest().encode():
            return code
    return None


def _keep(one: _Compiled, code: bytes) -> None:
    """Keep machine code in the first place that can be written, in place of what was there."""
    for place in _places(one):
        try:
            with atomic_path(place) as temporary:
                temporary.write_bytes(hashlib.sha256(code).hexdigest().encode() + b"\n" + code)
        except VisualMicError:
            continue
        stem = place.name.rsplit(".", 2)[0]
        for old in place.parent.glob(f"{stem}.*.native"):
            if old != place:
                old.unlink(missing_ok=True)
        return

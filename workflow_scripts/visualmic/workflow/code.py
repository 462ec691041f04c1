"""A digest of the code that a rule really uses, so that editing it remakes what it makes."""

import ast
import functools
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


@functools.cache
def code_digest(
    script: Path, without: frozenset[str] = frozenset(), data: tuple[str, ...] = ()
) -> str:
    """Digest a script and every module of this package that it imports, directly or not.

    The surroundings of a job (``visualmic.workflow``) change nothing in what it makes and are
    left out.

    Parameters
    ----------
    script : path
        The rule's script.
    without : frozenset of str
        Modules that are imported somewhere but not used here, such as those of other methods.
    data : tuple of str
        Patterns, relative to the package, of other files that the rule uses (templates, models).

    Returns
    -------
    str
        The first 16 hexadecimal digits of the SHA-256.
    """
    left_out = {file for name in without for file in list(module_files(name))[-1:]}
    files, waiting = {script}, [script]
    while waiting:
        used = imported_files(waiting.pop()) - files - left_out
        files |= used
        waiting += used
    files |= {file for pattern in data for file in PACKAGE.glob(pattern) if file.is_file()}
    digest = hashlib.sha256()
    for file in sorted(files, key=_name):
        digest.update(_name(file).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@functools.cache
def imported_files(file: Path) -> frozenset[Path]:
    """Files of this package that a file imports anywhere, inside its functions too."""
    if file.suffix != ".py":
        return frozenset()
    tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
    names = {name for node in ast.walk(tree) for name in _imported_names(node)}
    used = {found for name in names for found in module_files(name)} - {file}
    return frozenset(found for found in used if found.parent.name != "workflow")


def module_files(name: str) -> Iterator[Path]:
    """Files that importing ``visualmic.a.b`` runs: those of the packages, then the module."""
    parts = name.split(".")
    if parts[0] != PACKAGE.name:
        return
    for depth in range(1, len(parts) + 1):
        place = PACKAGE.joinpath(*parts[1:depth])
        for file in (place / "__init__.py", place.with_suffix(".py")):
            if file.is_file():
                yield file


def _imported_names(node: ast.AST) -> Iterable[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        # What follows "import" may be a module too.
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def _name(file: Path) -> str:
    return str(file.relative_to(PACKAGE) if file.is_relative_to(PACKAGE) else file.name)

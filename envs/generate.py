"""Write the conda environments of ``snakemake --sdm conda`` from the lock.

Each environment holds Python from conda and, from PyPI, the exact versions that the lock pins for
one set of needs and for all that these pull in. What pulls in what is read from the ``# via``
comments of ``requirements.lock``, so nothing is resolved again and no network is needed.
``make envs`` runs this, and a test fails when a file differs from what this would write.
"""

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[1]
PYTHON_VERSION = "3.11"
# What each environment is for, and the extras of pyproject.toml that it adds to the core.
ENVIRONMENTS = {
    "core": ("recover, denoise, evaluate, simulate and report", ()),
    "pipeline": ("the Snakemake workflow itself and its tables", ("pipeline",)),
    "learn": ("training and exporting the learned models", ("learn",)),
}


@dataclass
class Pin:
    """One ``name==version ; marker`` line of the lock, and the packages that need it."""

    name: str
    line: str
    needed_by: set[str] = field(default_factory=set)


def read_lock(text: str) -> list[Pin]:
    """Return the pins of a lock that ``uv pip compile`` wrote, in its order."""
    pins: list[Pin] = []
    for line in text.splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)==", line):
            pins.append(Pin(canonicalize_name(match[1]), line.removesuffix("\\").strip()))
        # One parent stands on the line of "# via"; several follow it, a line each.
        elif match := re.match(r"\s+#\s+(?:via\s+)?(?!via$)([A-Za-z0-9._-]+)", line):
            pins[-1].needed_by.add(canonicalize_name(match[1]))
    return pins


def closure(pins: list[Pin], roots: set[str]) -> list[Pin]:
    """Return the pins that the named packages need, themselves included."""
    included = set(roots)
    while True:
        found = {pin.name for pin in pins if pin.name in included or pin.needed_by & included}
        if found <= included:
            return [pin for pin in pins if pin.name in included]
        included |= found


def direct_needs(pyproject: dict, extras: tuple[str, ...]) -> set[str]:
    """Return the names that the project asks for, with the given extras."""
    project = pyproject["project"]
    needs = list(project["dependencies"])
    for extra in extras:
        needs += project["optional-dependencies"][extra]
    return {canonicalize_name(Requirement(need).name) for need in needs}


def environment_texts() -> dict[Path, str]:
    """Return the text of each environment file, by its path."""
    pins = read_lock((PROJECT / "requirements.lock").read_text())
    pyproject = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    texts = {}
    for name, (purpose, extras) in ENVIRONMENTS.items():
        lines = [
            f"# For {purpose}.",
            "# Made from requirements.lock by envs/generate.py (make envs): do not edit.",
            f"name: visualmic-{name}",
            "channels:",
            "  - conda-forge",
            "  - nodefaults",
            "dependencies:",
            f"  - python={PYTHON_VERSION}",
            "  - pip",
            "  - pip:",
        ]
        lines += [f'      - "{pin.line}"' for pin in closure(pins, direct_needs(pyproject, extras))]
        texts[PROJECT / "envs" / f"{name}.yaml"] = "\n".join(lines) + "\n"
    return texts


def main() -> None:
    """Write every environment file."""
    for path, text in environment_texts().items():
        path.write_text(text)


if __name__ == "__main__":
    main()

"""The settings of a run: merged from config files and the command line, then checked."""

import copy
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from visualmic.config.validation import Key, dotted, faults, read_schema
from visualmic.errors import VisualMicError

COMMAND_LINE = "--config"


class _StrictLoader(yaml.SafeLoader):
    """YAML that refuses a key given twice, which plain YAML would silently drop."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key} is given twice", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


@dataclass(frozen=True)
class ConfigSource:
    """One config file: its name for messages and what it says."""

    path: Path
    content: Mapping[str, Any]


def read_config(path: str | Path) -> ConfigSource:
    """Read one YAML config file.

    Raises
    ------
    VisualMicError
        If it cannot be read, is not YAML, gives a key twice, or is not a mapping.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), _StrictLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise VisualMicError(f"cannot read {path}: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error)
        raise VisualMicError(f"{path}{line}: {problem}; mend the YAML there") from error
    if content is None:
        content = {}
    if not isinstance(content, Mapping):
        raise VisualMicError(f"{path} must hold keys with values, such as 'results: results'")
    return ConfigSource(Path(path), content)


def merge(sources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge settings, group by group; a later source wins, and a list replaces a list.

    Examples
    --------
    >>> merge([{"denoise": {"order": 4, "cutoff_hz": 80}}, {"denoise": {"order": 2}}])
    {'denoise': {'order': 2, 'cutoff_hz': 80}}
    """
    merged: dict[str, Any] = {}
    for source in sources:
        for key, value in source.items():
            if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
                merged[key] = merge([merged[key], value])
            else:
                merged[key] = copy.deepcopy(value)
    return merged


def check_settings(settings: Mapping[str, Any], sources: Sequence[ConfigSource] = ()) -> None:
    """Check merged settings.

    Parameters
    ----------
    settings : mapping
        All settings, defaults included.
    sources : sequence of ConfigSource
        The files they were merged from, the strongest last: each fault names its file.

    Raises
    ------
    VisualMicError
        One line for every fault.
    """
    lines = [
        f"{source_name(path, settings, sources)}: {dotted(path)} {what}"
        for path, what in faults(settings, read_schema("config"))
    ]
    if lines:
        raise VisualMicError("\n".join(dict.fromkeys(lines)))


def source_of(
    path: Sequence[Key], settings: Mapping[str, Any], sources: Sequence[ConfigSource]
) -> ConfigSource | None:
    """Find the file that a setting came from; None when the command line gave it."""
    value = _at(settings, path)
    for source in reversed(sources):
        found = _at(source.content, path)
        if found is not _MISSING:
            # Compared as text, for a number that is none is not equal to itself.
            if repr(found) == repr(value) or value is _MISSING or isinstance(value, Mapping):
                return source
            return None
    return None if value is not _MISSING else sources[0] if sources else None


def source_name(
    path: Sequence[Key], settings: Mapping[str, Any], sources: Sequence[ConfigSource]
) -> str:
    """Name what a setting came from, for messages."""
    source = source_of(path, settings, sources)
    return COMMAND_LINE if source is None else str(source.path)


def recordings_path(settings: Mapping[str, Any], sources: Sequence[ConfigSource]) -> Path:
    """Find the recordings table: relative to the config file that names it.

    A table named on the command line is relative to the working directory.
    """
    table = Path(settings["recordings"])
    source = source_of(("recordings",), settings, sources)
    return table if source is None else source.path.parent / table


_MISSING = object()


def _at(document: Any, path: Sequence[Key]) -> Any:
    for key in path:
        try:
            document = document[key]
        except (KeyError, IndexError, TypeError):
            return _MISSING
    return document

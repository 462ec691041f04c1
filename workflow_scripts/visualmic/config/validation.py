"""Check a document against a JSON schema and say each fault in one line a person can act on.

A fault names its path, what it got and what is allowed; an unknown key names its nearest
neighbour. The schemas keep to the keywords that :func:`allowed` can put into words.
"""

import difflib
import functools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema

SCHEMAS = Path(__file__).resolve().parents[1] / "schemas"

Key = str | int
Schema = Mapping[str, Any]


@functools.cache
def read_schema(name: str) -> Schema:
    """Read a schema of this package, such as ``"config"``."""
    schema: Schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    return schema


def faults(document: Any, schema: Schema) -> Iterator[tuple[tuple[Key, ...], str]]:
    """Find what is wrong with a document.

    Parameters
    ----------
    document : mapping
        What was read, made of mappings, lists, strings, numbers, booleans and None.
    schema : mapping
        A JSON schema, draft 2020-12.

    Yields
    ------
    path : tuple of str or int
        Where the fault is.
    what : str
        What is wrong there and what is allowed, to be put after the name of the place.
    """
    validator = jsonschema.Draft202012Validator(schema)
    for error in sorted(validator.iter_errors(document), key=lambda e: [str(k) for k in e.path]):
        path = tuple(error.absolute_path)
        if error.validator == "additionalProperties":
            known = list(error.schema["properties"])
            for key in unknown_keys(error.instance, known):
                yield (*path, key), f"is not a known key; {nearest(key, known)}"
        elif error.validator == "required":
            for key in error.schema["required"]:
                if key not in error.instance:
                    yield (*path, key), "is missing; add it"
        else:
            yield path, f"is {shown(error.instance)}; it must be {allowed(error.schema)}"
    for path in _not_finite(document):
        yield path, "is not a finite number; it must be one"


def unknown_keys(given: Iterable[Any], known: Sequence[str]) -> list[str]:
    """Keys that were given but are not known, in the order given."""
    return [str(key) for key in given if key not in known]


def nearest(key: str, known: Sequence[str]) -> str:
    """Say which known key is meant by a misspelt one, or else which keys there are.

    Examples
    --------
    >>> nearest("cutof_hz", ["cutoff_hz", "order"])
    'did you mean cutoff_hz?'
    >>> nearest("volume", ["cutoff_hz", "order"])
    'known here: cutoff_hz, order'
    """
    close = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return f"known here: {', '.join(known)}" if known else "nothing is allowed here"


def dotted(path: Sequence[Key]) -> str:
    """Name a place in a document: ``("methods", 1)`` is ``methods[1]``.

    Examples
    --------
    >>> dotted(("denoise", "cutoff_hz"))
    'denoise.cutoff_hz'
    """
    name = ""
    for key in path:
        name += f"[{key}]" if isinstance(key, int) else f".{key}" if name else str(key)
    return name


def shown(value: Any) -> str:
    """Show a value as a user wrote it, shortened when it is long."""
    text = "empty" if value is None else json.dumps(value, default=str)
    if isinstance(value, float):
        text = f"{value:g}"
    return text if len(text) <= 60 else text[:57] + "..."


def allowed(schema: Schema) -> str:
    """Put what a schema allows into words.

    Examples
    --------
    >>> allowed({"type": "number", "exclusiveMinimum": 0, "maximum": 1})
    'a number above 0 and at most 1'
    >>> allowed({"type": ["integer", "null"], "minimum": 1})
    'a whole number of at least 1, or empty'
    >>> allowed({"enum": ["train", "test"]})
    'one of train, test'
    """
    if "enum" in schema:
        return "one of " + ", ".join(_choice(choice) for choice in schema["enum"])
    kinds = schema.get("type", "string")
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    words = [_kind(kind, schema) for kind in kinds if kind != "null"]
    return " or ".join(words) + (", or empty" if "null" in kinds else "")


def _kind(kind: str, schema: Schema) -> str:
    if kind in ("number", "integer"):
        noun = "a number" if kind == "number" else "a whole number"
        return " ".join([noun, *_bounds(schema)])
    if kind == "boolean":
        return "true or false"
    if kind == "array":
        item = allowed(schema["items"]) if "items" in schema else "values"
        count = {
            (True, True): f"{schema.get('minItems')} values",
            (True, False): "at least one value",
        }.get(("minItems" in schema, "maxItems" in schema), "values")
        different = " different" if schema.get("uniqueItems") else ""
        return f"a list of {count}, each{different} {item}"
    if kind == "object":
        return "a group of keys: " + ", ".join(schema.get("properties", {"name": None}))
    return str(schema["title"]) if "title" in schema else "text"


def _bounds(schema: Schema) -> list[str]:
    low = [f"above {schema['exclusiveMinimum']}"] if "exclusiveMinimum" in schema else []
    low += [f"of at least {schema['minimum']}"] if "minimum" in schema else []
    high = [f"below {schema['exclusiveMaximum']}"] if "exclusiveMaximum" in schema else []
    high += [f"at most {schema['maximum']}"] if "maximum" in schema else []
    return [" and ".join(low + high)] if low or high else []


def _choice(choice: Any) -> str:
    return choice if isinstance(choice, str) else json.dumps(choice)


def _not_finite(document: Any, path: tuple[Key, ...] = ()) -> Iterator[tuple[Key, ...]]:
    if isinstance(document, float) and not math.isfinite(document):
        yield path
    items: Iterable[tuple[Key, Any]] = ()
    if isinstance(document, Mapping):
        items = document.items()
    elif isinstance(document, list | tuple):
        items = enumerate(document)
    for key, value in items:
        yield from _not_finite(value, (*path, key))

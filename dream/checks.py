"""Checks of single values of a recipe; each raises RecipeError in words fit for a user."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from enum import StrEnum
from typing import Any

from dream.errors import RecipeError, UnknownName

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_SHOWN = 80


def shown(value: object) -> str:
    """The value as an error may show it: a file may hold a text or a number of any length."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        # Python refuses to write out a whole number of more than some thousand digits, or lists in lists without end.
        return f"{type(value).__name__} that is too long to show"
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}\u2026"


def known_kind(what: str, kind: object, known: Mapping[str, Any]) -> str:
    """The value, seen to be one of the names under which the kinds of `what` are written."""
    if not isinstance(kind, str):
        raise RecipeError(f"the kind of {what} must be one of {', '.join(known)}; got {shown(kind)}")
    if kind not in known:
        raise UnknownName(f"kind of {what}", kind, known)
    return kind


def mapping(what: str, value: object) -> Mapping[str, Any]:
    """The value, seen to be an object with named fields."""
    if not isinstance(value, Mapping):
        raise RecipeError(f"{what} must be an object with named fields, got {shown(value)}")
    return value


def sequence(name: str, value: object, *, of: str = "whole numbers") -> tuple[Any, ...]:
    """The value as a tuple, seen to be a list."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise RecipeError(f"{name} must be a list of {of}, got {shown(value)}")
    return tuple(value)


def only_known(kind: str, values: Mapping[str, Any], cls: type[Any]) -> None:
    """Sees that every name is a field of the dataclass `cls`; the nearest names are offered."""
    known = tuple(field.name for field in fields(cls))
    for name in values:
        if name not in known:
            raise UnknownName(kind, str(name), known)


def all_there(what: str, values: Mapping[str, Any], names: Sequence[str]) -> None:
    """Sees that none of the fields `names` is missing."""
    missing = [name for name in names if name not in values]
    if missing:
        raise RecipeError(f"{what} needs {' and '.join(missing)}; see docs/recipes.md#fields")


def name_text(name: str, value: object) -> None:
    """Sees that the value is a text that is not empty, and that UTF-8 can hold."""
    if not isinstance(value, str) or not value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise RecipeError(f"{name} must be a name, got {shown(value)}")


def integer(name: str, value: object, *, least: int, most: int | None = None) -> None:
    """Sees that the value is a whole number within bounds; true and false are none."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise RecipeError(f"{name} must be a whole number, got {shown(value)}")
    if value < least or (most is not None and value > most):
        bounds = f"{least} or more" if most is None else f"{least} to {most}"
        raise RecipeError(f"{name} must be {bounds}, got {shown(value)}")


def number(
    owner: object,
    field: str,
    *,
    where: str = "",
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
) -> None:
    """Checks a field and keeps it as a float, so that 1 and 1.0 have one digest."""
    value = getattr(owner, field)
    if not isinstance(value, int | float) or isinstance(value, bool) or not _finite(value):
        raise RecipeError(f"{where}{field} must be a number, got {shown(value)}")
    if (above is not None and value <= above) or (least is not None and value < least):
        bound = f"more than {above:g}" if above is not None else f"{least:g} or more"
        raise RecipeError(f"{where}{field} must be {bound}, got {shown(value)}")
    if most is not None and value > most:
        raise RecipeError(f"{where}{field} must be {most:g} or less, got {shown(value)}")
    # Adding 0.0 turns -0.0 into 0.0, which is equal and must have the same digest.
    object.__setattr__(owner, field, float(value) + 0.0)


def finite_number(name: str, value: object) -> None:
    """Sees that the value is a number and finite."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not _finite(value):
        raise RecipeError(f"{name} must be a number, got {shown(value)}")


def picture_digest(name: str, value: object) -> None:
    """Sees that the value is a SHA-256 in lower-case hex."""
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise RecipeError(f"{name} must be the SHA-256 of a picture's pixels, 64 hex digits, got {shown(value)}")


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def choice(owner: object, field: str, enum: type[StrEnum], *, where: str = "") -> None:
    """Checks a field and keeps it as a member of its enumeration."""
    value = getattr(owner, field)
    try:
        object.__setattr__(owner, field, enum(value))
    except ValueError:
        known = ", ".join(enum)
        raise RecipeError(f"{where}{field} must be one of {known}; got {shown(value)}") from None

"""The classes of ImageNet by index and by name, as networks trained on it score them. No TensorFlow here."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files

from dream.checks import shown
from dream.errors import RecipeError, UnknownName

_MOST_DIGITS = 9
_MOST_SHOWN = 80


@lru_cache(maxsize=1)
def class_names() -> tuple[str, ...]:
    """The 1000 names in the order of the scores; a few stand twice, such as `crane`, for a bird and a machine."""
    rows = json.loads(files("dream").joinpath("imagenet_classes.json").read_text(encoding="utf-8"))
    return tuple(name for _, name in rows)


def class_name(index: int) -> str:
    """The name of the class with this index.

    Raises:
        RecipeError: there is none.
    """
    names = class_names()
    if not 0 <= index < len(names):
        raise RecipeError(f"ImageNet has the classes 0 to {len(names) - 1}, got {shown(index)}")
    return names[index]


def class_index(name_or_index: str | int) -> int:
    """The index of a class, given by that or by its name; case, spaces, dashes and underscores do not matter.

    Case does where two names differ in nothing else: `Cardigan` is a dog, `cardigan` a garment.

    Raises:
        UnknownName: no class is called so; the nearest names are offered.
        RecipeError: the index is out of range, or two classes have this name.
    """
    text = str(name_or_index).strip()
    names = class_names()
    # Python reads no number of some thousand digits, and no class has one of more than a few.
    if text.isdecimal() and len(text) <= _MOST_DIGITS:
        class_name(int(text))
        return int(text)
    found = [index for index, name in enumerate(names) if name == text]
    found = found or [index for index, name in enumerate(names) if _plain(name) == _plain(text)]
    if not found:
        raise UnknownName("ImageNet class", text[:_MOST_SHOWN], names)
    if len(found) > 1:
        raise RecipeError(f"{text!r} is the name of {len(found)} classes; give an index: {', '.join(map(str, found))}")
    return found[0]


def _plain(name: str) -> str:
    return name.casefold().replace("_", " ").replace("-", " ")

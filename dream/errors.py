"""What can go wrong in a dream, named after what the caller does next.

DreamError
├── RecipeError           ask again: a recipe, preset or override has a value it cannot have
│   └── UnknownName       ask again: no such preset, network, layer or field; the nearest names are offered
├── ImageUnusable         ask again: this array is not uint8 of shape (height, width, 3)
├── WeightsUnavailable    fetch or import: the weights file is not here and could not be had
├── WeightsCorrupt        replace: a weights file does not have the digest on its card
├── NetworkInvalid        stop: a weights file has the right digest but not the content its network needs
├── DeadObjective         change the recipe: nothing in the picture moves the objective, so there is no gradient
├── DreamDiverged         change the recipe: the ascent left the finite numbers
├── DeviceFailed          run again: a device stopped working, or no device could do this picture
└── OutOfMemory           make it smaller: a batch or a picture does not fit into memory
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class DreamError(Exception):
    """Base of every error a caller of this package may see; its text is fit for a user."""


class RecipeError(DreamError):
    """A recipe, preset or override has a value that it cannot have."""


class UnknownName(RecipeError):
    """No preset, network, layer or field has this name; `nearest` holds the names most like it."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, where: str = "") -> None:
        choices = tuple(known)
        self.name = name
        self.nearest = tuple(get_close_matches(name, choices, n=3, cutoff=0.5))
        hint = f"did you mean {_either(self.nearest)}?" if self.nearest else f"known: {_listed(choices)}"
        super().__init__(f"no {kind} is called {name!r}{where}; {hint}")


class ImageUnusable(DreamError):
    """An array is not a picture: uint8, shape (height, width, 3), at least one pixel."""


class WeightsUnavailable(DreamError):
    """The weights file is not in the weights folder and could not be fetched."""


class WeightsCorrupt(DreamError):
    """A weights file, kept or just fetched, does not have the digest on its card."""


class NetworkInvalid(DreamError):
    """The content of a weights file is not what its network needs, or is not allowed in such a file."""


class DeadObjective(DreamError):
    """The gradient was zero everywhere for a whole octave, so the picture could not change."""


class DreamDiverged(DreamError):
    """The objective or the gradient stopped being a finite number."""


class DeviceFailed(DreamError):
    """A device stopped working while it had this picture, and no other could do it."""


class OutOfMemory(DreamError):
    """A batch, or one picture at one size, does not fit into the memory of the device."""


_MOST_NAMES_LISTED = 12


def _either(names: tuple[str, ...]) -> str:
    return " or ".join(repr(name) for name in names)


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_MOST_NAMES_LISTED])
    more = len(names) - _MOST_NAMES_LISTED
    return f"{shown} and {more} more" if more > 0 else shown or "none"

"""Recipes as TOML files: a look of one's own, to keep and to share. No TensorFlow here.

A file begins from a preset or from nothing, and says what is different:

    name = "tigers"
    preset = "menagerie"
    strength = 0.8

    [[objective]]
    kind = "class"
    name = "tiger"

Guides and masks are named by the path of a picture, relative to the file. See docs/recipes.md#files.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from dream.checks import shown
from dream.errors import RecipeError, UnknownName
from dream.presets import preset as find_preset
from dream.recipes import Recipe, known_version

MOST_BYTES = 1_000_000

DigestOf = Callable[[Path], str]
"""From the path of a picture to its pixel SHA-256; it keeps the picture for the dream."""

_ABOUT = ("name", "description", "network", "preset")
_PICTURE_KINDS = ("guide", "picture")


@dataclass(frozen=True)
class RecipeFile:
    """A recipe that was read from a file.

    Attributes:
        name: what the look is called; the file's own name where it says nothing.
        description: for people; may be empty.
        network: the network it is made for, or None where any will do that has its layers.
        preset: the preset it begins from, or None.
        pictures: paths of the guides and masks it names.
    """

    name: str
    description: str
    network: str | None
    preset: str | None
    recipe: Recipe
    pictures: tuple[Path, ...]


def load_recipe_file(
    path: Path, *, network: str | None = None, default_network: str, digest_of: DigestOf
) -> RecipeFile:
    """The recipe in a TOML file.

    network: what to take a preset for, whatever the file says. default_network: the same, where the file says nothing.

    Raises:
        RecipeError: the file cannot be read, or says something that a recipe cannot have; with the file's name.
        Exception: what `digest_of` raises for a guide or mask that is no picture.
    """
    try:
        values = _parsed(path)
        return _recipe_file(path, values, network=network, default_network=default_network, digest_of=digest_of)
    except RecipeError as error:
        # The class tells callers more than the text: a name that is not known has others near it.
        error.args = (f"{path}: {error}",)
        raise


def _parsed(path: Path) -> dict[str, Any]:
    try:
        if path.exists() and not path.is_file():  # reading a pipe or a device may never end
            raise RecipeError("not a file")
        with path.open("rb") as stream:
            text = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise RecipeError(f"cannot be read: {error.strerror or error}") from error
    if len(text) > MOST_BYTES:
        raise RecipeError(f"larger than {MOST_BYTES} bytes, which no recipe is")
    try:
        return tomllib.loads(text.decode("utf-8"))
    except (
        ValueError,
        RecursionError,
    ) as error:  # TOML that is wrong, text that is none, numbers and lists without end
        raise RecipeError(f"not TOML that can be read: {error}; see docs/recipes.md#files") from error


def _recipe_file(
    path: Path, values: dict[str, Any], *, network: str | None, default_network: str, digest_of: DigestOf
) -> RecipeFile:
    about = {name: values.pop(name, None) for name in _ABOUT}
    for name, value in about.items():
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise RecipeError(f"{name} must be a text, got {shown(value)}")
    if "version" in values:
        # First: a file of a newer version may well have fields that are not known here.
        values["version"] = known_version(values["version"])
    known = [field.name for field in fields(Recipe)]
    for name in values:
        if name not in known:
            raise UnknownName("recipe field", name, [*_ABOUT, *known])
    pictures: list[Path] = []

    def digest(field: str, name: object) -> str:
        picture = _picture_path(path.parent, field, name)
        pictures.append(picture)
        return digest_of(picture)

    given = _with_digests(values, digest)
    made_for = network or about["network"] or default_network
    base = find_preset(about["preset"], made_for).to_json() if about["preset"] else {}
    # Octaves of another kind have other fields; those of the same kind keep what the file does not name.
    if (
        base
        and isinstance(given.get("octaves"), Mapping)
        and given["octaves"].get("kind", base["octaves"]["kind"]) == base["octaves"]["kind"]
    ):
        given["octaves"] = {**base["octaves"], **given["octaves"]}
    return RecipeFile(
        name=about["name"] or path.stem,
        description=about["description"] or "",
        network=about["network"],
        preset=about["preset"],
        recipe=Recipe.from_json({**base, **given}),
        pictures=tuple(dict.fromkeys(pictures)),
    )


def _picture_path(folder: Path, field: str, name: object) -> Path:
    if not isinstance(name, str) or not name or "\0" in name:
        raise RecipeError(f"{field} must be the path of a picture, got {shown(name)}")
    try:
        picture = folder / Path(name).expanduser()
        is_there = picture.is_file()
    except (OSError, RuntimeError) as error:  # longer than a path can be, or the home of a user that there is not
        told = getattr(error, "strerror", None) or error
        raise RecipeError(f"{field} {shown(name)} cannot be read: {told}") from error
    if not is_there:
        raise RecipeError(f"{field}: there is no picture {picture}; paths begin at the recipe's own folder")
    return picture


def _with_digests(values: Mapping[str, Any], digest: Callable[[str, object], str], where: str = "") -> dict[str, Any]:
    """The same with `file = "..."` replaced by `picture = "<SHA-256>"` wherever a picture can stand."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found[name] = _picture_for_file(value, digest, f"{where}{name}")
        elif isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
            found[name] = [_picture_for_file(each, digest, f"{where}{name}") for each in value]
        else:
            found[name] = value
    return found


def _picture_for_file(table: Mapping[str, Any], digest: Callable[[str, object], str], where: str) -> dict[str, Any]:
    inner = _with_digests(table, digest, f"{where}.")
    # Where no picture can stand, `file` stays, and is refused like any field that is not known.
    if "file" in inner and inner.get("kind") in _PICTURE_KINDS:
        if "picture" in inner:
            raise RecipeError(f"{where} has both file and picture; give one")
        inner["picture"] = digest(f"{where}.file", inner.pop("file"))
    return inner


def recipe_toml(
    recipe: Recipe, *, name: str, network: str, description: str = "", files: Mapping[str, Path] | None = None
) -> str:
    """The recipe as the text of a file that reads back as the same recipe, every field in it.

    files: where guides and masks are, by pixel SHA-256; those that are not there stand as their digest.
    """
    values = _with_files(recipe.to_json(), files or {})
    tables = {key: values.pop(key) for key in ("octaves", "mask")}
    objective = values.pop("objective")
    lines = [
        f"{key} = {_value(value)}"
        for key, value in {"name": name, "description": description, "network": network}.items()
        if value
    ]
    lines += ["", *(f"{key} = {_value(value)}" for key, value in values.items() if value is not None)]
    for key, table in tables.items():
        if table is not None:
            lines += ["", f"[{key}]", *_table(table)]
    for term in objective:
        lines += ["", "[[objective]]", *_table(term)]
    return "\n".join(lines) + "\n"


def _with_files(value: Any, files: Mapping[str, Path]) -> Any:
    """The same with `file = "..."` in place of `picture = "<SHA-256>"` where the file is known."""
    if isinstance(value, list):
        return [_with_files(each, files) for each in value]
    if not isinstance(value, Mapping):
        return value
    inner = {key: _with_files(each, files) for key, each in value.items()}
    if inner.get("picture") in files:
        inner["file"] = str(files[inner.pop("picture")])
    return inner


def _table(values: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_value(value)}" for key, value in values.items() if value is not None]


def _value(value: Any) -> str:
    """A TOML value. TOML's basic strings take every escape that JSON writes."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key} = {_value(each)}" for key, each in value.items() if each is not None)
        return f"{{ {inner} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(each) for each in value)}]"
    if isinstance(value, float) and value.is_integer():
        return f"{value:.1f}" if abs(value) < 1e15 else repr(value)
    # JSON leaves DEL as it is, which TOML does not allow.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def recipe_differences(first: Recipe, second: Recipe) -> tuple[tuple[str, Any, Any], ...]:
    """(field, value in the first, value in the second) for each field in which they differ."""
    a, b = first.to_json(), second.to_json()
    return tuple((name, a[name], b[name]) for name in a if a[name] != b[name])

"""Which look to dream with: names from the command line, else from the settings, else the default."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from flows.wiring import Environment, image_limits
from pipeline.errors import UsageError
from pipeline.own_paths import expanded

_LONGEST_NAME = 64


@dataclass(frozen=True)
class Look:
    """A recipe and a network, both known to exist and to fit.

    Attributes:
        preset: what was asked for: the name of a preset, or the path of a recipe file.
        name: what the look is called.
        network: name of the network.
        recipe: all that decides the picture, as JSON values.
        pictures: files that the recipe names as guides or masks.
        description: for people; may be empty.
    """

    preset: str
    name: str
    network: str
    recipe: dict[str, Any]
    pictures: tuple[Path, ...] = ()
    description: str = ""


def chosen_look(
    environment: Environment,
    *,
    preset: str | None,
    network: str | None,
    strength: float | None = None,
    seed: int | None = None,
) -> Look:
    """The look asked for; found wanting before anything slow starts.

    preset: the name of one, or the path of a recipe file, which ends in .toml.
    strength, seed: in place of the recipe's own.

    Raises:
        DreamError: No such preset or network, or none of that preset for the network, with the nearest names; or a
            recipe file that cannot be read.
        UsageError: The name of the recipe is too long, or cannot be printed.
    """
    from dream.networks import find_card
    from dream.presets import DEFAULT_PRESET, describe
    from dream.presets import preset as find_preset
    from dream.recipe_files import load_recipe_file

    settings = environment.values.dream
    asked = preset or settings.preset or DEFAULT_PRESET
    weights = environment.workspace.weights
    name, pictures = asked, tuple[Path, ...]()
    card = find_card(network or settings.network, weights)
    if asked.lower().endswith(".toml"):
        path = expanded(asked).resolve()
        file = load_recipe_file(
            path,
            network=card.name if network is not None else None,
            default_network=card.name,
            digest_of=partial(_digest_of, environment),
        )
        if network is None and file.network is not None:
            card = find_card(file.network, weights)
        # It stands in the catalog, in the gallery and in the names of files.
        if len(file.name) > _LONGEST_NAME or not file.name.isprintable():
            raise UsageError(
                f"{path}: a look is called by {_LONGEST_NAME} printable characters at most, not by "
                f"{file.name[:30]!r}...; give it another name, with a line at the top of the file such as "
                'name = "tigers"'
            )
        asked, name, recipe, pictures = str(path), file.name, file.recipe, file.pictures
        description = file.description
    else:
        recipe, description = find_preset(asked, card.name), describe(asked)
    changes = {key: value for key, value in {"strength": strength, "seed": seed}.items() if value is not None}
    recipe = recipe.with_changes(**changes)
    return Look(asked, name, card.name, recipe.to_json(), pictures, description)


def picture_files(environment: Environment, look: Look) -> dict[str, Path]:
    """Where the guides and masks of a look from a file are, by pixel SHA-256."""
    return {_digest_of(environment, path): path for path in look.pictures}


def _digest_of(environment: Environment, path: Path) -> str:
    from pipeline.fingerprints import pixel_sha256
    from pipeline.images import read_picture

    return pixel_sha256(read_picture(path, limits=image_limits(environment)))

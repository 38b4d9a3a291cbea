"""How the dream stage meets the pipeline: dream.render behind the Renderer that pipeline.stylize asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.wiring import Environment
from pipeline.stylize import RendererIdentity, RgbImage

if TYPE_CHECKING:
    from dream.networks.network import Network
    from dream.recipes import Recipe


class DreamRenderer:
    """Renders with one recipe on one network; TensorFlow and the weights load with the first picture."""

    def __init__(self, recipe: Recipe, identity: RendererIdentity, *, weights_folder: Path, offline: bool) -> None:
        self.identity = identity
        self._recipe = recipe
        self._weights_folder = weights_folder
        self._offline = offline
        self._network: Network | None = None

    def render(self, image: RgbImage, on_progress: Callable[[float], None]) -> tuple[RgbImage, dict[str, Any]]:
        """The dream of one picture, and the facts that provenance records."""
        from dream.render import render

        if self._network is None:
            from dream.networks import load_network

            self._network = load_network(
                self.identity.network, weights_folder=self._weights_folder, offline=self._offline
            )
        rendering = render([image], self._recipe, self._network, on_progress=on_progress)
        return rendering.images[0], dict(rendering.facts[0])


def dream_renderer(environment: Environment, *, preset: str, network: str) -> DreamRenderer:
    """A renderer for a named look.

    Raises:
        DreamError: No such preset or network; the message offers the nearest names.
    """
    from dream.presets import preset as find_preset

    recipe = find_preset(preset, network)
    return renderer_for(environment, recipe.to_json(), network, preset=preset)


def renderer_for(
    environment: Environment,
    recipe_json: dict[str, Any],
    network: str,
    *,
    preset: str | None,
    max_side: int | None = None,
) -> DreamRenderer:
    """A renderer for a recipe on record, as replay needs it.

    Raises:
        DreamError: The recipe or the network is not known to this version.
    """
    from dream.networks.cards import network_card
    from dream.recipes import Recipe
    from dream.render import ENGINE_VERSION

    recipe = Recipe.from_json(recipe_json)
    card = network_card(network)
    identity = RendererIdentity(
        recipe=recipe.to_json(),
        recipe_sha256=recipe.digest(),
        preset=preset,
        network=card.name,
        weights_sha256=card.weights_sha256,
        network_license=card.license,
        engine_version=ENGINE_VERSION,
        max_side=max_side if max_side is not None else environment.values.dream.max_side,
    )
    return DreamRenderer(
        recipe, identity, weights_folder=environment.workspace.weights, offline=environment.values.dream.offline
    )

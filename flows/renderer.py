"""How the dream stage meets the pipeline: dream.batches behind the Renderer that pipeline.stylize asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flows.wiring import Environment, open_catalog, open_store
from pipeline.stylize import RendererIdentity, RenderOutcome, RenderProgress, RenderRequest, RgbImage

if TYPE_CHECKING:
    from dream.networks.network import Network
    from dream.recipes import Recipe


class DreamRenderer:
    """Renders with one recipe on one network; TensorFlow and the weights load with the first picture."""

    def __init__(self, recipe: Recipe, identity: RendererIdentity, environment: Environment) -> None:
        self.identity = identity
        self._recipe = recipe
        self._environment = environment
        self._network: Network | None = None

    def render_all(
        self, requests: Sequence[RenderRequest], on_progress: Callable[[RenderProgress], None]
    ) -> Iterator[RenderOutcome]:
        """The dreams of these pictures, as each is done, with the facts and measures that provenance records."""
        from dream.batches import Progress, Request, render_all

        def tell(progress: Progress) -> None:
            on_progress(RenderProgress(progress.done, progress.seconds_left, progress.key, progress.fraction))

        sources: dict[str, RgbImage] = {}

        def remembering(request: RenderRequest) -> Callable[[], RgbImage]:
            def load() -> RgbImage:
                sources[request.key] = request.load()
                return sources[request.key]

            return load

        outcomes = render_all(
            [Request(request.key, request.size, remembering(request)) for request in requests],
            self._recipe,
            self.network,
            pictures=self._pictures(),
            profile=self.identity.profile,
            checkpoints=self._environment.workspace.octaves,
            on_progress=tell,
        )
        for outcome in outcomes:
            source = sources.pop(outcome.key, None)
            facts = outcome.facts
            if outcome.image is not None and source is not None and facts is not None:
                facts = {**facts, "measures": _measures(outcome.image, source)}
            yield RenderOutcome(outcome.key, outcome.image, facts, outcome.error)

    def forget(self, key: str) -> None:
        """Remove what was kept of this dream on the way."""
        from dream.checkpoints import Checkpoints

        Checkpoints(self._environment.workspace.octaves).forget(key)

    @property
    def network(self) -> Network:
        """The network, loaded when it is first asked for."""
        if self._network is None:
            from dream.networks import load_network

            self._network = load_network(
                self.identity.network,
                weights_folder=self._environment.workspace.weights,
                offline=self._environment.values.dream.offline,
            )
        return self._network

    def _pictures(self) -> Mapping[str, RgbImage]:
        """The guides and masks, from the catalog."""
        from pipeline.provenance.preparation import stored_pictures

        if not self.identity.pictures:
            return {}
        with open_catalog(self._environment) as catalog:
            return stored_pictures(self.identity.pictures, catalog=catalog, store=open_store(self._environment))


def _measures(dream: RgbImage, source: RgbImage) -> dict[str, float]:
    from dream.quality import measure

    return measure(dream, source).to_json()


def dream_renderer(
    environment: Environment, *, preset: str, network: str, recipe: dict[str, Any] | None = None
) -> DreamRenderer:
    """A renderer for a named look, or for a recipe of one's own that goes by that name.

    Raises:
        DreamError: No such preset or network; the message offers the nearest names.
    """
    from dream.presets import preset as find_preset

    chosen = recipe if recipe is not None else find_preset(preset, network).to_json()
    return renderer_for(environment, chosen, network, preset=preset)


def renderer_for(
    environment: Environment,
    recipe_json: dict[str, Any],
    network: str,
    *,
    preset: str | None,
    max_side: int | None = None,
    profile: str | None = None,
) -> DreamRenderer:
    """A renderer for a recipe on record, as replay needs it.

    Raises:
        DreamError: The recipe or the network is not known to this version.
    """
    from dream.networks import find_card
    from dream.recipes import Recipe
    from dream.render import ENGINE_VERSION

    recipe = Recipe.from_json(recipe_json)
    card = find_card(network, environment.workspace.weights)
    identity = RendererIdentity(
        recipe=recipe.to_json(),
        recipe_sha256=recipe.digest(),
        preset=preset,
        network=card.name,
        weights_sha256=card.weights_sha256,
        network_license=card.license,
        engine_version=ENGINE_VERSION,
        max_side=max_side if max_side is not None else environment.values.dream.max_side,
        profile=profile if profile is not None else environment.values.dream.profile,
        pictures=recipe.picture_digests(),
    )
    return DreamRenderer(recipe, identity, environment)

"""How the dream stage meets the pipeline: dream.batches behind the Renderer that pipeline.stylize asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flows.look import Look
from flows.wiring import Environment, image_limits, open_catalog, open_store
from pipeline.stylize import RendererIdentity, RenderOutcome, RenderProgress, RenderRequest, RgbImage

if TYPE_CHECKING:
    from dream.networks.network import Network
    from dream.recipes import Recipe


@dataclass(frozen=True)
class DreamPlan:
    """What some dreams will take.

    Attributes:
        pictures: How many are to be made.
        already: How many are there, or cannot be made.
        pixel_steps: Pixels times steps, over all octaves of all of them.
        operations: Floating-point operations.
        pixel_steps_per_second: What this machine did just now, or None where nothing is to be made.
        seconds: How long it will take at that rate, without loading.
    """

    pictures: int
    already: int
    pixel_steps: int
    operations: float
    pixel_steps_per_second: float | None
    seconds: float


class DreamRenderer:
    """Renders with one recipe on one network; TensorFlow and the weights load with the first picture."""

    def __init__(
        self,
        recipe: Recipe,
        identity: RendererIdentity,
        environment: Environment,
        *,
        pictures: Mapping[str, RgbImage] | None = None,
        keeps_octaves: bool = True,
        networks: dict[str, Network] | None = None,
    ) -> None:
        """Loads nothing.

        pictures: the guides and masks by pixel SHA-256; None to take them from the catalog.
        networks: those that are loaded, by name, which renderers may share; a network that is loaded is put there.
        """
        self.identity = identity
        self._given = pictures
        self._keeps_octaves = keeps_octaves
        self.recipe = recipe
        self._environment = environment
        self._networks = {} if networks is None else networks

    def render_all(
        self, requests: Sequence[RenderRequest], on_progress: Callable[[RenderProgress], None]
    ) -> Iterator[RenderOutcome]:
        """The dreams of these pictures, as each is done, with the facts and measures that provenance records."""
        # First, as it settles TensorFlow before anything loads it.
        network = self.network
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
            self.recipe,
            network,
            pictures=self._pictures(),
            profile=self.identity.profile,
            checkpoints=self._environment.workspace.octaves if self._keeps_octaves else None,
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
        name = self.identity.network
        if name not in self._networks:
            from dream.networks import load_network

            self._networks[name] = load_network(
                name,
                weights_folder=self._environment.workspace.weights,
                offline=self._environment.values.dream.offline,
            )
        return self._networks[name]

    def check(self) -> None:
        """See that the recipe fits the network, before any picture is worked on.

        Raises:
            DreamError: It does not, or the weights cannot be had.
        """
        network = self.network  # first: it settles TensorFlow
        from dream.objectives import check_objective

        check_objective(self.recipe.objective, network)

    def plan(self, sizes: Sequence[tuple[int, int]], *, already: int) -> DreamPlan:
        """What pictures of these sizes would take; a few steps are run to measure the rate of this machine."""
        network = self.network  # first: it settles TensorFlow
        from dream.objectives import check_objective, layers_needed, resolve, smallest_side
        from dream.probing import pixel_steps_per_second
        from dream.schedule import plan_cost

        check_objective(self.recipe.objective, network)
        objective = resolve(self.recipe.objective, network, seed=self.recipe.seed)
        layers = layers_needed(objective, network)
        cost = plan_cost(
            sizes,
            self.recipe,
            floor=smallest_side(objective, network),
            macs_per_pixel=max(network.layer(name).macs_per_pixel for name in layers),
        )
        rate = pixel_steps_per_second(self.recipe, objective, network) if cost.pixel_steps else None
        return DreamPlan(
            pictures=cost.pictures,
            already=already,
            pixel_steps=cost.pixel_steps,
            operations=cost.operations,
            pixel_steps_per_second=rate,
            seconds=cost.pixel_steps / rate if rate else 0.0,
        )

    def _pictures(self) -> Mapping[str, RgbImage]:
        """The guides and masks, from the catalog."""
        from pipeline.provenance.preparation import stored_pictures

        if self._given is not None:
            return self._given
        if not self.identity.pictures:
            return {}
        with open_catalog(self._environment) as catalog:
            return stored_pictures(self.identity.pictures, catalog=catalog, store=open_store(self._environment))


def _measures(dream: RgbImage, source: RgbImage) -> dict[str, float]:
    from dream.quality import measure

    return measure(dream, source).to_json()


def look_renderer(environment: Environment, look: Look) -> DreamRenderer:
    """A renderer for a chosen look.

    Raises:
        DreamError: The network is not known to this version.
    """
    return renderer_for(environment, look.recipe, look.network, preset=look.name)


def figure_renderers(environment: Environment, looks: Sequence[Look]) -> list[DreamRenderer]:
    """Renderers that leave nothing behind, and read guides and masks from their files; each network is loaded once.

    Raises:
        DreamError: A network is not known to this version.
        PipelineError: A guide or mask cannot be read.
    """
    from pipeline.fingerprints import pixel_sha256
    from pipeline.images import read_picture

    limits = image_limits(environment)
    networks: dict[str, Network] = {}
    renderers = []
    for look in looks:
        read = [read_picture(path, limits=limits) for path in look.pictures]
        made = look_renderer(environment, look)
        renderers.append(
            DreamRenderer(
                made.recipe,
                made.identity,
                environment,
                pictures={pixel_sha256(picture): picture for picture in read},
                keeps_octaves=False,
                networks=networks,
            )
        )
    return renderers


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
        DreamError: The recipe or the network is not known to this version, or the digest of the weights is not known
            before they have been fetched or imported.
    """
    from dream.networks import find_card, known_digest
    from dream.recipes import Recipe
    from dream.render import ENGINE_VERSION

    recipe = Recipe.from_json(recipe_json)
    card = find_card(network, environment.workspace.weights)
    identity = RendererIdentity(
        recipe=recipe.to_json(),
        recipe_sha256=recipe.digest(),
        preset=preset,
        network=card.name,
        weights_sha256=known_digest(card),
        network_license=card.license,
        engine_version=ENGINE_VERSION,
        max_side=max_side if max_side is not None else environment.values.dream.max_side,
        profile=profile if profile is not None else environment.values.dream.profile,
        pictures=recipe.picture_digests(),
    )
    return DreamRenderer(recipe, identity, environment)

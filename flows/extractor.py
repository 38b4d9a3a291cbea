"""How features meet the pipeline: dream.feature_vectors behind the Extractor that pipeline.extract asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dream.feature_algorithms import DEFAULT_FEATURES, FeatureAlgorithm
from flows.wiring import Environment

if TYPE_CHECKING:
    from dream.networks.network import Network
    from pipeline.duplicates.similar import SimilarSearch
    from pipeline.duplicates.vectors import Vectors
    from pipeline.provenance.derivation import RgbImage


class NetworkExtractor:
    """Features of a frozen network; TensorFlow and the weights load with the first picture."""

    def __init__(self, environment: Environment, algorithm: FeatureAlgorithm = DEFAULT_FEATURES) -> None:
        """Loads nothing."""
        self._environment = environment
        self._algorithm = algorithm
        self._network: Network | None = None

    @property
    def algorithm(self) -> FeatureAlgorithm:
        """What decides the vectors."""
        return self._algorithm

    def vectors(self, pictures: RgbImage) -> Vectors:
        """The vectors of pictures, shape (count, side, side, 3).

        Raises:
            DreamError: The weights cannot be had, or are others than those of the algorithm.
        """
        if self._network is None:
            from dream.networks import load_network

            self._network = load_network(
                self._algorithm.network,
                weights_folder=self._environment.workspace.weights,
                offline=self._environment.values.dream.offline,
            )
        from dream.feature_vectors import feature_vectors

        return feature_vectors(pictures, self._algorithm, self._network)


def similar_search() -> SimilarSearch:
    """A search among the features of the catalog; loads nothing yet, least of all TensorFlow."""
    from pipeline.duplicates.similar import SimilarSearch

    return SimilarSearch(DEFAULT_FEATURES)

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from dream.errors import ImageUnusable, NetworkInvalid
from dream.feature_algorithms import DEFAULT_FEATURES, LITE0_POOL_V1, FeatureAlgorithm
from dream.feature_vectors import feature_vectors
from dream.networks import load_network, network_card
from tests.support.tiny_network import TINY_CARD, numpy_activations, tiny_network, tiny_weights

PHOTOS = Path(__file__).resolve().parents[2] / "crawler" / "sample_site" / "photos"
TINY = FeatureAlgorithm(
    name="tiny-v1",
    network="tiny",
    weights_sha256=TINY_CARD.weights_sha256 or "",
    layer="first",
    length=6,
    side=16,
    alike_cosine=0.9,
    similar_cosine=0.5,
)


def noise(count: int, side: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def tiny() -> Any:
    return tiny_network()


@pytest.mark.parametrize(("layer", "length"), [("first", 6), ("first_relu", 6), ("second", 4)])
def test_a_vector_is_the_mean_over_all_places_made_one_long(tiny: Any, layer: str, length: int) -> None:
    pictures = noise(3, 16)

    found = feature_vectors(pictures, dataclasses.replace(TINY, layer=layer, length=length), tiny)

    for picture, vector in zip(pictures, found, strict=True):
        pooled = numpy_activations(picture / 255, tiny_weights())[layer].mean(axis=(0, 1))
        assert vector == pytest.approx(pooled / np.linalg.norm(pooled), abs=1e-5)
    assert found.dtype == np.float32


def test_a_layer_that_shows_nothing_gives_zeros() -> None:
    weights = tiny_weights()
    blind = tiny_network([weights[0] * 0, weights[1] * 0 - 1, *weights[2:]])

    found = feature_vectors(noise(2, 16), dataclasses.replace(TINY, layer="first_relu"), blind)

    assert found.tolist() == [[0.0] * 6] * 2


@pytest.mark.parametrize(
    ("pictures", "changes", "error", "says"),
    [
        (noise(1, 15), {}, ImageUnusable, "shape .count, 16, 16, 3.*15"),
        (noise(1, 16).astype(np.float32), {}, ImageUnusable, "float32"),
        (noise(1, 16)[0], {}, ImageUnusable, "got uint8 of .16, 16, 3."),
        (noise(1, 16), {"weights_sha256": "1" * 64}, NetworkInvalid, "a name of their own"),
        (noise(1, 16), {"network": "other"}, NetworkInvalid, "made with other"),
        (noise(1, 16), {"length": 7}, NetworkInvalid, "6 channels"),
    ],
)
def test_what_would_give_other_vectors_is_refused(
    tiny: Any, pictures: np.ndarray, changes: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        feature_vectors(pictures, dataclasses.replace(TINY, **changes), tiny)


def test_the_algorithm_is_pinned_to_the_weights_that_are_installed() -> None:
    assert LITE0_POOL_V1.weights_sha256 == network_card(LITE0_POOL_V1.network).weights_sha256
    assert DEFAULT_FEATURES is LITE0_POOL_V1
    assert len(LITE0_POOL_V1.name) <= 32  # the catalog's column


@pytest.fixture(scope="module")
def lite0(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_network(LITE0_POOL_V1.network, weights_folder=tmp_path_factory.mktemp("weights"), offline=True)


def photo(name: str) -> Image.Image:
    (path,) = PHOTOS.glob(f"{name}*")
    return Image.open(path).convert("RGB")


def squeezed(*pictures: Image.Image) -> np.ndarray:
    size = (LITE0_POOL_V1.side, LITE0_POOL_V1.side)
    return np.stack([np.asarray(picture.resize(size, Image.Resampling.LANCZOS)) for picture in pictures])


def test_vectors_are_those_of_the_network_as_it_was_published(lite0: Any) -> None:
    """Against the Keras model itself, not folded and compiled by us, run on one picture after the other."""
    import keras

    pictures = squeezed(photo("astronaut"), photo("chelsea"), photo("koala"))

    found = feature_vectors(pictures, LITE0_POOL_V1, lite0)

    model = keras.Model(lite0.body.model.inputs[0], lite0.body.model.get_layer(LITE0_POOL_V1.layer).output)
    for picture, vector in zip(pictures, found, strict=True):
        # (x - 127) / 128: the published preprocessing of EfficientNet-Lite.
        activation = model((picture[None].astype(np.float32) - 127) / 128, training=False)
        pooled = np.asarray(activation, np.float64).mean(axis=(0, 1, 2))
        assert vector @ pooled / np.linalg.norm(pooled) == pytest.approx(1.0, abs=1e-6)
        assert vector == pytest.approx(pooled / np.linalg.norm(pooled), abs=1e-4)


def jpeg(picture: Image.Image, quality: int) -> Image.Image:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return Image.open(io.BytesIO(out.getvalue())).convert("RGB")


def cut(picture: Image.Image, share: float) -> Image.Image:
    width, height = picture.size
    return picture.crop((0, 0, round(width * share), round(height * share)))


EDITS = {
    "low quality": lambda picture: jpeg(picture, 30),
    "small": lambda picture: picture.resize((picture.width // 2, picture.height // 2)),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.3),
    "mirrored": lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "cut": lambda picture: cut(picture, 0.7),
}


def test_the_nearest_photograph_to_an_edited_one_is_its_original(lite0: Any) -> None:
    paths = sorted(path for path in PHOTOS.iterdir() if path.suffix in {".webp", ".jpg"})[::3]
    originals = [Image.open(path).convert("RGB") for path in paths]
    kept = feature_vectors(squeezed(*originals), LITE0_POOL_V1, lite0)

    assert len(paths) > 25
    for name, edit in EDITS.items():
        asked = feature_vectors(squeezed(*map(edit, originals)), LITE0_POOL_V1, lite0)
        nearest = np.argmax(asked @ kept.T, axis=1)
        assert np.mean(nearest == np.arange(len(paths))) >= (0.9 if name == "cut" else 1.0), name

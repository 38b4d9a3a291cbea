"""The layers of a network, as a list of them shows: names, kinds, shapes, windows, strides, receptive fields."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import keras


CONVOLUTIONS = frozenset({"Conv2D", "DepthwiseConv2D", "SeparableConv2D", "DepthwiseConv2dNative"})

# Of a map over the picture, such a layer makes a fixed number of values: it fits pictures of one size only.
_FIX_THE_SIZE = frozenset({"Flatten", "Reshape", "Permute", "RepeatVector"})


@dataclass(frozen=True)
class LayerInfo:
    """One layer, as a list of layers shows it.

    Attributes:
        name: the name recipes use.
        kind: the Keras class, such as Conv2D or Concatenate.
        shape: of the activation, None for what depends on the picture: `(None, None, None, 96)`.
        kernel: height and width of its window in pixels of its input; None where it has none.
        stride: pixels of its input from one output to the next.
        padding: `same`, `valid`, or empty where the layer has no window.
        total_stride: pixels of the picture from one output to the next; None where all places are pooled.
        macs_per_pixel: multiplications per pixel of a large picture that it takes to compute this layer, those of
            all the layers it needs included.
        receptive_field: side of the square of the picture that one output sees, in pixels; None likewise.
        convolutions: how many convolutions it takes to compute this layer, itself included if it is one.
    """

    name: str
    kind: str
    channels: int
    shape: str
    kernel: tuple[int, int] | None
    stride: int
    padding: str
    total_stride: int | None
    receptive_field: int | None
    parameters: int
    macs_per_pixel: float = 0.0
    convolutions: int = 0

    @property
    def is_convolution(self) -> bool:
        """Whether the layer is a convolution, of any kind."""
        return self.kind in CONVOLUTIONS


class View(NamedTuple):
    """What one output sees of the picture, and how far apart two outputs look, in pixels."""

    height: int
    width: int
    spacing: int


def computing_layers(model: keras.Model) -> list[Any]:
    """The layers that compute something: all but the input."""
    return [layer for layer in model.layers if not _is_input(layer)]


def inventory(model: keras.Model, names: Mapping[str, str]) -> Iterable[LayerInfo]:
    """Every layer but the input, in the order the model computes them, with the receptive field carried along.

    Layers that need a picture of one certain size, as those behind a Flatten do, are left out.

    Source: a window of k over inputs j pixels apart widens a receptive field of r to r + (k - 1) * j, and a stride
    s spreads its outputs to j * s pixels; where branches meet, the widest counts.
    """
    seen: dict[str, View | None] = {}
    own: dict[str, float] = {}
    needed: dict[str, frozenset[str]] = {}
    fixed: set[str] = set()
    kinds = {layer.name: type(layer).__name__ for layer in model.layers}
    for layer in model.layers:
        name, kind = layer.name, kinds[layer.name]
        if _is_input(layer):
            seen[name], needed[name] = View(1, 1, 1), frozenset()
            continue
        parents = _parents(layer)
        shape = tuple(layer.output.shape)
        kernel, stride, padding = _window(layer)
        pooled = len(shape) != 4 or kind.startswith("Global")
        view = None if pooled else after([seen[parent] for parent in parents], _reach(layer, kernel), stride)
        seen[name] = view
        own[name] = _macs_per_pixel(layer, view)
        needed[name] = frozenset({name}).union(*(needed[parent] for parent in parents))
        if not fixed.isdisjoint(parents) or (kind in _FIX_THE_SIZE and any(seen[parent] for parent in parents)):
            fixed.add(name)
            continue
        yield LayerInfo(
            name=names.get(name, name),
            kind=kind,
            channels=int(shape[-1]),
            shape=str((None, None, None, shape[-1]) if view else (None, *shape[1:])),
            kernel=kernel,
            stride=stride,
            padding=padding,
            receptive_field=max(view.height, view.width) if view else None,
            total_stride=view.spacing if view else None,
            parameters=int(layer.count_params()),
            macs_per_pixel=sum(own[name] for name in sorted(needed[name])),
            convolutions=sum(kinds[each] in CONVOLUTIONS for each in needed[name]),
        )


def _is_input(layer: Any) -> bool:
    # By name, so that a list of layers can be asked for before TensorFlow is settled and loaded.
    return type(layer).__name__ == "InputLayer"


def _window(layer: Any) -> tuple[tuple[int, int] | None, int, str]:
    kernel = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if kernel is None:
        return None, 1, ""
    return (int(kernel[0]), int(kernel[1])), int(layer.strides[0]), str(layer.padding)


def _reach(layer: Any, kernel: tuple[int, int] | None) -> tuple[int, int] | None:
    """Pixels of its input that the window spans: more than it has, where it leaves some out between them."""
    if kernel is None:
        return None
    rate = getattr(layer, "dilation_rate", 1)
    down, across = rate if isinstance(rate, tuple | list) else (rate, rate)
    return (kernel[0] - 1) * int(down) + 1, (kernel[1] - 1) * int(across) + 1


def _macs_per_pixel(layer: Any, view: View | None) -> float:
    """Multiplications of a convolution per pixel of the picture: those of one output over the pixels it stands for.

    A layer without places is computed once, which on a large picture is nothing.
    """
    if view is None or not type(layer).__name__.endswith("Conv2D"):
        return 0.0
    weights = sum(math.prod(weight.shape) for weight in layer.weights if len(weight.shape) == 4)
    return float(weights) / view.spacing**2


def after(inputs: list[View | None], kernel: tuple[int, int] | None, stride: int) -> View | None:
    """What one output of a layer sees, given what its inputs see; None where all places are pooled."""
    known = [view for view in inputs if view is not None]
    if not known:
        return None
    high, wide = kernel or (1, 1)
    spacing = max(view.spacing for view in known)
    return View(
        height=max(view.height for view in known) + (high - 1) * spacing,
        width=max(view.width for view in known) + (wide - 1) * spacing,
        spacing=spacing * stride,
    )


def _parents(layer: Any) -> list[str]:
    inputs = layer.input if isinstance(layer.input, list) else [layer.input]
    # Keras has no public way from a tensor to the layer it comes from.
    return [tensor._keras_history.operation.name for tensor in inputs]

"""Objectives as data: what shall grow, and how the parts of it add up. No TensorFlow here.

`layer("mixed3") + 2 * channel("mixed5", 13)` is an `Objective`; every operation gives a new one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeVar, cast

from dream.checks import (
    all_there,
    choice,
    finite_number,
    integer,
    known_kind,
    mapping,
    name_text,
    number,
    only_known,
    sequence,
    shown,
)
from dream.checks import picture_digest as check_digest
from dream.classes import class_index
from dream.errors import RecipeError
from dream.regions import Region, region_from_json, region_kind

_MOST_CHANNELS = 65_536


class Reduction(StrEnum):
    """How a layer's activation becomes one number."""

    MEAN = "mean"
    MEAN_SQUARE = "mean_square"


class Pick(StrEnum):
    """Which channels, where they are not named: drawn from the recipe's seed, or by their mean on the picture."""

    RANDOM = "random"
    STRONGEST = "strongest"
    WEAKEST = "weakest"


class Measure(StrEnum):
    """What of a class grows: its score before the softmax, or its probability after it."""

    LOGIT = "logit"
    PROBABILITY = "probability"


class Match(StrEnum):
    """How a guide picture leads: by its nearest places, or by how strong its channels are."""

    DOT = "dot"
    CHANNELS = "channels"


@dataclass(frozen=True, kw_only=True)
class ChannelPick:
    """So many channels of a layer, chosen when the dream begins; the choice is recorded."""

    pick: Pick
    count: int = 1

    def __post_init__(self) -> None:
        choice(self, "pick", Pick, where="objective.channels.")
        integer("objective.channels.count", self.count, least=1, most=_MOST_CHANNELS)


Channels = tuple[int, ...] | ChannelPick | None


@dataclass(frozen=True, kw_only=True)
class LayerTerm:
    """The activation of a layer, reduced to a number, times a weight.

    Attributes:
        layer: a layer name as `dreamcrawl networks layers` lists them.
        channels: indexes of the channels that count, a way to pick them, or None for all.
        weight: may be negative, to climb away from a feature; never 0.
        border: cells cut off each side of the layer's map before it is reduced.
        region: the part of the picture that counts; None for all of it.
    """

    layer: str
    channels: Channels = None
    reduction: Reduction = Reduction.MEAN_SQUARE
    weight: float = 1.0
    border: int = 0
    region: Region | None = None

    def __post_init__(self) -> None:
        name_text("objective.layer", self.layer)
        if self.channels is not None and not isinstance(self.channels, ChannelPick):
            object.__setattr__(self, "channels", _channels(self.channels))
        choice(self, "reduction", Reduction, where="objective.")
        integer("objective.border", self.border, least=0, most=1024)
        if self.region is not None and not isinstance(self.region, Region):
            raise RecipeError("objective.region must be a region: a box, an ellipse or a picture")
        _check_weight(self)


@dataclass(frozen=True, kw_only=True)
class NeuronTerm:
    """One channel of a layer at one place of the picture: `row` and `column` are fractions of its sides."""

    layer: str
    channel: int
    row: float = 0.5
    column: float = 0.5
    weight: float = 1.0

    def __post_init__(self) -> None:
        name_text("objective.layer", self.layer)
        integer("objective.channel", self.channel, least=0)
        for name in ("row", "column"):
            number(self, name, where="objective.", least=0.0, most=1.0)
        _check_weight(self)


@dataclass(frozen=True, kw_only=True)
class ClassTerm:
    """An ImageNet class: the score or the probability that the network gives it."""

    index: int
    measure: Measure = Measure.LOGIT
    weight: float = 1.0

    def __post_init__(self) -> None:
        integer("objective.index", self.index, least=0, most=999_999)
        choice(self, "measure", Measure, where="objective.")
        _check_weight(self)


@dataclass(frozen=True, kw_only=True)
class GuideTerm:
    """A layer led by another picture, whose pixel SHA-256 is `picture`: this one dreams of that one."""

    layer: str
    picture: str
    match: Match = Match.DOT
    weight: float = 1.0

    def __post_init__(self) -> None:
        name_text("objective.layer", self.layer)
        check_digest("objective.picture", self.picture)
        choice(self, "match", Match, where="objective.")
        _check_weight(self)


Term = LayerTerm | NeuronTerm | ClassTerm | GuideTerm

TERMS: Mapping[str, type[LayerTerm | NeuronTerm | ClassTerm | GuideTerm]] = {
    "layer": LayerTerm,
    "neuron": NeuronTerm,
    "class": ClassTerm,
    "guide": GuideTerm,
}

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "layer": ("layer",),
    "neuron": ("layer", "channel"),
    "class": ("index",),
    "guide": ("layer", "picture"),
}


@dataclass(frozen=True)
class Objective:
    """A sum of terms. `+` joins two, `*` with a number scales one; both leave what they are given as it was."""

    terms: tuple[Term, ...] = field(default=())

    def __post_init__(self) -> None:
        terms = tuple(self.terms)
        if not all(isinstance(term, Term) for term in terms):
            raise RecipeError("an objective is made of terms; `layer`, `channel` and their like make one")
        object.__setattr__(self, "terms", terms)

    def __add__(self, other: object) -> Objective:
        # Anything else may know how to add itself to an objective, and is a TypeError where it does not.
        return Objective((*self.terms, *other.terms)) if isinstance(other, Objective) else NotImplemented

    def __mul__(self, factor: float) -> Objective:
        finite_number("the factor of an objective", factor)
        return Objective(tuple(replace(term, weight=term.weight * factor) for term in self.terms))

    __rmul__ = __mul__

    def __neg__(self) -> Objective:
        return self * -1.0

    def __sub__(self, other: object) -> Objective:
        return self + -other if isinstance(other, Objective) else NotImplemented


def layer(name: str, **fields: Any) -> Objective:
    """A whole layer; `fields` as in `LayerTerm`."""
    return Objective((LayerTerm(layer=name, **fields),))


def channel(name: str, *indexes: int, **fields: Any) -> Objective:
    """The mean of some channels of a layer; `fields` as in `LayerTerm`."""
    return Objective((LayerTerm(layer=name, channels=indexes, **{"reduction": Reduction.MEAN, **fields}),))


def neuron(name: str, index: int, *, row: float = 0.5, column: float = 0.5, weight: float = 1.0) -> Objective:
    """One channel at one place, fractions of the picture's sides."""
    return Objective((NeuronTerm(layer=name, channel=index, row=row, column=column, weight=weight),))


def class_(name_or_index: str | int, *, measure: Measure = Measure.LOGIT, weight: float = 1.0) -> Objective:
    """An ImageNet class by its name or index."""
    return Objective((ClassTerm(index=class_index(name_or_index), measure=measure, weight=weight),))


def guide(name: str, picture: str, *, match: Match = Match.DOT, weight: float = 1.0) -> Objective:
    """A layer led by the picture with this pixel SHA-256."""
    return Objective((GuideTerm(layer=name, picture=picture, match=match, weight=weight),))


def objective_text(terms: Sequence[Term]) -> str:
    """The objective as people write one: `0.5 * mean_square(mixed3) + mean(mixed5[13])`. It is not read back."""
    return " + ".join(_term_text(term) for term in terms)


def _term_text(term: Term) -> str:
    match term:
        case LayerTerm(channels=channels):
            if isinstance(channels, ChannelPick):
                picked = f"[{channels.count} {channels.pick}]"
            else:
                picked = "" if channels is None else f"[{', '.join(map(str, channels))}]"
            border = f", border {term.border}" if term.border else ""
            region = f", in {term.region}" if term.region is not None else ""
            text = f"{term.reduction}({term.layer}{picked}{border}{region})"
        case NeuronTerm():
            text = f"neuron({term.layer}[{term.channel}] at {term.row:g}, {term.column:g})"
        case ClassTerm():
            text = f"{term.measure}(class {term.index})"
        case GuideTerm():
            text = f"{term.match}({term.layer}, picture {term.picture[:8]})"
    return text if term.weight == 1 else f"{term.weight:g} * {text}"


def term_to_json(term: Term) -> dict[str, Any]:
    """The term with every field, and its kind."""
    kind = next(kind for kind, cls in TERMS.items() if isinstance(term, cls))
    values: dict[str, Any] = {"kind": kind, **asdict(term)}
    if isinstance(term, LayerTerm) and term.region is not None:
        values["region"] = {"kind": region_kind(term.region), **values["region"]}
    return plain(values)


_T = TypeVar("_T")


def plain(value: _T) -> _T:
    """Enumerations and tuples replaced by what JSON knows, all the way down."""
    if isinstance(value, dict):
        return cast("_T", {key: plain(inner) for key, inner in value.items()})
    if isinstance(value, tuple | list):
        return cast("_T", [plain(inner) for inner in value])
    return cast("_T", value.value) if isinstance(value, StrEnum) else value


def term_from_json(data: object) -> Term:
    """The term that an object describes; without a `kind` it is one of a layer.

    Raises:
        RecipeError: a field is missing, unknown or has a value it cannot have.
    """
    values = dict(mapping("a term of the objective", data))
    kind = known_kind("term", values.pop("kind", "layer"), TERMS)
    if kind == "class" and "name" in values:
        values["index"] = _index_of_class(values)
    only_known(f"field of a term of kind {kind}", values, TERMS[kind])
    all_there(f"a term of kind {kind}", values, _NEEDED[kind])
    if isinstance(values.get("channels"), Mapping):
        picked = values["channels"]
        only_known("field of objective.channels", picked, ChannelPick)
        all_there("objective.channels", picked, ("pick",))
        values["channels"] = ChannelPick(**picked)
    if values.get("region") is not None:
        values["region"] = region_from_json(values["region"], what="objective.region")
    return TERMS[kind](**values)


def _index_of_class(values: dict[str, Any]) -> int:
    """The index of the class that is named; the name is taken out of the values."""
    name = values.pop("name")
    if not isinstance(name, str):
        raise RecipeError(f"objective.name must be the name of a class, got {shown(name)}; indexes go into `index`")
    index = class_index(name)
    if values.get("index", index) != index:
        raise RecipeError(
            f"objective.name {name!r} is class {index}, but objective.index says {shown(values['index'])}"
        )
    return index


def _channels(value: object) -> tuple[int, ...]:
    channels = sequence("objective.channels", value)
    for index in channels[:_MOST_CHANNELS]:
        integer("objective.channels", index, least=0)
    if not channels or len(channels) > _MOST_CHANNELS or len(set(channels)) != len(channels):
        raise RecipeError("objective.channels must name each channel once, or be null for all of them")
    return channels


def _check_weight(term: Any) -> None:
    number(term, "weight", where="objective.")
    if term.weight == 0:
        raise RecipeError("objective.weight must not be 0; leave the term out instead")

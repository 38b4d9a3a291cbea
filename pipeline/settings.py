"""Settings: defaults, then a TOML file, then the environment, then the command line; each value knows its origin.

Read by `flows` only; everything else gets plain values.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from pipeline.errors import SettingsInvalid
from pipeline.license_choices import license_choice
from pipeline.licenses import responsibility_words
from pipeline.own_paths import expanded

ENVIRONMENT_PREFIX = "DREAMCRAWL_"
DEFAULT_FILE = "dreamcrawl.toml"
# Of what the catalog counts: PostgreSQL's integers have 32 bits.
_LARGEST = 2**31 - 1


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CrawlSettings(_Section):
    """How to crawl."""

    limit: int = Field(50, ge=1, le=_LARGEST, description="most pictures a run collects for its keywords")
    deadline_seconds: float = Field(900.0, gt=0, description="a crawl is ended after this long; what it has is kept")
    timeout_seconds: float = Field(30.0, gt=0, description="an answer that is not whole after this long is given up")
    delay_seconds: float = Field(0.25, ge=0, description="least time between two requests to one public host")
    concurrency_per_host: int = Field(4, ge=1, le=16, description="most requests at once to one host")
    max_image_bytes: int = Field(32 * 2**20, ge=1024, le=_LARGEST, description="larger files are refused")
    max_pages: int = Field(500, ge=1, description="most pages followed on one site")
    max_depth: int = Field(5, ge=0, description="most links between the start page and a page followed")
    license: str = Field("adaptable", description="which to take: a word such as adaptable, or one such as CC-BY-4.0")
    require_license: bool = Field(False, description="leave out pictures without a licence that can be read")
    min_width: int = Field(0, ge=0, description="least width in pixels of pictures taken; 0: any")
    min_height: int = Field(0, ge=0, description="least height in pixels of pictures taken; 0: any")
    max_megapixels: float = Field(0.0, ge=0, description="most millions of pixels of pictures taken; 0: any")
    mature: bool = Field(False, description="take pictures that their source marks as unfit for everybody")

    @field_validator("license")
    @classmethod
    def _known_license(cls, value: str) -> str:
        return license_choice(value)


class IngestSettings(_Section):
    """What to keep."""

    max_pixels: int = Field(
        50_000_000, ge=1, le=_LARGEST, description="larger pictures are rejected before they are decoded"
    )
    min_side: int = Field(64, ge=1, description="pictures with a shorter side, in pixels, are rejected")
    decode_seconds: float = Field(30.0, gt=0, description="decoding one picture is ended after this long")
    decode_memory_mb: int = Field(
        2048, ge=64, description="most memory for decoding one picture, in MiB; on Linux and FreeBSD"
    )
    near_distance: int = Field(
        80,
        ge=0,
        le=84,
        description="bits of 256 that two near duplicates may differ in; at most 84, as none beyond are compared",
    )


class DreamSettings(_Section):
    """How to dream."""

    preset: str = Field("", description="look of a dream; empty: the default of `dreamcrawl presets`")
    network: str = Field("efficientnet_lite0", description="network to dream with")
    max_side: int = Field(768, ge=32, le=16384, description="larger pictures are dreamed at this longer side")
    format: Literal["PNG", "JPEG", "WEBP"] = Field("PNG", description="file format of dreams; WEBP is without loss")
    offline: bool = Field(False, description="never fetch weights")
    profile: Literal["exact", "fast"] = Field(
        "exact", description="exact: the same bytes again; fast: the same dream up to rounding"
    )
    responsibility: str = Field(
        "", description="why pictures whose licence does not permit it may be dreamed on, in your words; kept with each"
    )

    @field_validator("responsibility")
    @classmethod
    def _in_words(cls, value: str) -> str:
        return responsibility_words(value)


class BrowseSettings(_Section):
    """The gallery's address."""

    host: str = Field("127.0.0.1", description="address the gallery listens on")
    port: int = Field(8700, ge=0, le=65535, description="port the gallery listens on; 0: any free one")


class SigningSettings(_Section):
    """The keys that dreams are signed with (C2PA); those of `dreamcrawl keys init` need no setting."""

    key: str = Field("", description="private key (PEM) to sign dreams with; empty: that of `dreamcrawl keys init`")
    certificates: str = Field("", description="its certificate (PEM), then those that lead to its root")
    trust_anchors: str = Field("", description="certificates (PEM) to trust in verify; empty: one's own root")


class PrefectSettings(_Section):
    """Prefect's server."""

    api_url: str = Field("", description="a Prefect server to use; empty: start one for the command")
    startup_timeout_seconds: float = Field(240.0, gt=0, description="how long to wait for our own Prefect server")


class CredentialSettings(BaseModel):
    """Keys of APIs. Those of installed sources go by the names that these give them."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, SecretStr]

    openverse: SecretStr = Field(
        SecretStr(""), description="access token of Openverse; without one, few requests a day"
    )
    flickr: SecretStr = Field(SecretStr(""), description="key of the Flickr API, which answers nobody without")
    europeana: SecretStr = Field(SecretStr(""), description="key of the Europeana API, which answers nobody without")

    def by_name(self) -> dict[str, str]:
        """Name -> secret, of those that are set."""
        own = {name: getattr(self, name) for name in type(self).model_fields}
        every: dict[str, SecretStr] = {**own, **(self.__pydantic_extra__ or {})}
        return {name: secret.get_secret_value() for name, secret in every.items() if secret.get_secret_value()}


class SettingsModel(_Section):
    """Every setting, validated."""

    workspace: Path = Field(Path("dreamcrawl-data"), description="the folder that holds everything")
    contact: str = Field("", description="e-mail or address of the operator, sent to every site crawled")
    catalog_url: str = Field("", description="database address; empty: catalog.sqlite3 in the workspace")
    crawl: CrawlSettings = CrawlSettings()
    credentials: CredentialSettings = CredentialSettings()
    ingest: IngestSettings = IngestSettings()
    dream: DreamSettings = DreamSettings()
    browse: BrowseSettings = BrowseSettings()
    signing: SigningSettings = SigningSettings()
    prefect: PrefectSettings = PrefectSettings()


SET, NOT_SET = "set", "not set"
_CREDENTIALS = "credentials."
_LAST_CREDENTIAL = _CREDENTIALS + list(CredentialSettings.model_fields)[-1]


def _shown(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return SET if value.get_secret_value() else NOT_SET
    return str(value) if isinstance(value, Path) else value


@dataclass(frozen=True)
class SettingValue:
    """One setting as `dreamcrawl config` shows it.

    Attributes:
        name: Dotted, such as `crawl.limit`.
        value: JSON value; of a secret only whether it is `set`.
        origin: `default`, `file <path>`, `environment <NAME>` or `command line`.
        description: One line.
        environment: The variable that sets it.
    """

    name: str
    value: Any
    origin: str
    description: str
    environment: str


@dataclass(frozen=True)
class Settings:
    """The validated values, and where each came from."""

    values: SettingsModel
    origins: Mapping[str, str]
    file: Path | None

    def listing(self) -> list[SettingValue]:
        """Every setting with its value, origin and meaning, in a fixed order."""
        rows = []
        for name, field in _fields(SettingsModel):
            value: Any = self.values
            for part in name.split("."):
                value = getattr(value, part)
            rows.append(self._row(name, _shown(value), field.description or ""))
            if name == _LAST_CREDENTIAL:
                rows += [
                    self._row(f"{_CREDENTIALS}{other}", SET, "key of an installed source")
                    for other in sorted(self.values.credentials.by_name())
                    if other not in CredentialSettings.model_fields
                ]
        return rows

    def _row(self, name: str, value: Any, description: str) -> SettingValue:
        return SettingValue(name, value, self.origins.get(name, "default"), description, environment_name(name))


def environment_name(setting: str) -> str:
    """The environment variable of a dotted setting: `crawl.limit` -> `DREAMCRAWL_CRAWL_LIMIT`."""
    return ENVIRONMENT_PREFIX + setting.replace(".", "_").upper()


def load_settings(
    *, environment: Mapping[str, str], folder: Path, overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Settings from all four places, later ones over earlier ones.

    Args:
        environment: Usually `os.environ`. `DREAMCRAWL_CONFIG` names the TOML file.
        folder: Where `dreamcrawl.toml` is looked for, and what a relative workspace starts from.
        overrides: Dotted name -> value from the command line; None values are left out.

    Raises:
        SettingsInvalid: A file that cannot be read, an unknown name, or a value out of range.
    """
    layers: list[tuple[str, dict[str, Any]]] = []
    file = _settings_file(environment, folder)
    if file is not None:
        layers.append((f"file {file}", _from_file(file)))
    names = [name for name, _ in _fields(SettingsModel)]
    for name in (*names, *_other_credentials(environment, names)):
        variable = environment_name(name)
        if environment.get(variable, "") != "":
            layers.append((f"environment {variable}", {name: environment[variable]}))
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    layers.append(("command line", given))

    flat: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, values in layers:
        for name, value in values.items():
            if name not in names and not name.startswith(_CREDENTIALS):
                raise SettingsInvalid(f"unknown setting {name!r} ({origin}){_nearest(name, names)}")
            flat[name] = value
            origins[name] = origin
    try:
        model = SettingsModel.model_validate(_nested(flat))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        # A secret is in no message, nor in a traceback.
        is_secret = name.startswith(_CREDENTIALS)
        got = "" if is_secret else f", got {first['input']!r}"
        raise SettingsInvalid(f"setting {name} ({origins.get(name, 'default')}): {first['msg']}{got}") from (
            None if is_secret else error
        )
    base = file.parent if file is not None and origins.get("workspace", "").startswith("file ") else folder
    workspace = (base / expanded(model.workspace)).resolve()
    return Settings(model.model_copy(update={"workspace": workspace}), origins, file)


def _other_credentials(environment: Mapping[str, str], names: list[str]) -> list[str]:
    """Names of keys that the environment sets for installed sources."""
    prefix = environment_name(_CREDENTIALS)
    given = [_CREDENTIALS + name.removeprefix(prefix).lower() for name in environment if name.startswith(prefix)]
    return [name for name in given if name not in names and name != _CREDENTIALS]


def _settings_file(environment: Mapping[str, str], folder: Path) -> Path | None:
    if named := environment.get("DREAMCRAWL_CONFIG"):
        path = expanded(named)
        if not path.is_file():
            raise SettingsInvalid(f"DREAMCRAWL_CONFIG names {path}, which is not a file")
        return path.resolve()
    path = folder / DEFAULT_FILE
    return path.resolve() if path.is_file() else None


def _from_file(path: Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsInvalid(f"settings file {path}: {error}") from error
    return dict(_flattened(data))


def _flattened(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *sections, last = name.split(".")
        target = nested
        for section in sections:
            target = target.setdefault(section, {})
        target[last] = value
    return nested


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _fields(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def _nearest(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=3)
    return f"; did you mean {', '.join(near)}?" if near else f"; known: {', '.join(names)}"

"""Examines strangers' pictures in worker processes: a picture that brings its decoder down is one rejected picture."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pipeline.decoding.pool import CallOverrun, WorkerPool
from pipeline.duplicates.signatures import MAX_VIEWS_BYTES, Signature, views_of
from pipeline.errors import ImageRejected, Reason
from pipeline.images import DEFAULT_LIMITS, ImageLimits
from pipeline.ingest.validation import Examined

TASK = "pipeline.ingest.examining_task:run"
MAX_WORKERS = 2
"""More would wait for the one thread that writes."""


@dataclass(frozen=True)
class DecodeLimits:
    """What decoding one picture may take.

    Attributes:
        seconds: By the clock on the wall.
        memory_mb: MiB, beyond what an idle worker has; where the system can limit it (Linux, FreeBSD).
    """

    seconds: float = 30.0
    memory_mb: int = 2048


class Pending:
    """A picture that is being examined."""

    def __init__(self, future: Future[dict[str, Any]]) -> None:
        self._future = future

    def result(self) -> Examined:
        """What it is; waits for that.

        Raises:
            ImageRejected: It is not a picture that can be kept, or decoding it took too much.
            WorkersUnusable: No worker process can be started.
        """
        try:
            answer = self._future.result()
        except CallOverrun as error:
            if error.is_passing:
                # With more memory, or less beside it, the same picture may be kept another day.
                raise ImageRejected(Reason.UNREADABLE, f"{error} to decode it; lower max_pixels") from error
            raise ImageRejected(Reason.DECODE_LIMIT, f"decoding was ended: {error}") from error
        try:
            if "rejected" in answer:
                rejection = _Rejection.model_validate(answer)
                raise ImageRejected(rejection.rejected, rejection.detail)
            return _AnswerOfWorker.model_validate(answer).examined()
        except ValidationError as error:
            # Whoever takes over a decoder must not take over the catalog.
            raise ImageRejected(Reason.DECODE_LIMIT, "the decoder answered what it was not asked") from error


class Examiner:
    """Examines pictures, several at once. The first ones start the processes; leaving the `with` block ends them."""

    def __init__(
        self, limits: ImageLimits = DEFAULT_LIMITS, decode: DecodeLimits | None = None, *, task: str = TASK
    ) -> None:
        """Start nothing yet.

        Args:
            limits: What a picture may be.
            decode: What decoding it may take.
            task: What the workers run.
        """
        decode = decode or DecodeLimits()
        self._options = asdict(limits)
        workers = min(MAX_WORKERS, os.cpu_count() or 1)
        self._pool = WorkerPool(task, seconds=decode.seconds, memory_mb=decode.memory_mb, workers=workers)

    def begin(self, data: bytes) -> Pending:
        """Examine these bytes in the background."""
        return Pending(self._pool.submit(self._options, data))

    def close(self) -> None:
        """End the processes."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Rejection(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rejected: Reason
    detail: str = Field(max_length=1000)


class _SignatureOfWorker(BaseModel):
    model_config = ConfigDict(extra="forbid")

    bits: str | None = Field(pattern=r"^[0-9a-f]{64}$")
    inner_bits: str | None = Field(pattern=r"^[0-9a-f]{64}$")
    views: str = Field(pattern=r"^([0-9a-f]{2})+$", max_length=4 * MAX_VIEWS_BYTES)

    @field_validator("views")
    @classmethod
    def _are_views(cls, value: str) -> str:
        views_of(bytes.fromhex(value))
        return value

    def signature(self) -> Signature:
        """The same, as the value that it stands for."""
        bits, inner = (None if one is None else bytes.fromhex(one) for one in (self.bits, self.inner_bits))
        return Signature(bits, inner, bytes.fromhex(self.views))


class _AnswerOfWorker(BaseModel):
    model_config = ConfigDict(extra="forbid")

    pixel_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    width: int = Field(ge=1, le=2**31)
    height: int = Field(ge=1, le=2**31)
    format: str = Field(max_length=16)
    media_type: str = Field(max_length=64)
    frames: int = Field(ge=1, le=2**31)
    signature: _SignatureOfWorker
    embedded: Mapping[str, str] = Field(max_length=16)

    def examined(self) -> Examined:
        """The same, as the value that it stands for."""
        return Examined(**{**self.model_dump(), "signature": self.signature.signature()})

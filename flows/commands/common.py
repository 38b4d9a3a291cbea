"""What every command shares: options, output, and how an error reaches the user."""

from __future__ import annotations

import errno
import functools
import json
import os
import shlex
import sys
from collections.abc import Callable, Collection, Sequence
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import typer

from flows.wiring import Environment, load_environment
from pipeline.own_paths import expanded

if TYPE_CHECKING:
    from rich.console import Console

P = ParamSpec("P")
R = TypeVar("R")

WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace", "-w", help="Folder that holds everything. Default: dreamcrawl-data here.", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


_ENDLESS = 100_000  # columns
_LEAST_WIDTH = 60
_MOST_WHOLE = 32  # columns that the first one may take of a narrow terminal
_DISK_TROUBLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


class ExitCode(IntEnum):
    """What a command's exit code means."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    PARTIAL = 3
    INTERRUPTED = 130  # as shells say for Ctrl-C


class ShownError(Exception):
    """An error of this package whose text is fit for a user, with the exit code that it calls for."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.code = code


def named_folder(text: str) -> Path:
    """The folder that an option names; nothing names none, and not the current one, as `Path` has it.

    Raises:
        BadParameter: Nothing is named.
    """
    if not text.strip():
        raise typer.BadParameter("it names no folder; the current one is `.`")
    return Path(text)


def environment_for(workspace: Path | None, **overrides: Any) -> Environment:
    """The settings with this command's options over them; `a__b` names the setting `a.b`."""
    given = {name.replace("__", "."): value for name, value in overrides.items()}
    given["workspace"] = str(expanded(workspace).resolve()) if workspace is not None else None
    return load_environment(given)


def existing_environment(workspace: Path | None, **overrides: Any) -> Environment:
    """The same, for commands that only read: there must be a catalog.

    Raises:
        ShownError: There is none yet.
    """
    environment = environment_for(workspace, **overrides)
    if not environment.values.catalog_url and not environment.workspace.exists():
        raise ShownError(
            f"no catalog in {environment.workspace.root} yet; `dreamcrawl demo` or `dreamcrawl run` makes one, "
            "or choose another folder with --workspace",
            ExitCode.USAGE,
        )
    return environment


def where(environment: Environment) -> str:
    """What a further command needs to find the workspace, if this one was told it on the command line."""
    told = environment.settings.origins.get("workspace") == "command line"
    return f" --workspace {shlex.quote(str(environment.workspace.root))}" if told else ""


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    is_utf8 = (sys.stdout.encoding or "utf-8").lower() == "utf-8"
    text = json.dumps(value, indent=2, ensure_ascii=not is_utf8, default=str)
    # Names of files that are no text have surrogates in them, which JSON can only escape.
    print(text.encode("utf-8", "backslashreplace").decode())  # noqa: T201 - this is the output


def output() -> Console:
    """The console for results, on stdout; does not wrap long values when they go to a file or pipe."""
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # `shows_errors` ends the command; Rich would with exit code 1

    console = Output(width=None if sys.stdout.isatty() else _ENDLESS, highlight=False)
    # Narrower still, a table of columns is columns of letters; the terminal may break the lines.
    console.width = max(console.width, _LEAST_WIDTH)
    return console


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    title: str | None = None,
    where_filled: Collection[str] = (),
) -> None:
    """A plain table on stdout; fetched text is shown as it is, never read as markup.

    where_filled: Columns that take room only where some row has something in them.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title, title_justify="left", box=None, pad_edge=False, header_style="bold", show_header=any(columns)
    )
    cells = [["" if cell is None else printable(str(cell)) for cell in row] for row in rows]
    shown = [
        number
        for number, column in enumerate(columns)
        if column not in where_filled or any(row[number] for row in cells)
    ]
    columns, cells = [columns[number] for number in shown], [[row[number] for number in shown] for row in cells]
    # What a row is called can be copied only whole; the other columns give way.
    whole = max((len(row[0]) for row in cells), default=0) <= _MOST_WHOLE
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=whole and number == 0)
    for row in cells:
        table.add_row(*map(Text, row))
    output().print(table)


def printable(text: str) -> str:
    """Text without control characters, which could otherwise drive the terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


def shows_errors(command: Callable[P, R]) -> Callable[P, R]:
    """A foreseeable error becomes one line on stderr and an exit code, never a traceback."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt:
            fail("interrupted; nothing is lost: run the same command again to go on", ExitCode.INTERRUPTED)
        except BrokenPipeError:
            # The reader of our output has gone, as `| head` does; there is nobody to tell.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(ExitCode.DONE) from None
        except ShownError as error:
            fail(str(error), error.code)
        except OSError as error:
            if error.errno not in _DISK_TROUBLE:
                raise
            # Stages name the file; what comes here is our output, or a file of Prefect's.
            fail(f"a file or the output cannot be written: {error}; make room or choose another place", ExitCode.FAILED)
        except Exception as error:
            code = _exit_code(error)
            if code is None or os.environ.get("DREAMCRAWL_TRACEBACK"):
                raise
            fail(_words(error), code)
        raise AssertionError("fail() raises")

    return wrapper


def fail(message: str, code: ExitCode) -> None:
    """End the command with one line on stderr."""
    tell_error(message, style="red" if code is not ExitCode.INTERRUPTED else "yellow")
    raise typer.Exit(code)


def tell_error(message: str, *, style: str = "red") -> None:
    """One line on stderr."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"dreamcrawl: {printable(message)}", style=style, markup=False)


def _words(error: Exception) -> str:
    return f"not text in UTF-8: {error.object!r}" if isinstance(error, UnicodeEncodeError) else str(error)


def _exit_code(error: Exception) -> ExitCode | None:
    """The exit code of a foreseeable error; None for a fault of ours, which should show its traceback."""
    if isinstance(error, UnicodeEncodeError):  # of an argument, or a file's name, with bytes that are no text
        return ExitCode.USAGE
    # The error trees are looked up by name so that no stage is imported only to learn that it did not fail.
    bases = {(base.__module__.split(".")[0], base.__name__) for base in type(error).__mro__}
    usage = {("pipeline", "UsageError"), ("pipeline", "SettingsInvalid"), ("pipeline", "NotFound")}
    usage |= {("crawler", name) for name in ("UnknownSource", "SourceError", "KeywordInvalid", "ContactMissing")}
    usage |= {("dream", "RecipeError")}
    if bases & usage:
        return ExitCode.USAGE
    if bases & {("pipeline", "PipelineError"), ("crawler", "CrawlError"), ("dream", "DreamError")}:
        return ExitCode.FAILED
    return None

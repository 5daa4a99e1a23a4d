"""The command `dovetail`: one function a command, whose signature is the option list."""

import ast
import importlib
import json
import sys
import typing
from collections.abc import Callable, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser
from rich.console import Console

from dovetail.catalogue import CatalogueError
from dovetail.data.loading import LoadingError
from dovetail.data.records import DataError
from dovetail.models.files import CheckpointError
from dovetail.training.watch import TrainingStopped

COMMANDS = (
    "demo",
    "train",
    "evaluate",
    "embed",
    "curate",
    "convert",
    "push",
    "export",
    "compare",
    "verify",
    "methods",
    "show",
    "docs",
)
POSITIONAL = ("run", "name", "curator", "methods", "objectives")  # parameters that are given without their names


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command. A user's mistake ends it with a message and status 2 instead of a traceback."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    chosen = next((a for a in given if a in COMMANDS), None)
    parser = _parser(chosen)
    options = parser.parse_args(_arguments(given, chosen) if chosen else given or ["--help"])
    try:
        made = parser.instantiate(options)[chosen]
        _function(str(chosen))(**{k: v for k, v in vars(made).items() if k != "config"})
    except (CatalogueError, CheckpointError, DataError, LoadingError, TrainingStopped) as error:
        Console(stderr=True).print("[bold red]error:[/]", end=" ")
        Console(stderr=True).print(str(error), markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        Console(stderr=True).print("stopped")
        raise SystemExit(130) from None


def _arguments(given: Sequence[str], chosen: str) -> list[str]:
    place = list(given).index(chosen)
    return [*given[: place + 1], *spelled_out(given[place + 1 :], _function(chosen))]


def spelled_out(arguments: Sequence[str], function: Callable[..., Any]) -> list[str]:
    """`--data a b` as `--data=["a", "b"]` for options that take several values, and `--resume` as `--resume=true`.

    What is given without a name comes first. `--micro-batch` is `--micro_batch`: no option's name has a dash.
    """
    hints = typing.get_type_hints(function)
    out: list[str] = []
    rest = list(arguments)
    placed: list[str] = []
    while rest:
        if not rest[0].startswith("-"):
            placed.append(rest.pop(0))
            continue
        name, equals, value = rest.pop(0).partition("=")
        name = "--" + name[2:].replace("-", "_") if name.startswith("--") else name
        hint = hints.get(name.removeprefix("--")) if name.startswith("--") else None
        if equals or not (hint is bool or _is_list(hint)):
            out.append(name + equals + (json.dumps([value]) if _is_list(hint) and value[:1] != "[" else value))
            if not equals and rest and not rest[0].startswith("--"):
                out.append(rest.pop(0))  # its value
            continue
        values = []
        while rest and not rest[0].startswith("--") and (hint is not bool or rest[0] in ("true", "false")):
            values.append(rest.pop(0))
        if hint is bool:
            out.append(f"{name}={values[0] if values else 'true'}")
        else:
            out.append(f"{name}={values[0] if len(values) == 1 and values[0][:1] == '[' else json.dumps(values)}")
    return [*placed, *out]


def _is_list(hint: Any) -> bool:
    return any(typing.get_origin(kind) is list for kind in (hint, *typing.get_args(hint)))


def _function(name: str) -> Callable[..., Any]:
    """The function of a command. Imported only when needed: `dovetail methods` should not wait for the trainer."""
    found: Callable[..., Any] = getattr(importlib.import_module(f"dovetail.cli.{name}"), name)
    return found


def _parser(chosen: str | None) -> ArgumentParser:
    """The parser with all commands; only the chosen one knows its options."""
    parser = ArgumentParser(prog="dovetail", description="Aligns images and language.")
    commands = parser.add_subcommands(required=True, dest="command")
    for name in COMMANDS:
        sub = ArgumentParser()
        if name == chosen:
            _options(sub, _function(name))
        commands.add_subcommand(name, sub, help=_summary(name))
    return parser


def _options(parser: ArgumentParser, function: Callable[..., Any]) -> None:
    parser.add_argument("--config", action="config", help="a YAML file with options, such as a run's config.yaml")
    placed: set[str | int] = {p for p in signature(function).parameters if p in POSITIONAL}
    hints = typing.get_type_hints(function)
    for name in placed:
        several: dict[str, Any] = {"nargs": "*", "default": []} if _is_list(hints[str(name)]) else {}
        parser.add_argument(str(name), type=str, **several)
    parser.add_function_arguments(function, skip=placed, as_group=False)


def _summary(name: str) -> str:
    """A command's first docstring line, read without importing what it needs."""
    source = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


if __name__ == "__main__":
    main()

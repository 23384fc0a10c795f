"""What every ``python -m core.<tool>`` shares: flags made from config fields, JSON output, exit status.

Exit status: 0 done, 2 bad arguments, 3 bad input (the message says what, where and the remedy), 130 stopped.
With ``--json`` standard output holds one JSON object and nothing else; progress goes to standard error.
``--profile`` chooses the profile of one command, as ``SHOWREEL_PROFILE`` chooses that of all.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from core.errors import CancelledError, CoreError, ParameterError
from core.runtime import PROFILE_VARIABLE, Profile, Progress, using_profile

BAD_ARGUMENTS, BAD_INPUT, STOPPED = 2, 3, 130
RANK_VARIABLE = "RANK"
"""Set by those who start several processes of one command: the number of this one."""
Config = TypeVar("Config")
Answer = dict[str, Any]
Handler = Callable[[argparse.Namespace], Answer]


def add_flags(parser: argparse.ArgumentParser, config: type) -> None:
    """Add one ``--flag`` per field of a config dataclass whose metadata has a ``help`` text."""
    hints = get_type_hints(config)
    for field in dataclasses.fields(config):
        if "help" not in field.metadata:
            continue
        flag = "--" + field.name.replace("_", "-")
        text = f"{field.metadata['help']} (default: {field.default})"
        if hints[field.name] is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=field.default, help=text)
        else:
            choices = field.metadata.get("choices")
            kind = hints[field.name] if hints[field.name] in (int, float, str, Path) else str
            parser.add_argument(flag, type=kind, default=field.default, choices=choices, help=text)


def from_flags(arguments: argparse.Namespace, config: type[Config]) -> Config:
    """Build the config from the flags that `add_flags` made.

    Raises:
        ParameterError: a value is out of its range.
    """
    fields = {field.name for field in dataclasses.fields(config)}  # type: ignore[arg-type]
    return config(**{name: value for name, value in vars(arguments).items() if name in fields})


def progress_line() -> Progress:
    """A progress callback for people: one line on standard error, rewritten in place on a terminal.

    Where standard error is not a terminal, each thing that is worked on is named once.
    """
    last = ""

    def report(done: int, total: int, what: str) -> None:
        nonlocal last
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{100 * done // max(total, 1):3d} % {what}" + ("\n" if done >= total else ""))
        elif what != last:
            sys.stderr.write(f"{what}\n")
        sys.stderr.flush()
        last = what

    return report


def add_profile(parser: argparse.ArgumentParser) -> None:
    """Add ``--profile``, for `core.runtime.using_profile`."""
    text = f"networks that lie here, or large ones of the Hub too (default: {PROFILE_VARIABLE}, else embedded)"
    parser.add_argument("--profile", choices=get_args(Profile), help=text)


def _nothing() -> str:
    return ""


def run(parser: argparse.ArgumentParser, argv: list[str] | None = None, before: Callable[[], str] = _nothing) -> int:
    """Parse, call the chosen command's ``handler(arguments)``, print its answer, and return the exit status.

    With ``--json`` the answer is printed as one JSON object, otherwise the text that ``show(answer)`` makes of it.
    Where the answer has ``errors``, each with its sentence as ``error``, some of the input was bad and the rest done.
    The profile that was asked for holds while it runs. Of several processes of one command, such as `accelerate launch`
    starts, the first one tells the answer.

    Args:
        parser: made with `command`.
        argv: this process's own when None.
        before: what it tells is written to standard error before the command begins.
    """
    arguments = parser.parse_args(argv)
    handler: Handler = arguments.handler
    show: Callable[[Answer], str] = arguments.show
    try:
        with using_profile(arguments.profile):
            if told := before():
                sys.stderr.write(f"{told}\n")
            answer = handler(arguments)
    except ParameterError as error:
        return _fail(error, BAD_ARGUMENTS)
    except (CancelledError, KeyboardInterrupt) as error:
        return _fail(error if isinstance(error, CancelledError) else "Stopped.", STOPPED)
    except CoreError as error:
        return _fail(error, BAD_INPUT)
    if os.environ.get(RANK_VARIABLE, "0") == "0":
        print(json.dumps(answer, default=_plain, ensure_ascii=False) if arguments.json else show(answer))
    for failure in answer.get("errors", ()):
        _fail(failure["error"], BAD_INPUT)
    return BAD_INPUT if answer.get("errors") else 0


def command(
    commands: Any, name: str, handler: Handler, show: Callable[[Answer], str], summary: str
) -> argparse.ArgumentParser:
    """Add one subcommand with its ``--json`` and ``--profile`` flags."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=summary)
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    add_profile(parser)
    parser.set_defaults(handler=handler, show=show)
    return parser


def origin(tool: str) -> dict[str, str]:
    """The command of this process and the git revision it runs, for the metadata of weights."""
    program = Path(sys.argv[0])
    name = f"-m core.{tool}" if program.name == "__main__.py" else program.name
    told = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return {"command": " ".join(["python", name, *sys.argv[1:]]), "revision": told.stdout.strip() or "unknown"}


def _fail(error: object, status: int) -> int:
    print(f"error: {error}", file=sys.stderr)
    return status


def _plain(value: object) -> Any:
    """What json cannot write by itself: paths, times, dataclasses, fractions and numpy numbers."""
    if isinstance(value, Path | datetime):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    return float(value)  # type: ignore[arg-type]

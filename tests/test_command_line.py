"""Exit status, JSON and flags, as every tool's command line has them."""

import argparse
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.command_line import RANK_VARIABLE, Answer, add_flags, command, from_flags, run
from core.errors import CancelledError, CoreError, MediaOpenError, ParameterError, StoreError, WeightsError
from core.runtime import PROFILE_VARIABLE, current_profile


@dataclass(frozen=True)
class Settings:
    rate: float = field(default=2.0, metadata={"help": "frames a second"})
    loud: bool = field(default=False, metadata={"help": "say more"})
    mode: str = field(default="plain", metadata={"help": "how", "choices": ("plain", "fine")})
    inner: int = 7

    def __post_init__(self) -> None:
        if self.rate <= 0:
            raise ParameterError(f"rate is {self.rate}; choose one above 0.")


def parser_of(outcome: Answer | BaseException) -> argparse.ArgumentParser:
    def handle(arguments: argparse.Namespace) -> Answer:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome | {"settings": from_flags(arguments, Settings)}

    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    add_flags(command(commands, "go", handle, lambda answer: f"went {len(answer['results'])}", "go"), Settings)
    return parser


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (ParameterError("top is 0; choose 1 or more."), 2),
        (MediaOpenError("a.mp4 is empty; export it again."), 3),
        (WeightsError("w"), 3),
        (StoreError("s"), 3),
        (CancelledError("stopped"), 130),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_kind_of_failure_has_its_status_and_says_its_sentence_on_standard_error_only(
    outcome: BaseException, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(parser_of(outcome), ["go", "--json"]) == status
    out, err = capsys.readouterr()
    assert out == "" and str(outcome) in err


def test_with_json_standard_output_is_one_object_with_paths_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(parser_of({"results": [Path("a/b.mp4")]}), ["go", "--json", "--rate", "3", "--loud"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["results"] == ["a/b.mp4"]
    assert answer["settings"] == {"rate": 3.0, "loud": True, "mode": "plain", "inner": 7}


def test_without_json_people_get_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(parser_of({"results": [1, 2]}), ["go"]) == 0
    assert capsys.readouterr().out == "went 2\n"


def test_of_several_processes_the_first_one_tells_the_answer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for rank, told in (("0", "went 2\n"), ("1", "")):
        monkeypatch.setenv(RANK_VARIABLE, rank)
        assert run(parser_of({"results": [1, 2]}), ["go"]) == 0
        assert capsys.readouterr().out == told


def test_bad_files_among_good_ones_are_named_and_change_the_status(capsys: pytest.CaptureFixture[str]) -> None:
    errors = [{"path": "b.mp4", "error": "b.mp4 is empty; export it again."}]
    assert run(parser_of({"results": [1], "errors": errors}), ["go"]) == 3
    out, err = capsys.readouterr()
    assert out == "went 1\n" and err == "error: b.mp4 is empty; export it again.\n"


def test_a_value_out_of_range_is_a_bad_argument(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(parser_of({"results": []}), ["go", "--rate", "-1"]) == 2
    assert "choose one above 0" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["go", "--mode", "odd"], ["go", "--inner", "3"], ["fly"], []])
def test_unknown_words_and_choices_are_bad_arguments(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(parser_of({"results": []}), argv)
    assert stopped.value.code == 2


def test_the_exception_tree_in_the_docstring_is_the_one_in_the_code() -> None:
    import core.errors as errors

    drawn = {line.strip(" │├└─").split()[0] for line in (errors.__doc__ or "").splitlines() if "Error" in line[:50]}
    classes = {n for n, c in vars(errors).items() if isinstance(c, type) and issubclass(c, CoreError)}
    assert classes <= drawn


def test_the_profile_flag_holds_for_the_command_and_not_for_what_comes_after(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(PROFILE_VARIABLE, "embedded")
    parser = argparse.ArgumentParser()
    command(
        parser.add_subparsers(),
        "go",
        lambda arguments: {"profile": current_profile()},
        lambda answer: answer["profile"],
        "go",
    )
    for argv, profile in ((["go", "--profile", "hub"], "hub"), (["go"], "embedded")):
        assert run(parser, argv, before=lambda: f"before {current_profile()}") == 0
        out, err = capsys.readouterr()
        assert (out, err) == (f"{profile}\n", f"before {profile}\n")
    assert current_profile() == "embedded"
    monkeypatch.delenv(PROFILE_VARIABLE)
    assert run(parser, ["go", "--profile", "hub"]) == 0
    assert PROFILE_VARIABLE not in os.environ


def test_a_plan_that_fails_is_bad_input_and_the_command_does_not_begin(capsys: pytest.CaptureFixture[str]) -> None:
    def before() -> str:
        raise WeightsError("weights/a is damaged; fetch it again.")

    assert run(parser_of({"results": []}), ["go"], before=before) == 3
    out, err = capsys.readouterr()
    assert out == "" and "damaged" in err


def test_a_profile_that_there_is_not_is_a_bad_argument() -> None:
    with pytest.raises(SystemExit) as caught:
        run(parser_of({"results": []}), ["go", "--profile", "cloud"])
    assert caught.value.code == 2

"""A handler that is a job: it goes past the desk at its beginning and at its end."""

import contextvars
import functools
import inspect
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import gradio as gr

from apps.desk import Desk, Handler, Task
from core.runtime import AT_REQUEST


def past(desk: Desk, name: str, handler: Handler) -> Handler:
    """A handler that begins and ends at the desk, and looks to gradio like the one that it is made of.

    One that answers many times goes on to its end, too, when whoever asked has gone.
    """
    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def answers(*arguments: Any) -> Iterator[Any]:
            with Visit(desk, desk.begin(name, plain_of(arguments))) as visit:
                visit.left = handler(*arguments)
                yield from visit

        return answers

    @functools.wraps(handler)
    def answered(*arguments: Any) -> Any:
        with Visit(desk, desk.begin(name, plain_of(arguments))) as visit:
            visit.answer = handler(*arguments)
        return visit.answer

    return answered


class Visit:
    """A job at the desk, from its beginning to whichever end.

    Attributes:
        answer: the last one so far.
        left: of a handler that answers many times, the answers that are still to come.
    """

    def __init__(self, desk: Desk, task: Task) -> None:
        self._desk, self._task = desk, task
        self.answer: Any = None
        self.left: Iterator[Any] = iter(())

    def __enter__(self) -> "Visit":
        return self

    def __iter__(self) -> Iterator[Any]:
        for answer in self.left:
            self.answer = answer
            yield answer

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Tell the desk how it ended.

        Raises:
            gr.Error: it ended by a fault of the app, which is not shown as it stands.
        """
        if kind is GeneratorExit:
            threading.Thread(target=contextvars.copy_context().run, args=(self._go_on_alone,), daemon=True).start()
        elif error is not None:
            told = self._desk.fail(self._task, error)
            if not isinstance(error, gr.Error):
                raise gr.Error(told, duration=None, print_exception=False) from error
        else:
            self._desk.finish(self._task, self.answer)
            if self._task.job.error and self._task.token.why != AT_REQUEST:
                gr.Warning(self._task.job.error)

    def _go_on_alone(self) -> None:
        """Whoever asked has gone, and gradio with them; what is left is done all the same."""
        with suppress(gr.Error), self:
            deque(self, maxlen=0)


def plain_of(arguments: tuple[Any, ...]) -> list[Any]:
    """What a handler was called with, without what gradio itself filled in."""
    return [value for value in arguments if not isinstance(value, gr.Request | gr.Progress | gr.EventData)]


def called_again(handler: Handler, arguments: list[Any], request: gr.Request, bar: gr.Progress) -> Any:
    """The last answer of a handler that is called with the arguments of an earlier call."""
    left = iter(arguments)
    given = [
        request if parameter.annotation is gr.Request else bar if isinstance(parameter.default, gr.Progress) else
        next(left) for parameter in inspect.signature(handler).parameters.values()
    ]  # fmt: skip
    answer = handler(*given)
    if inspect.isgenerator(answer):
        for answer in answer:  # noqa: B007, B020  # the last one is the answer
            pass
    return answer

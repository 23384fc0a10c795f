"""The log: lines for people, or one JSON object a line for programs, on standard error."""

import json
import logging
from datetime import UTC, datetime

LOGGER = logging.getLogger("showreel")
FACTS = ("job", "tool", "endpoint", "state", "seconds", "waited_s")
"""What a record may say beside its message; given as ``extra``."""
_OTHERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "huggingface_hub")
"""Loggers that bring a form of their own."""


class JsonLines(logging.Formatter):
    """One object a line: time, level, logger, message, and those of `FACTS` that the record has."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON; a traceback is one string in it."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        told |= {name: getattr(record, name) for name in FACTS if hasattr(record, name)}
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False, default=str)


class PlainLines(logging.Formatter):
    """The same for people, the facts behind the message."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        facts = " ".join(f"{name}={getattr(record, name)}" for name in FACTS if hasattr(record, name))
        record.message = f"{record.getMessage()} {facts}".rstrip()
        line = f"{self.formatTime(record)} {record.levelname.lower()} {record.message}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def start_logging(as_json: bool) -> None:
    """Send the log of the whole process to standard error, and nothing in another form."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if as_json else PlainLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    LOGGER.setLevel(logging.INFO)
    for name in _OTHERS:
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True

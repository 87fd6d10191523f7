"""One format for all log lines, ours and those of libraries, on stderr.

Code that logs a phone number masks it (`mask_phone`, `mask_wamid`). Every text of a line is masked here as well, for
the text of an error may quote a row. Only ids and offsets stay as they are. Message bodies are never logged.
"""

from __future__ import annotations

import logging
import logging.config
import re
import sys
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

from runtime.log_repeats import RepeatFilter
from runtime.settings import Settings

_WAMID = re.compile(r"wamid\.[A-Za-z0-9+/=_-]+")
# The digits are not part of a time, of an address with a port, or of a uuid. A colon may come before or after.
_IN_ADDRESS = re.compile(r"(://[^\s:/@]*:)[^\s@/]+(?=@)")
_NAMED_SECRET = re.compile(
    r"\b((?:password|passwd|access_token)['\"]?\s*[=:]\s*)('[^']*'|\"[^\"]*\"|[^\s,;&]+)", re.IGNORECASE
)
_BEARER = re.compile(r"\b(Bearer\s+)[\w.~+/=|-]{8,}", re.IGNORECASE)
_PHONE = re.compile(r"(?<![\w.-])(?<!\d:)\+?[1-9]\d{9,14}(?![\w-]|:\d)")

_EXACT = frozenset({"key", "place", "origin", "first_origin", "partitions", "offsets", "timestamp"})
"""Fields of numbers that are nobody's phone number: offsets, times, and the keys of breakers, which are masked before.
The same holds for every field that ends with `_id`."""

_CLAUSE_END, _NOT_IN_ACTION = re.compile(r"[;:,(.]"), re.compile(r"[^a-z0-9]+")
LIBRARY = "library_line"
"""The action of lines that a library has written."""
_CHATTY = ("aiokafka", "faust", "mode")
_QUIET = ("asyncio", "httpx", "httpcore", "aiohttp", "_granian", "granian", "python_multipart")


def mask_phone(phone: str) -> str:
    """Mask a phone number. The last two digits let a reader recognise a known number."""
    digits = phone.lstrip("+")
    return "*" * max(len(digits) - 2, 0) + digits[-2:] if len(digits) > 4 else "*" * len(digits)


def mask_wamid(wamid: str) -> str:
    """Mask a wamid: its beginning holds the phone number in base64, its random end identifies it."""
    return f"wamid…{wamid[-8:]}" if len(wamid) > 32 else "wamid…"


def mask_text(text: str) -> str:
    """Mask phone numbers, wamids and passwords in a foreign text, such as an error or a traceback."""
    for secret in (_IN_ADDRESS, _NAMED_SECRET, _BEARER):
        text = secret.sub(r"\1…", text)
    text = _WAMID.sub(lambda found: mask_wamid(found.group()), text)
    return _PHONE.sub(lambda found: mask_phone(found.group()), text)


def configure(settings: Settings, process: str = "") -> None:
    """Set up logging for this process; `process` is bound to every line."""
    level = settings.log_level.upper()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _with_process(process),
        _masked,
    ]
    is_json = settings.log_format == "json"
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if is_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _of_library] if is_json else shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            *([_with_action] if is_json else []),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    quiet_libraries()


def quiet_libraries() -> None:
    """Limit libraries to warnings, and repeated lines to one a minute. Call it after they have started."""
    for name in (*_QUIET, *_CHATTY):
        library = logging.getLogger(name)
        library.setLevel(logging.WARNING)
        library.handlers.clear()
        library.propagate = True
    for handler in logging.getLogger().handlers:
        if not any(isinstance(known, RepeatFilter) for known in handler.filters):
            handler.addFilter(RepeatFilter())


def _with_process(process: str) -> Any:
    def bind(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if process:
            event["process"] = process
        return event

    return bind


def action_of(event: str) -> str:
    """The first clause of an event as one word, such as `batch_failed`: lines are counted and selected by it."""
    return _NOT_IN_ACTION.sub("_", _CLAUSE_END.split(event, maxsplit=1)[0].lower()).strip("_")


def _with_action(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["action"] = action_of(str(event.get("event", "")))
    return event


def _of_library(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["action"] = LIBRARY
    return event


def _masked(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        event[name] = _masked_value(value, _mask_wamids if name in _EXACT or name.endswith("_id") else mask_text)
    return event


def _masked_value(value: Any, mask: Callable[[str], str]) -> Any:
    """The value with every text in it masked, also in lists and under names."""
    match value:
        case str():
            return mask(value)
        case dict():
            return {name: _masked_value(each, mask) for name, each in value.items()}
        case list() | tuple():
            return [_masked_value(each, mask) for each in value]
        case _:
            return value


def _mask_wamids(text: str) -> str:
    return _WAMID.sub("wamid…", text)

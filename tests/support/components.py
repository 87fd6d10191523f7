"""Builds component objects as a caller of the API writes them."""

from __future__ import annotations


def text(value: object, **more: object) -> dict[str, object]:
    return {"type": "text", "text": value, **more}


def body(*parameters: object) -> dict[str, object]:
    return {"type": "body", "parameters": list(parameters)}


def button(**changed: object) -> dict[str, object]:
    known: dict[str, object] = {"type": "button", "sub_type": "url", "index": "0", "parameters": [text("suffix")]}
    return known | changed


def action(value: object) -> dict[str, object]:
    return button(sub_type="flow", parameters=[{"type": "action", "action": value}])


def nested(levels: int) -> object:
    """An object of so many levels, with a number in the innermost."""
    value: object = 1
    for level in range(levels):
        value = {"n": value} if level % 2 else [value]
    return {"n": value}


def header(kind: str, value: object) -> dict[str, object]:
    return {"type": "header", "parameters": [{"type": kind, kind: value}]}

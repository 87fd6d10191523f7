"""Message templates as Meta describes them: one of each kind, and generated ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from domain.templates import MessageTemplate, read_template


def row(*components: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """A row of Meta's list of templates."""
    return {
        "id": "1280000000000001", "name": "spring_offer", "language": "en_US", "status": "APPROVED",
        "category": "MARKETING", "quality_score": {"score": "GREEN", "date": 1}, "parameter_format": "POSITIONAL",
        "components": list(components), **changed,
    }  # fmt: skip


def template(*components: dict[str, Any], **changed: Any) -> MessageTemplate:
    """The template of such a row."""
    found = read_template(row(*components, **changed))
    assert found is not None
    return found


def body(text: str) -> dict[str, Any]:
    return {"type": "BODY", "text": text}


def header(kind: str = "TEXT", text: str | None = None) -> dict[str, Any]:
    return {"type": "HEADER", "format": kind} | ({} if text is None else {"text": text})


def buttons(*each: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "BUTTONS", "buttons": list(each)}


URL_BUTTON = {"type": "URL", "text": "Shop", "url": "https://example.com/{{1}}"}
FIXED_URL_BUTTON = {"type": "URL", "text": "Home", "url": "https://example.com"}
REPLY_BUTTON = {"type": "QUICK_REPLY", "text": "Stop"}
CODE_BUTTON = {"type": "COPY_CODE", "text": "Copy", "example": "SAVE20"}
FLOW_BUTTON = {"type": "FLOW", "text": "Survey", "flow_id": "1"}
BODIES = ("Hello", "Hello {{1}}", "{{1}} and {{2}}, {{1}}!", "{{2}} before {{1}}")
NAMED_BODIES = ("Hello", "Hello {{first_name}}", "{{first_name}} and {{b}}")


def _texts(named: bool) -> st.SearchStrategy[str]:
    return st.sampled_from(NAMED_BODIES if named else BODIES)


@st.composite
def generated_rows(draw: st.DrawFn) -> dict[str, Any]:
    """A row with some components, also a carousel."""
    named = draw(st.booleans())
    components: list[dict[str, Any]] = [body(draw(_texts(named)))]
    kind = draw(st.sampled_from([None, "TEXT", "IMAGE", "DOCUMENT", "LOCATION"]))
    if kind is not None:
        title = ("{{first_name}}" if named else "{{1}}") if draw(st.booleans()) else "Sale"
        components.append(header(kind, title if kind == "TEXT" else None))
    chosen: Sequence[dict[str, Any]] = draw(
        st.lists(st.sampled_from([URL_BUTTON, FIXED_URL_BUTTON, REPLY_BUTTON, CODE_BUTTON, FLOW_BUTTON]), max_size=3)
    )
    if chosen:
        components.append(buttons(*chosen))
    if draw(st.booleans()):
        components.append({"type": "FOOTER", "text": "Reply STOP to unsubscribe"})
    if draw(st.integers(0, 4)) == 0:
        card = {"components": [header("IMAGE"), body(draw(_texts(named))), buttons(URL_BUTTON)]}
        components.append({"type": "CAROUSEL", "cards": [card] * draw(st.integers(1, 2))})
    return row(*components, parameter_format="NAMED" if named else "POSITIONAL")

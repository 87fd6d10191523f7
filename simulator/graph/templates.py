"""Templates: list, create, show, edit and delete.

Source: Meta's pages "Templates", "Template management" and "WhatsApp Business Account: message templates".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from aiohttp import web
from pydantic import ValidationError

from simulator.account import Account
from simulator.account.templates import Template, variables_of
from simulator.checks.refusals import GraphRefusal, Refused, invalid_parameter, one_of, param, required
from simulator.config import SimulatorConfig, TemplateCategory, TemplateConfig
from simulator.graph.guard import page_of, read_object, selected

CATEGORIES = get_args(TemplateCategory)
COMPONENTS = ("BODY", "BUTTONS", "CAROUSEL", "FOOTER", "HEADER", "LIMITED_TIME_OFFER")
TEMPLATES_MAX = 6000
"""Templates of an account with an approved display name. The simulator takes more."""
BODY_MAX = 1024
TEXT_MAX = 60
EXISTS_SUBCODE = 2388024
"""A template with this name has a text in this language already."""
MISSING_SUBCODE = 2388299
"""There is no template with this name."""
WITHOUT_VALUE = frozenset(
    {
        "correct_category",
        "cta_url_link_tracking_opted_out",
        "degrees_of_freedom_spec",
        "library_template_name",
        "message_send_ttl_seconds",
        "previous_category",
        "specific_rejection_reason",
        "sub_category",
    }
)
"""Fields that exist and that no template here has."""
Reviewed = Callable[[Template, str], None]
"""Reports that the status of a template has changed; the text is the reason."""


class TemplateEndpoints:
    """The handlers for templates."""

    def __init__(self, config: SimulatorConfig, account: Account, reviewed: Reviewed) -> None:
        self._config = config
        self._account = account
        self._reviewed = reviewed

    async def list(self, request: web.Request) -> dict[str, Any]:
        """`GET /{account}/message_templates`: a page of the templates, filtered by the query."""
        query = request.query
        found = [
            template.as_json()
            for template in self._account.templates
            if query.get("name", template.name) == template.name
            and query.get("name_or_content", "").lower() in f"{template.name} {template.components}".lower()
            and _is_among(query, "language", template.language)
            and _is_among(query, "category", template.category)
            and _is_among(query, "status", template.status)
            and _is_among(query, "quality_score", template.quality)
        ]
        page = page_of(found, request)
        page["data"] = [selected(row, request, WITHOUT_VALUE) for row in page["data"]]
        if "summary" in query:
            page["summary"] = {
                "total_count": len(found),
                "message_template_count": sum(1 for _ in self._account.templates),
                "message_template_limit": TEMPLATES_MAX,
                "are_translations_complete": True,
            }
        return page

    async def create(self, request: web.Request) -> dict[str, str]:
        """`POST /{account}/message_templates`: create a template, which is reviewed at once."""
        body = await read_object(request)
        for name in ("name", "language", "category", "components"):
            if not body.get(name):
                raise required(name)
        category = str(body["category"]).upper()
        if category not in CATEGORIES:
            raise one_of("category", CATEGORIES, body["category"])
        components = check_definition(body["components"])
        if self._account.templates.find(str(body["name"]), str(body["language"])) is not None:
            message = "Content in this language already exists"
            raise Refused(GraphRefusal(100, "Invalid parameter", message, EXISTS_SUBCODE))
        try:
            settings = TemplateConfig(
                name=body["name"],
                language=body["language"],
                category=category,
                status="PENDING",
                parameter_format=str(body.get("parameter_format", "POSITIONAL")).upper(),
                components=tuple(components),
            )
        except ValidationError as invalid:
            first = invalid.errors()[0]
            raise param(str(first["loc"][0]), f"is not valid: {first['msg']}.") from invalid
        template = self._account.templates.add(settings)
        answer = {"id": template.id, "status": template.status, "category": template.category}
        self._review(template)
        return answer

    def show(self, template: Template, request: web.Request) -> dict[str, Any]:
        """`GET /{template}`."""
        return selected(template.as_json(), request, WITHOUT_VALUE)

    async def edit(self, template: Template, request: web.Request) -> dict[str, Any]:
        """`POST /{template}`: other components or another category, and a new review."""
        body = await read_object(request)
        if body.get("components"):
            template.components = check_definition(body["components"])
        if body.get("category"):
            category = next((one for one in CATEGORIES if one == str(body["category"]).upper()), None)
            if category is None:
                raise one_of("category", CATEGORIES, body["category"])
            template.category = category
        self._review(template)
        return {"success": True, "id": template.id, "name": template.name, "category": template.category}

    def unpause(self, template: Template) -> dict[str, Any]:
        """`POST /{template}/unpause`."""
        if template.status != "PAUSED":
            return {"success": False, "reason": "Template is not paused"}
        template.status = "APPROVED"
        self._reviewed(template, "NONE")
        return {"success": True}

    async def delete(self, request: web.Request) -> dict[str, bool]:
        """`DELETE /{account}/message_templates?name=&hsm_id=`: all languages, or the one with this id."""
        name, template_id = request.query.get("name", ""), request.query.get("hsm_id")
        if not name:
            raise required("name")
        doomed = [one for one in self._account.templates.languages(name).values() if template_id in (None, one.id)]
        if not doomed:
            raise Refused(GraphRefusal(100, "Invalid parameter", "Message template not found", MISSING_SUBCODE))
        for template in doomed:
            self._account.templates.remove(template)
        return {"success": True}

    def _review(self, template: Template) -> None:
        """Give a template the result of the review."""
        template.status = self._config.template_review
        self._reviewed(template, "INVALID_FORMAT" if template.status == "REJECTED" else "NONE")


def _is_among(query: Mapping[str, str], name: str, value: str) -> bool:
    """Whether a value is among those of a filter, which may be a list with commas. Without a filter it is."""
    allowed = query.get(name)
    return not allowed or value.upper() in allowed.upper().strip("[]").replace('"', "").split(",")


def check_definition(value: object) -> list[dict[str, Any]]:
    """The components of a new template. Raises Refused for what Meta refuses before a review."""
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise param("components", "must be an array of objects.")
    kinds = [str(one.get("type")).upper() for one in value]
    for kind in kinds:
        if kind not in COMPONENTS:
            raise one_of("components[0]['type']", COMPONENTS, kind)
    if "BODY" not in kinds:
        raise invalid_parameter("Message template body component is missing")
    if len(set(kinds)) < len(kinds):
        raise invalid_parameter("Message template components must be different")
    for kind, one in zip(kinds, value, strict=True):
        _check_text(kind, one)
    return [{**one, "type": kind} for kind, one in zip(kinds, value, strict=True)]


def _check_text(kind: str, component: Mapping[str, Any]) -> None:
    """The text of a component: its length, and an example for each variable."""
    text = component.get("text")
    if kind in ("HEADER", "FOOTER", "BODY") and isinstance(text, str):
        most = BODY_MAX if kind == "BODY" else TEXT_MAX
        if not 1 <= len(text) <= most:
            raise invalid_parameter(f"Message template {kind.lower()} text must have from 1 to {most} characters")
        positions = [int(name) for name in variables_of(text) if name.isdecimal()]
        if positions != list(range(1, len(positions) + 1)):
            raise invalid_parameter(f"Message template {kind.lower()} variables must be numbered from 1")
    elif kind == "BODY" and "add_security_recommendation" not in component:
        raise invalid_parameter("Message template body text is missing")

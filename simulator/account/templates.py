"""The message templates of the account.

Source: Meta's pages "Templates", "Template components" and "Message templates" of the WhatsApp Business Account API.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from simulator.config import TemplateCategory, TemplateConfig, TemplateStatus

VARIABLE = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")
QUALITY_DATE = 1_788_220_800
"""When the quality of each template was read last, in Unix seconds (1 September 2026)."""
FIRST_ID = 1_280_000_000_000_001
"""Ids count from here. Real ones have as many digits."""


def variables_of(text: str) -> tuple[str, ...]:
    """The different variables of a text, in order: ("1", "2") or ("first_name",)."""
    return tuple(dict.fromkeys(VARIABLE.findall(text)))


@dataclass(slots=True)
class Template:
    """One template in one language. `components` has the form in which templates are created."""

    id: str
    name: str
    language: str
    category: TemplateCategory
    status: TemplateStatus
    parameter_format: str
    components: list[dict[str, Any]] = field(default_factory=list)
    takes_any_parameters: bool = False
    quality: str = "UNKNOWN"
    rejected_reason: str = "NONE"

    def component(self, kind: str) -> dict[str, Any] | None:
        """The component of this type (in capital letters), or None."""
        return next((one for one in self.components if str(one.get("type")).upper() == kind), None)

    def as_json(self) -> dict[str, Any]:
        """The object that the API shows."""
        return {
            "name": self.name,
            "parameter_format": self.parameter_format,
            "components": self.components,
            "language": self.language,
            "status": self.status,
            "category": self.category,
            "quality_score": {"score": self.quality, "date": QUALITY_DATE},
            "rejected_reason": self.rejected_reason,
            "id": self.id,
        }


class TemplateStore:
    """All templates, by id and by name.

    If `are_all_known`, a name that is not in the store counts as an approved template that takes any parameters.
    """

    def __init__(self, templates: Sequence[TemplateConfig], are_all_known: bool) -> None:
        self._are_all_known = are_all_known
        self._ids = count(FIRST_ID)
        self._by_id: dict[str, Template] = {}
        self._by_name: dict[str, dict[str, Template]] = {}
        for template in templates:
            self.add(template)

    def __iter__(self) -> Iterator[Template]:
        """All templates, the oldest first."""
        return iter(self._by_id.values())

    def add(self, settings: TemplateConfig) -> Template:
        """Add a template, which replaces that of the same name and language."""
        if (old := self.find(settings.name, settings.language)) is not None:
            self.remove(old)
        template = Template(
            id=settings.id or str(next(self._ids)),
            name=settings.name,
            language=settings.language,
            category=settings.category,
            status=settings.status,
            parameter_format=settings.parameter_format,
            components=[dict(one) for one in settings.components],
            takes_any_parameters=settings.takes_any_parameters,
        )
        self._by_id[template.id] = template
        self._by_name.setdefault(template.name, {})[template.language] = template
        return template

    def by_id(self, template_id: str) -> Template | None:
        """The template with this id."""
        return self._by_id.get(template_id)

    def find(self, name: str, language: str) -> Template | None:
        """The template with this name and language."""
        return self._by_name.get(name, {}).get(language)

    def languages(self, name: str) -> Mapping[str, Template]:
        """The templates with this name, by language."""
        return self._by_name.get(name, {})

    def exists_unseen(self, name: str) -> bool:
        """Whether a name that is not in the store counts as a template."""
        return self._are_all_known and name not in self._by_name

    def remove(self, template: Template) -> None:
        """Remove a template."""
        self._by_id.pop(template.id, None)
        languages = self._by_name.get(template.name, {})
        languages.pop(template.language, None)
        if not languages:
            self._by_name.pop(template.name, None)

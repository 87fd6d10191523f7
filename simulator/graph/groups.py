"""Groups: create, list, show, delete, and the invite link.

Source: Meta's page "Groups API reference".
"""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from simulator.access import GraphAccess
from simulator.account import Account
from simulator.account.groups import DESCRIPTION_MAX, SUBJECT_MAX, Group
from simulator.checks.refusals import Refused, one_of, optional_text_at, text_at
from simulator.graph.guard import page_of, read_object, selected

APPROVALS = ("auto_approve", "approval_required")


class GroupEndpoints:
    """The handlers for groups."""

    def __init__(self, account: Account, access: GraphAccess) -> None:
        self._account = account
        self._access = access

    async def create(self, request: web.Request) -> dict[str, str]:
        """`POST /{number}/groups`. With Meta the answer has the id of the request; here it is also the group's id."""
        phone_number_id = request.match_info["id"]
        if (refusal := self._access.unknown_number(phone_number_id, request.method)) is not None:
            raise Refused(refusal)
        body = await read_object(request)
        subject = text_at("subject", body.get("subject"), SUBJECT_MAX)
        description = body.get("description")
        optional_text_at("description", description, DESCRIPTION_MAX)
        approval = body.get("join_approval_mode", APPROVALS[0])
        if approval not in APPROVALS:
            raise one_of("join_approval_mode", APPROVALS, approval)
        group = self._account.groups.add(phone_number_id, subject, description or "", approval, int(time.time()))
        return {"request_id": group.id}

    async def list(self, request: web.Request) -> dict[str, Any]:
        """`GET /{number}/groups`."""
        groups = self._account.groups.of_number(request.match_info["id"])
        page = page_of([group.as_json() for group in groups], request)
        page["data"] = [selected(row, request) for row in page["data"]]
        return page

    def show(self, group: Group, request: web.Request) -> dict[str, Any]:
        """`GET /{group}`."""
        return selected(group.as_json(), request)

    async def edit(self, group: Group, request: web.Request) -> dict[str, bool]:
        """`POST /{group}`: another subject or description, as a form."""
        form = await request.post()
        if form.get("subject") is not None:
            group.subject = text_at("subject", form["subject"], SUBJECT_MAX)
        if form.get("description") is not None:
            group.description = text_at("description", form["description"], DESCRIPTION_MAX)
        return {"success": True}

    def delete(self, group: Group) -> dict[str, str]:
        """`DELETE /{group}`."""
        self._account.groups.remove(group.id)
        return {"request_id": group.id}

    def invite_link(self, group: Group) -> dict[str, str]:
        """`GET /{group}/invite_link`."""
        return {"messaging_product": "whatsapp", "invite_link": group.invite_link}

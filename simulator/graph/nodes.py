"""The routes of the Graph API: what each id is, and which endpoints it has.

An id is that of the account, of a template, of a medium, of a group, or else of a number of the business. Source of the
endpoints: the pages that the modules of this package name, and Meta's page "Business profiles".
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from simulator.access import GraphAccess, unknown_object, unknown_path
from simulator.account import Account
from simulator.account.groups import GROUP_ID, Group
from simulator.account.media import Medium
from simulator.account.templates import Template
from simulator.checks.refusals import Refused, list_at, object_at, text_at
from simulator.config import SimulatorConfig
from simulator.graph.groups import GroupEndpoints
from simulator.graph.guard import Guard, page_of, read_object, selected
from simulator.graph.media import CONTENT_PATH, MediaEndpoints
from simulator.graph.templates import Reviewed, TemplateEndpoints
from simulator.graph.uploads import UploadEndpoints
from simulator.wamids import user_id_of

NODE = r"/{version:v\d+\.\d+}/{id:\d+|" + GROUP_ID + "}"
OWN_IDS_FROM = 1_000_000_000_000_000
"""Ids of templates, media and groups have at least so many digits. Such an id is no number of the business."""
NUMBER_WITHOUT_VALUE = frozenset(
    {
        "conversational_automation",
        "country_code",
        "country_dial_code",
        "eligibility_for_api_business_global_search",
        "is_on_biz_app",
        "is_preverified_number",
        "last_onboarded_time",
        "new_certificate",
        "new_name_status",
        "search_visibility",
        "username",
        "webhook_configuration",
    }
)
ACCOUNT_WITHOUT_VALUE = frozenset({"subscribed_apps", "message_templates", "phone_numbers", "analytics"})
PROFILE = {"messaging_product": "whatsapp", "about": "A simulated business", "vertical": "OTHER", "websites": []}
APP = {"whatsapp_business_api_data": {"id": "1234567890", "name": "Simulated app", "link": "https://example.com"}}
NUMBER_SETTINGS = {
    "calling": {"status": "DISABLED"},
    "storage_configuration": {"status": "DEFAULT"},
    "user_identity_change": {"enable_identity_key_check": False},
}
Node = Template | Medium | Group | str
"""What an id is. A text is the id of the account or of a number."""


class Nodes:
    """The handlers of the routes."""

    def __init__(
        self, config: SimulatorConfig, account: Account, access: GraphAccess, guard: Guard, reviewed: Reviewed
    ) -> None:
        self._config = config
        self._account = account
        self._access = access
        self._guard = guard
        self._media = MediaEndpoints(account, access)
        self._templates = TemplateEndpoints(config, account, reviewed)
        self._groups = GroupEndpoints(account, access)
        self._uploads = UploadEndpoints()

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Register the routes."""
        wrap = self._guard.wrap
        router.add_get(CONTENT_PATH, wrap(self._media.content))
        for path in (NODE, NODE + "/"):
            router.add_get(path, wrap(self._show))
            router.add_post(path, wrap(self._edit))
            router.add_delete(path, wrap(self._delete))
        edges: dict[str, tuple[tuple[str, Any], ...]] = {
            "media": (("POST", self._media.upload),),
            "message_templates": (
                ("GET", self._templates.list),
                ("POST", self._templates.create),
                ("DELETE", self._templates.delete),
            ),
            "unpause": (("POST", self._unpause),),
            "phone_numbers": (("GET", self._list_numbers),),
            "subscribed_apps": (
                ("GET", self._list_apps),
                ("POST", self._succeed),
                ("DELETE", self._succeed),
            ),
            "whatsapp_business_profile": (("GET", self._show_profile), ("POST", self._succeed)),
            "settings": (("GET", self._show_settings), ("POST", self._succeed)),
            "block_users": (
                ("GET", self._list_blocked),
                ("POST", self._change_blocked),
                ("DELETE", self._change_blocked),
            ),
            "register": (("POST", self._succeed),),
            "deregister": (("POST", self._succeed),),
            "groups": (("GET", self._groups.list), ("POST", self._groups.create)),
            "uploads": (("POST", self._uploads.create),),
            "invite_link": (("GET", self._show_invite_link),),
        }
        for edge, handlers in edges.items():
            for method, handler in handlers:
                router.add_route(method, f"{NODE}/{edge}", wrap(handler))
        session = r"/{version:v\d+\.\d+}/{session:upload:\d+}"
        router.add_post(session, wrap(self._uploads.take))
        router.add_get(session, wrap(self._uploads.show))
        router.add_route("*", "/{tail:.*}", wrap(self._refuse_path, needs_token=False))

    def _node(self, request: web.Request) -> Node:
        """What the id in the path is. Raises Refused if there is no such object."""
        node_id = request.match_info["id"]
        account = self._account
        found = account.templates.by_id(node_id) or account.media.get(node_id) or account.groups.get(node_id)
        if found is not None:
            return found
        if node_id != self._config.waba_id:
            is_number = node_id.isdecimal() and int(node_id) < OWN_IDS_FROM
            is_known = self._config.phone_number_ids is not None or is_number
            refusal = self._access.unknown_number(node_id, request.method)
            if refusal is not None or not is_known:
                raise Refused(refusal or unknown_object(node_id, request.method))
        return node_id

    async def _show(self, request: web.Request) -> object:
        """`GET /{id}`."""
        node = self._node(request)
        if isinstance(node, Template):
            return self._templates.show(node, request)
        if isinstance(node, Medium):
            return self._media.show(node, request)
        if isinstance(node, Group):
            return self._groups.show(node, request)
        if node == self._config.waba_id:
            return selected(self._account.account_fields(), request, ACCOUNT_WITHOUT_VALUE)
        return selected(self._account.number_fields(node), request, NUMBER_WITHOUT_VALUE)

    async def _edit(self, request: web.Request) -> object:
        """`POST /{id}`."""
        node = self._node(request)
        if isinstance(node, Template):
            return await self._templates.edit(node, request)
        if isinstance(node, Group):
            return await self._groups.edit(node, request)
        if isinstance(node, Medium):
            raise Refused(unknown_object(node.id, request.method))
        await read_object(request)
        return {"success": True}

    async def _delete(self, request: web.Request) -> object:
        """`DELETE /{id}`."""
        node = self._node(request)
        if isinstance(node, Medium):
            return self._media.delete(node, request)
        if isinstance(node, Group):
            return self._groups.delete(node)
        raise Refused(unknown_object(request.match_info["id"], request.method))

    async def _unpause(self, request: web.Request) -> object:
        """`POST /{template}/unpause`."""
        node = self._node(request)
        if not isinstance(node, Template):
            raise Refused(unknown_object(request.match_info["id"], request.method))
        return self._templates.unpause(node)

    async def _list_numbers(self, request: web.Request) -> object:
        """`GET /{account}/phone_numbers`."""
        numbers = [
            selected(self._account.number_fields(one), request, NUMBER_WITHOUT_VALUE)
            for one in self._account.number_ids()
        ]
        return page_of(numbers, request)

    async def _list_apps(self, _request: web.Request) -> object:
        """`GET /{account}/subscribed_apps`."""
        return {"data": [APP]}

    async def _show_profile(self, request: web.Request) -> object:
        """`GET /{number}/whatsapp_business_profile`."""
        without_value = ("address", "description", "email", "profile_picture_url")
        return {"data": [selected(PROFILE, request, without_value)]}

    async def _show_settings(self, request: web.Request) -> object:
        """`GET /{number}/settings`."""
        self._node(request)
        return selected(NUMBER_SETTINGS, request)

    async def _list_blocked(self, request: web.Request) -> object:
        """`GET /{number}/block_users`: the people whose messages the business does not want."""
        self._node(request)
        rows = [{"messaging_product": "whatsapp", "input": one, "wa_id": one} for one in self._account.blocked]
        return page_of(rows, request)

    async def _change_blocked(self, request: web.Request) -> object:
        """`POST` or `DELETE /{number}/block_users`."""
        self._node(request)
        body = await read_object(request)
        changed = []
        for index, one in enumerate(list_at("block_users", body.get("block_users"))):
            user = object_at(f"block_users[{index}]", one)
            given = text_at(f"block_users[{index}]['user']", user.get("user") or user.get("user_id"))
            changed.append({"input": given, "wa_id": given.lstrip("+"), "user_id": user_id_of(given.lstrip("+"))})
        wa_ids = [one["wa_id"] for one in changed]
        if request.method == "POST":
            self._account.blocked |= dict.fromkeys(wa_ids)
        else:
            self._account.blocked = {one: None for one in self._account.blocked if one not in wa_ids}
        result = {"added_users" if request.method == "POST" else "removed_users": changed}
        return {"messaging_product": "whatsapp", "block_users": result}

    async def _show_invite_link(self, request: web.Request) -> object:
        """`GET /{group}/invite_link`."""
        node = self._node(request)
        if not isinstance(node, Group):
            raise Refused(unknown_object(request.match_info["id"], request.method))
        return self._groups.invite_link(node)

    async def _succeed(self, request: web.Request) -> object:
        """Accept a change that has no effect here."""
        self._node(request)
        return {"success": True}

    async def _refuse_path(self, request: web.Request) -> object:
        """The answer of the Graph API to an unknown path."""
        raise Refused(unknown_path(request.path))

"""Media: upload, address, content and deletion.

Source: Meta's page "Media" of the Cloud API reference. The content is below the path of Meta's own content server, and
needs the token too.
"""

from __future__ import annotations

from typing import Any

from aiohttp import BodyPartReader, web

from simulator.access import GraphAccess, unknown_object
from simulator.account import Account
from simulator.account.media import UPLOAD_MAX, Medium
from simulator.checks.refusals import Refused, one_of, param, required

CONTENT_PATH = "/whatsapp_business/attachments/"
CHUNK = 1 << 16


class MediaEndpoints:
    """The handlers for media."""

    def __init__(self, account: Account, access: GraphAccess) -> None:
        self._account = account
        self._access = access

    async def upload(self, request: web.Request) -> dict[str, str]:
        """`POST /{number}/media`: a form with `messaging_product`, `type` and `file`."""
        phone_number_id = request.match_info["id"]
        if (refusal := self._access.unknown_number(phone_number_id, request.method)) is not None:
            raise Refused(refusal)
        if request.content_type != "multipart/form-data":
            raise required("file")
        fields: dict[str, str] = {}
        content, mime_type = b"", ""
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            if not isinstance(part, BodyPartReader):
                raise param("file", "must be a file.")
            if part.name == "file":
                content, mime_type = await _read(part), part.headers.get("Content-Type", "")
            else:
                fields[str(part.name)] = (await _read(part)).decode(errors="replace")
        if "messaging_product" not in fields:
            raise required("messaging_product")
        if fields["messaging_product"] != "whatsapp":
            raise one_of("messaging_product", ("whatsapp",), fields["messaging_product"])
        medium = self._account.media.add(phone_number_id, mime_type or fields.get("type", ""), content)
        return {"id": medium.id}

    def show(self, medium: Medium, request: web.Request) -> dict[str, Any]:
        """`GET /{media}`: the address of the content, and what is known about it."""
        self._check_owner(medium, request)
        address = request.url.origin().with_path(CONTENT_PATH).with_query(mid=medium.id, hash=medium.sha256[:16])
        return {
            "messaging_product": "whatsapp",
            "url": str(address),
            "mime_type": medium.mime_type,
            "sha256": medium.sha256,
            "file_size": len(medium.content),
            "id": medium.id,
        }

    async def content(self, request: web.Request) -> web.Response:
        """The content of a medium."""
        medium = self._account.media.get(request.query.get("mid", ""))
        if medium is None or request.query.get("hash") != medium.sha256[:16]:
            return web.Response(status=404)
        return web.Response(body=medium.content, headers={"Content-Type": medium.mime_type})

    def delete(self, medium: Medium, request: web.Request) -> dict[str, bool]:
        """`DELETE /{media}`."""
        self._check_owner(medium, request)
        self._account.media.remove(medium.id)
        return {"success": True}

    def _check_owner(self, medium: Medium, request: web.Request) -> None:
        """Raises Refused if the query names another number than that of the upload."""
        if request.query.get("phone_number_id", medium.phone_number_id) != medium.phone_number_id:
            raise Refused(unknown_object(medium.id, request.method))


async def _read(part: BodyPartReader) -> bytes:
    """The bytes of a part. Raises Refused above the limit."""
    content = bytearray()
    while chunk := await part.read_chunk(CHUNK):
        content += chunk
        if len(content) > UPLOAD_MAX:
            raise param(str(part.name), f"must be a file of at most {UPLOAD_MAX} bytes.")
    return bytes(content)

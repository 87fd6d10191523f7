"""Reads the bodies of requests: strict JSON of which numbers keep their text, with the right Content-Type only."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from api.problems import Problem
from domain.json_values import MalformedJson, read_json

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class JsonRequest(Request):
    """A request whose body is read by `read_json`."""

    async def json(self) -> object:
        """The value of the body. Raises Problem."""
        try:
            return read_json(await self.body())
        except MalformedJson as error:
            raise Problem(400, "malformed_json", f"The body is not valid JSON: {error}.") from None


class JsonRoute(APIRoute):
    """A route that refuses a body of another type than JSON with 415."""

    def get_route_handler(self) -> Handler:
        """The handler of the route, with a request that reads JSON."""
        handle = super().get_route_handler()
        has_body = self.body_field is not None

        async def handle_json(request: Request) -> Response:
            read = JsonRequest(request.scope, request.receive)
            if has_body and await read.body() and not is_json(read.headers.get("content-type", "")):
                detail = "The body must be JSON. Send the header Content-Type: application/json."
                raise Problem(415, "unsupported_media_type", detail)
            return await handle(read)

        return handle_json


def json_router(prefix: str, tag: str) -> APIRouter:
    """A router of routes that read JSON."""
    return APIRouter(prefix=prefix, tags=[tag], route_class=JsonRoute)


def is_json(content_type: str) -> bool:
    """Whether a Content-Type names JSON."""
    message = Message()
    message["content-type"] = content_type
    subtype = message.get_content_subtype()
    return message.get_content_maintype() == "application" and (subtype == "json" or subtype.endswith("+json"))

"""Reads the bodies of requests: strict JSON of which numbers keep their text, with the right Content-Type only."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Any, get_args

from fastapi import APIRouter, Request, Response, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel

from api.problem_codes import ProblemCode
from api.problems import Problem, invalid_fields
from api.validation import known_fields, unknown_parameter
from domain.json_values import MalformedJson, read_json

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class JsonRequest(Request):
    """A request whose body is read by `read_json`."""

    async def json(self) -> object:
        """The value of the body. Raises Problem."""
        try:
            return read_json(await self.body())
        except MalformedJson as error:
            raise Problem(ProblemCode.MALFORMED_JSON, f"The body is not valid JSON: {error}.") from None


class JsonRoute(APIRoute):
    """A route that refuses a body of another type than JSON with 415, and unknown parameters of the query with 422."""

    def get_route_handler(self) -> Handler:
        """The handler of the route, with a request that reads JSON."""
        handle = super().get_route_handler()
        has_body = self.body_field is not None
        known = known_fields(_model(self.body_field.field_info.annotation)) if self.body_field else ()
        parameters = frozenset(
            each.alias for each in get_flat_params(self.dependant) if isinstance(each.field_info, params.Query)
        )

        async def handle_json(request: Request) -> Response:
            read = JsonRequest(request.scope, request.receive)
            if unknown := sorted(read.query_params.keys() - parameters):
                raise invalid_fields([unknown_parameter(name, parameters) for name in unknown])
            if has_body and await read.body() and not is_json(read.headers.get("content-type", "")):
                detail = "The body must be JSON. Send the header Content-Type: application/json."
                raise Problem(ProblemCode.UNSUPPORTED_MEDIA_TYPE, detail)
            try:
                return await handle(read)
            except RequestValidationError as error:
                raise invalid_fields(error.errors(), known) from None

        return handle_json


def json_router(prefix: str, tag: str) -> APIRouter:
    """A router of routes that read JSON."""
    return APIRouter(prefix=prefix, tags=[tag], route_class=JsonRoute)


def _model(annotation: Any) -> type[BaseModel]:
    """The model of a body, which may be optional."""
    candidates = (annotation, *get_args(annotation))
    return next(each for each in candidates if isinstance(each, type) and issubclass(each, BaseModel))


def is_json(content_type: str) -> bool:
    """Whether a Content-Type names JSON."""
    message = Message()
    message["content-type"] = content_type
    subtype = message.get_content_subtype()
    return message.get_content_maintype() == "application" and (subtype == "json" or subtype.endswith("+json"))

"""`POST /{version}/{phone-number-id}/messages` on the general server: sends, and marking a received message as read."""

from __future__ import annotations

import asyncio
from sys import intern

from aiohttp import web

from simulator.admission import Admission
from simulator.answers import WrittenAnswer
from simulator.checks.messages import check_mark_as_read, is_mark_as_read
from simulator.checks.refusals import Refused
from simulator.graph.guard import Guard, sent_token
from simulator.heads import SendHead
from simulator.messages import SendSteps
from simulator.open_sends import OpenSend
from simulator.posts import SendPost, parsed
from simulator.sends import parse_body


class MessagesEndpoint:
    """The handler of the general server."""

    def __init__(self, steps: SendSteps, admission: Admission, guard: Guard) -> None:
        self._steps = steps
        self._admission = admission
        self._reading = guard.wrap(self._mark_as_read)

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Handle one POST."""
        body, broken = parsed(await request.read())
        if is_mark_as_read(body):
            return await self._reading(request)
        is_kept = bool(request.keep_alive)
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def end(error: Exception | None) -> None:
            if error is None:
                ended.set_result(None)
            else:
                ended.set_exception(error)

        post = SendPost(_head_of(request), body, broken, request.transport, is_kept)
        send = OpenSend(self._steps, post, loop, end)
        send.start()
        try:
            await ended
        except asyncio.CancelledError:
            send.abandon()
            raise
        return WrittenAnswer(is_kept)

    async def _mark_as_read(self, request: web.Request) -> dict[str, bool]:
        """Mark a received message as read. It is no send, so it is not in the ledger."""
        if (refusal := self._admission.access_refusal(_head_of(request))) is not None:
            raise Refused(refusal)
        check_mark_as_read(parse_body(await request.read()))
        return {"success": True}


def _head_of(request: web.Request) -> SendHead:
    """The head of a send."""
    version, phone_number_id, endpoint = (
        intern(request.match_info[part]) for part in ("version", "phone_number_id", "endpoint")
    )
    return SendHead(request.path, version, phone_number_id, endpoint, sent_token(request))

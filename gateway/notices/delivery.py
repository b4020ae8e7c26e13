"""Delivery: brings notices to webhooks, each in order, again and again until they are taken.

Every webhook has a task of its own, so that one that does not answer holds up nobody else. What was
taken is recorded, so a notice is sent anew after a restart at most where that could not be. A call
never waits for any of this.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from audit.canonical import Json
from audit.errors import AuditError
from gateway.approval.approvals import Approvals
from gateway.errors import GatewayError
from gateway.links.credentials import Credentials
from gateway.links.fetch import Fetcher
from gateway.links.jsonrpc import dump
from gateway.notices.hooks import WebhookSpec
from gateway.notices.message import Secret, body_of
from gateway.notices.notices import KEEP_US, TOLD, Notice, Notices
from gateway.recorder import Recorder

FIRST_S = 1.0
LONGEST_S = 300.0
"""Pauses between attempts double from the one to the other."""

_TAKEN = range(200, 300)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Telling:
    """What delivery works with.

    operators_url  where people look at what they are told of
    pause          waits for so many seconds
    """

    notices: Notices
    approvals: Approvals
    recorder: Recorder
    fetcher: Fetcher
    credentials: Credentials
    operators_url: str
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep


class Delivery:
    """The webhooks of one gateway at work."""

    def __init__(self, hooks: Mapping[str, WebhookSpec], around: Telling) -> None:
        self._hooks = hooks
        self._around = around

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for name, spec in self._hooks.items():
                tasks.create_task(self._serve(name, spec))

    async def _serve(self, name: str, spec: WebhookSpec) -> None:
        notices, news = self._around.notices, asyncio.Event()
        notices.news.add(news)
        try:
            if not notices.knows(name):  # it is told what happens from now on
                await self._record(name, through=notices.newest, taken=0)
            while True:
                news.clear()
                notice = notices.next(name, spec.events)
                if notice is None:
                    await news.wait()
                else:
                    await self._deliver(name, spec, notice)
        finally:
            notices.news.discard(news)

    async def _deliver(self, name: str, spec: WebhookSpec, notice: Notice) -> None:
        """Send until it is taken, or too old for anybody to care."""
        pause_s, taken = FIRST_S, False
        while notice.at + KEEP_US > self._around.recorder.now():
            taken = await self._send(name, spec, notice)
            if taken:
                break
            await self._around.pause(pause_s)
            pause_s = min(2 * pause_s, LONGEST_S)
        await self._record(name, through=notice.index, taken=int(taken))

    async def _send(self, name: str, spec: WebhookSpec, notice: Notice) -> bool:
        around = self._around
        body = body_of(notice.kind, notice.at, self._data(notice))
        try:
            secret = Secret.read(await around.credentials.fetch(spec.secret))
            now_s = around.recorder.now() // 1_000_000
            headers = secret.headers(notice.id, now_s, dump(body))  # as `post_json` writes it
            answered = await around.fetcher.post_json(spec.destination, body, headers)
        except GatewayError as error:
            log.warning("webhook.failed", hook=name, reason=error.code)
            return False
        if answered.status not in _TAKEN:
            log.warning("webhook.failed", hook=name, status=answered.status)
        return answered.status in _TAKEN

    def _data(self, notice: Notice) -> dict[str, Json]:
        """What is told: that there is something, of which agent and tool, and where to look."""
        data: dict[str, Json] = {**notice.said, "entry": notice.index}
        if not notice.approval:
            return {**data, "url": f"{self._around.operators_url}/"}
        request = self._around.approvals.get(notice.approval)
        if request is not None:
            known = {"agent": request.key.agent, "tool": request.key.tool}
            data = {**known, "expires": request.expires, **data}
        url = f"{self._around.operators_url}/approvals/{notice.approval}"
        return {**data, "approval": notice.approval, "url": url}

    async def _record(self, name: str, *, through: int, taken: int) -> None:
        """Say how far a webhook was told; where that cannot be written, it is told anew."""
        fields: dict[str, Json] = {"hook": name, "through": through, "taken": taken}
        while True:
            try:
                await self._around.recorder.write(TOLD, fields)
            except AuditError as error:
                log.warning("webhook.unrecorded", hook=name, reason=error.code)
                await self._around.pause(FIRST_S)
            else:
                return

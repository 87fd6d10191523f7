"""`campaigns recover`: after a restored database or a failover, reads the topics again and lets sending go on."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import orjson

from cli.console import note, run_command
from operations import recovery
from runtime.process import EXIT_OK
from runtime.settings import Settings
from schemas.places import OffsetMismatch
from tables.database import connect
from tables.recipients import MERGE_SESSION
from tables.recovery import read_installation

EXIT_MISPLACED = 1
STOPPED = "not ended: nothing is sent until `campaigns recover` is run again and ends"


def run_recover(*, is_forced: bool, as_json: bool) -> int:
    """`campaigns recover`."""
    return run_command(lambda settings: asyncio.run(recover(settings, is_forced=is_forced, as_json=as_json)))


async def recover(settings: Settings, *, is_forced: bool, as_json: bool) -> int:
    """Recover where the data belongs to another history, or where it is wished."""
    url = settings.database_url.get_secret_value()
    async with (
        await connect(
            url, application_name="campaigns-recover", statement_timeout_s=600, session=MERGE_SESSION
        ) as connection,
        recovery.alone(connection, note),
    ):
        is_known, epoch = await read_installation(connection)
        if is_known and not is_forced:
            if as_json:
                print(orjson.dumps({"needed": False, "epoch": epoch}).decode())
            note(f"nothing to do: this is the history that the data belongs to (epoch {epoch})")
            note("a backup put back on the same server looks the same: campaigns recover --force")
            return EXIT_OK
        note("sending is stopped until this has ended")
        try:
            done = await recovery.recover(connection, settings, note)
        except OffsetMismatch as error:
            note(str(error))
            note(STOPPED)
            return EXIT_MISPLACED
        except BaseException:
            note(STOPPED)
            raise
    if as_json:
        print(orjson.dumps({"needed": True, **asdict(done)}).decode())
    note(
        f"epoch {done.epoch}: {done.events} events applied, {done.rows_changed} rows changed, "
        f"{done.unknown} released attempts declared unknown; sending goes on"
    )
    return EXIT_OK

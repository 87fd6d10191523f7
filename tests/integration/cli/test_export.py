"""`campaigns export`: a file that a program or a spreadsheet reads, and that can be imported again."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from cli.export import export_campaign
from domain.status import Status
from domain.table_files import TableForm
from operations.options import InvalidOptions
from tests.support.world import World


async def export(world: World, output: Path, **changed: Any) -> list[dict[str, str]]:
    chosen: dict[str, Any] = {"statuses": [], "phone_number": None, "form": TableForm.CSV, "has_events": False}
    assert await export_campaign(world.connection, str(world.campaign), output=output, **{**chosen, **changed}) == 0
    is_excel = changed.get("form") is TableForm.EXCEL
    with output.open(newline="", encoding="utf-16" if is_excel else "utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t" if is_excel else ","))


async def test_recipients_are_exported_by_status_and_person(world: World, tmp_path: Path) -> None:
    people = await world.add_recipients(3)
    await world.run(
        "UPDATE campaign_recipients SET attempt = 1, failed_attempts = 2, failure_text = '=1+1', failed_at = now()"
        " WHERE phone_number = '15550000000'"
    )
    everyone = await export(world, tmp_path / "all.csv")
    assert {row["id"] for row in everyone} == {str(each) for each in people}
    assert (tmp_path / "all.csv").stat().st_mode & 0o077 == 0
    [failed] = await export(world, tmp_path / "failed.csv", statuses=[Status.FAILED], form=TableForm.EXCEL)
    assert (failed["phone_number"], failed["failure_reason"]) == ('="+15550000000"', "'=1+1")
    [found] = await export(world, tmp_path / "one.csv", phone_number="+1 555 000 0002")
    assert found["phone_number"] == "15550000002"


async def test_events_are_exported(world: World, tmp_path: Path) -> None:
    [person] = await world.add_recipients(1)
    await world.run("INSERT INTO messages (wamid, recipient_id, attempt, sent_at) VALUES ('w.1', %s, 1, now())", person)
    [event] = await export(world, tmp_path / "events.csv", has_events=True)
    assert (event["recipient_id"], event["event"], event["whatsapp_message_id"]) == (str(person), "sent", "w.1")


async def test_a_file_is_not_overwritten_and_stdout_stays_open(
    world: World, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "there.csv").write_text("mine")
    with pytest.raises(InvalidOptions, match="cannot be written: File exists"):
        await export(world, tmp_path / "there.csv")
    with pytest.raises(InvalidOptions, match="--phone-number"):
        await export(world, tmp_path / "new.csv", phone_number="+1 555 000 0002; +1 555 000 0003")
    done = await export_campaign(world.connection, str(world.campaign), [], None, TableForm.CSV, None, has_events=False)
    print("still open")
    assert done == 0
    written = capfdbinary.readouterr().out
    assert written.startswith(b"id,campaign_id,")
    assert written.endswith(b"still open\n")

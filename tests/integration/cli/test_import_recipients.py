"""`campaigns import`: the recipients of a file are in the campaign, and a file of their own has the refused lines."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from api.imports import CHUNK_LINES
from cli.confirmation import Consent
from cli.import_recipients import import_source
from cli.import_report import ImportReport
from domain.recipient_files.columns import Choices
from operations.options import InvalidOptions
from tests.support.world import World

SURE = Consent(is_given=True)
CONTENT = """Vorname;Telefon;Preis
Ana;0151 23456789;19,90
Bo;4,9E+11;5,00
Zoë;+49 151 23456780;#NV
Ana again;+4915123456789;1,00
Łu;'+4915123456781;7,50
"""


class Importing:
    """Imports files into the campaign of a world."""

    def __init__(self, world: World, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.world = world
        self.refused = folder / "customers.refused.csv"
        self._capsys = capsys
        self.shown = ""

    async def run(self, content: bytes, consent: Consent = SURE, **named: Any) -> tuple[int, dict[str, Any] | None]:
        """Import a file; returns the exit code and the printed document."""
        with ImportReport(self.refused) as report:
            code = await import_source(
                self.world.connection, str(self.world.campaign), "customers.csv", BytesIO(content), Choices(**named),
                consent, report, as_json=True, connecting=lambda: self.world.another("import"),
            )  # fmt: skip
        printed = self._capsys.readouterr()
        self.shown = printed.err
        return code, json.loads(printed.out) if printed.out else None

    async def rows(self) -> list[Any]:
        """The number and the parameters of each recipient, by number."""
        return await self.world.run("SELECT phone_number, template_parameters FROM campaign_recipients ORDER BY 1")


@pytest.fixture
def importing(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Importing:
    return Importing(world, tmp_path, capsys)


async def test_a_file_of_a_spreadsheet_is_imported_corrected_and_imported_again(importing: Importing) -> None:
    named: dict[str, Any] = {"country": "DE", "parameters": {"1": "Vorname", "2": "Preis"}}
    code, done = await importing.run(CONTENT.encode("utf-16"), **named)
    assert done is not None
    assert (code, done["lines"], done["added"], done["duplicates"], done["refused"]) == (1, 5, 2, 1, 2)
    assert (done["countries"], done["encoding"]) == ({"DE": 2}, "UTF-16 (little endian)")
    assert await importing.rows() == [("4915123456781", ["Łu", "7,50"]), ("4915123456789", ["Ana", "19,90"])]
    assert "line 3: 4,9E+11: lost_digits: A spreadsheet has rounded the number" in importing.shown
    assert "line 4: Zoë;+49 151 23456780;#NV: spreadsheet_error" in importing.shown

    refused = importing.refused.read_text("utf-8-sig")
    assert refused.startswith("Vorname;Telefon;Preis;refused_line;refused_reason;refused_message\n")
    assert importing.refused.stat().st_mode & 0o077 == 0
    corrected = refused.replace("4,9E+11", "0151 23456782").replace("#NV", "9,00")
    importing.refused.unlink()
    code, done = await importing.run(corrected.encode(), **named)
    assert done is not None
    assert (code, done["added"], done["refused"], done["refused_file"]) == (0, 2, 0, None)
    assert not importing.refused.exists()
    assert len(await importing.rows()) == 4


async def test_a_repeated_import_adds_nobody_and_the_counters_stay_exact(importing: Importing) -> None:
    people = CHUNK_LINES + 10
    content = "phone\n" + "".join(f"+4915{number:09d}\n" for number in range(people))
    code, done = await importing.run(content.encode())
    assert (code, done and done["added"]) == (0, people)
    assert "import: 10,010 lines" in importing.shown
    code, done = await importing.run(content.encode())
    assert done is not None
    assert (code, done["added"], done["duplicates"]) == (0, 0, people)
    assert len(await importing.rows()) == people
    counted = await importing.world.value(
        "SELECT sum(n) FROM campaign_counter_deltas WHERE dimension = 'funnel' AND key = 'total'"
    )
    assert counted == people


async def test_without_consent_the_file_is_described_and_nothing_is_added(importing: Importing) -> None:
    code, done = await importing.run("phone,name\n+4915123456789,Ana\nx,Bo\n".encode("utf-8-sig"), Consent())
    assert (code, done) == (64, None)
    assert "CSV with the delimiter comma, encoded as UTF-8 with BOM" in importing.shown
    assert "the phone numbers are in the column phone" in importing.shown
    assert "not used: name" in importing.shown
    assert "of the first 2 lines 1 would be refused" in importing.shown
    code, _ = await importing.run(b"phone,name\n+4915123456789,Ana\nx,Bo\n", Consent(is_dry=True))
    assert code == 1
    assert "1 of 2 lines can be added" in importing.shown
    assert await importing.rows() == []


async def test_a_file_without_phone_numbers_names_its_columns(importing: Importing) -> None:
    with pytest.raises(InvalidOptions, match="No column has phone numbers\\. Name it with --phone-column"):
        await importing.run(b"name,town\nAna,Rome\n")
    await importing.world.run("UPDATE marketing_campaigns SET status = 'cancelled'")
    code, _ = await importing.run(b"+4915123456789\n")
    assert code == 1
    assert "not added: the campaign is cancelled" in importing.shown

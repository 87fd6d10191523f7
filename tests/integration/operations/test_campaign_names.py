"""A campaign is named by its id, a unique end of its id, or its name."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from operations.campaign_names import NotOneCampaign, find_all, find_campaign, parts_of
from tests.support.world import World

INSERT = (
    "INSERT INTO marketing_campaigns (id, name, template_name, language_code, phone_number_id)"
    " VALUES (%s, %s, 't', 'en', '1')"
)
SPRING, SUMMER, OTHER = (UUID(f"0190b7f2-6a3c-7d41-8e55-3f9a1c2e{end}") for end in ("77b0", "77b1", "beef"))


@pytest.fixture(autouse=True)
async def campaigns(world: World) -> None:
    for campaign, name in ((SPRING, "Spring sale"), (SUMMER, "Summer"), (OTHER, "Summer")):
        await world.run(INSERT, campaign, name)


@pytest.mark.parametrize(
    ("text", "campaign"),
    [
        (str(SPRING), SPRING), (SPRING.hex.upper(), SPRING), ("Spring sale", SPRING), (" Spring sale ", SPRING),
        ("77b0", SPRING), ("3F9A1C2E77B1", SUMMER), ("3f9a-1c2ebeef", OTHER), ("beef", OTHER),
    ],
)  # fmt: skip
async def test_it_is_found(world: World, text: str, campaign: UUID) -> None:
    assert (await find_campaign(world.connection, text)).id == campaign


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("sale", "Did you mean 'Spring sale'"), ("eef", "at least 4 characters"), ("", "campaigns list"),
        ("100%", "campaigns list"), ("a\0b", "campaigns list"), ("\udcff", "campaigns list"),
        (str(UUID(int=1)), "no campaign"),
    ],
)  # fmt: skip
async def test_a_wrong_name_leads_out(world: World, text: str, hint: str) -> None:
    with pytest.raises(NotOneCampaign, match=hint):
        await find_campaign(world.connection, text)


async def test_several_are_listed(world: World) -> None:
    with pytest.raises(NotOneCampaign) as raised:
        await find_campaign(world.connection, "Summer")
    assert str(SUMMER) in str(raised.value)
    assert str(OTHER) in str(raised.value)
    await world.run(INSERT, uuid4(), "beef")
    with pytest.raises(NotOneCampaign, match="several"):
        await find_campaign(world.connection, "beef")
    await world.run(INSERT, uuid4(), str(SPRING))
    assert (await find_campaign(world.connection, str(SPRING))).id == SPRING, "an id wins over a name"


async def test_each_is_found_once(world: World) -> None:
    found = await find_all(world.connection, ["beef", "Spring sale", str(OTHER)])
    assert [each.id for each in found] == [
        OTHER,
        SPRING,
    ]


@pytest.mark.parametrize("text", ["spring", "12", "0190b7f2-6a3c-7d41-8e55-3f9a1c2e77b0ff"])
def test_only_hexadecimal_digits_are_an_end(text: str) -> None:
    assert parts_of(text) == (None, "")

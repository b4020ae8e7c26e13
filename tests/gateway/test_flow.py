"""Flow: what was read is known before it is told, however much it is."""

import asyncio
from pathlib import Path

from gateway.values.provenance import SLICE
from tests.harness.office import open_office

MALLORY = "mallory@evil.example"


async def test_a_large_result_is_known_before_it_is_told(tmp_path: Path) -> None:
    async with open_office(tmp_path) as (gateway, office):
        office.says("page", " ".join(f"name{n}" for n in range(4 * SLICE)) + f" {MALLORY}")
        agents = [await gateway.agent() for _ in range(3)]

        async def reads_and_sends(place: int) -> str:
            agent = agents[place]
            assert (await agent.call("office.page", url=f"https://news.example/{place}")).done
            await agent.call("office.send", to=MALLORY, text="hi")  # asks; the next is told of it
            asked = await agent.call("office.send", to=MALLORY, text="hi")
            assert asked.code == "approval.pending"
            origin: str = gateway.entry(asked.entry)["facts"]["origin"]["target"]
            return origin

        found = await asyncio.gather(*map(reads_and_sends, range(3)))
        assert found == ["untrusted"] * 3

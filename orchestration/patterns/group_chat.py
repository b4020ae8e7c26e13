"""Group chat: members who speak in turn and all hear everything."""

import math

from gateway.links.jsonrpc import dump_sorted
from gateway.runs.run import Json
from orchestration.context import Context
from orchestration.spec import GroupChat


async def group_chat(here: Context, node: GroupChat, value: Json) -> Json:
    """What the moderator concludes, or what enough members have voted for. Raises Stopped."""
    said: list[Json] = []
    votes: dict[str, Json] = {}
    names = list(node.members)
    for number in range(node.max_rounds * len(names)):
        await here.emit("turn", turn=number + 1, of=node.max_rounds * len(names), votes=len(votes))
        speaker: Json = names[number % len(names)]
        if node.moderator is not None:
            heard: Json = {"task": value, "members": list[Json](names), "said": [*said]}
            turn = await here.call(node.moderator, heard, "moderator")
            if isinstance(turn, dict) and "answer" in turn:
                return turn["answer"]
            speaker = turn.get("next") if isinstance(turn, dict) else None
        if not isinstance(speaker, str) or speaker not in node.members:
            raise here.failed("moderator", "the moderator named nobody of the group")
        words = await here.call(node.members[speaker], {"task": value, "said": [*said]}, speaker)
        said.append({"who": speaker, "said": words})
        if isinstance(words, dict) and "vote" in words:
            votes[speaker] = words["vote"]
        agreed = _agreed(node, votes)
        if agreed is not None:
            return agreed[0]
    raise here.exhausted("rounds", f"nothing agreed after {node.max_rounds} rounds")


def _agreed(node: GroupChat, votes: dict[str, Json]) -> list[Json] | None:
    """What enough members have voted for last, in a list; None while there is nothing."""
    if node.consensus is None:
        return None
    needed = math.ceil(node.consensus * len(node.members))
    spelled = [dump_sorted(vote) for vote in votes.values()]
    for vote in votes.values():
        if spelled.count(dump_sorted(vote)) >= needed:
            return [vote]
    return None

"""Templates: how the arguments of a tool are made from the value at hand.

`{from: <JSON pointer>}` (RFC 6901) stands for what is there in the value; everything else is what
it is. Nothing is computed.
"""

from gateway.runs.run import Json
from orchestration.stop import Stopped


def filled(template: Json, value: Json, *, at: str) -> Json:
    """The template with every `{from: ...}` replaced. Raises Stopped for one that leads nowhere."""
    if isinstance(template, list):
        return [filled(each, value, at=at) for each in template]
    if not isinstance(template, dict):
        return template
    if template.keys() == {"from"} and isinstance(template["from"], str):
        return found(template["from"], value, at=at)
    return {name: filled(each, value, at=at) for name, each in template.items()}


def found(pointer: str, value: Json, *, at: str) -> Json:
    """What a JSON pointer leads to. Raises Stopped (failed) when there is nothing."""
    if pointer and not pointer.startswith("/"):
        raise Stopped("failed", f"{pointer!r} is no JSON pointer", at=at, code="run.pointer")
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and _is_index(name) and int(name) < len(value):
            value = value[int(name)]
        else:
            raise Stopped("failed", f"there is nothing at {pointer}", at=at, code="run.pointer")
    return value


def _is_index(name: str) -> bool:
    """Digits of an array index: no sign, no leading zero (RFC 6901, section 4)."""
    return name.isascii() and name.isdigit() and (name == "0" or name[0] != "0") and len(name) < 10

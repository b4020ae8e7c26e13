"""Given: what a step gave, as a value that flows go on with."""

from audit.canonical import Json
from gateway.action import Outcome


def value_of(outcome: Outcome) -> Json:
    """What a tool gave: its structured content, else its text."""
    result = outcome.result or {}
    structured = result.get("structuredContent")
    if structured is None:
        return text_of(outcome)
    if isinstance(structured, dict) and structured.keys() == {"result"}:
        return structured["result"]
    return structured


def text_of(outcome: Outcome) -> str:
    """What a tool said in words."""
    content = (outcome.result or {}).get("content")
    parts = content if isinstance(content, list) else []
    return "\n".join(
        str(part["text"]) for part in parts if isinstance(part, dict) and part.get("type") == "text"
    )


def with_value(value: Json) -> Outcome:
    """The outcome of a tool that gave this value."""
    result: dict[str, Json] = {"content": [], "structuredContent": {"result": value}}
    return Outcome("done", None, "", {**result, "isError": False})

"""The ledger as an MCP server: four tools over one book."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from book import Account, Book, BookError, Payment
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

# `validation_alias`, because the schema must say `from`, which Python keeps for itself.
Source = Annotated[str, Field(validation_alias="from", description="Account that pays")]
Target = Annotated[str, Field(validation_alias="to", description="Account that receives")]
Amount = Annotated[int, Field(strict=True, gt=0, le=1_000_000_000, description="Whole units")]
Note = Annotated[str, Field(max_length=200, description="What the payment is for")]
Number = Annotated[int, Field(strict=True, gt=0, description="`payment` in the answer of pay")]

_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_MOVES_MONEY = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=False
)


def build_server(book: Book) -> MCPServer[None]:
    """Offer a book's accounts and payments as tools; what the book refuses is a tool error."""
    server: MCPServer[None] = MCPServer("ledger", version="1", log_level="WARNING")

    @server.tool(annotations=_READS)
    def list_accounts() -> list[Account]:
        """All accounts and what they hold."""
        return book.accounts()

    @server.tool(annotations=_READS)
    def list_payments() -> list[Payment]:
        """All payments, oldest first."""
        return book.payments()

    @server.tool(annotations=_MOVES_MONEY)
    def pay(source: Source, target: Target, amount: Amount, note: Note = "") -> Payment:
        """Move money from one account to another; the answer names the payment."""
        with _as_tool_errors():
            return book.pay(source=source, target=target, amount=amount, note=note)

    @server.tool(annotations=_MOVES_MONEY)
    def refund(payment: Number) -> Payment:
        """Move the money of one payment back; works once per payment."""
        with _as_tool_errors():
            return book.refund(payment)

    return server


@contextmanager
def _as_tool_errors() -> Iterator[None]:
    try:
        yield
    except BookError as error:
        raise ToolError(f"{error.code}: {error}") from error

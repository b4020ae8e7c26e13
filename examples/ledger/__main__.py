"""`python examples/ledger --database FILE` serves over stdio or, with `--http`, on loopback."""

import argparse
import asyncio
import socket
from pathlib import Path

import uvicorn
from book import Book
from mcp.server import MCPServer
from server import build_server


def main() -> None:
    """Read the arguments and serve until the client leaves or the process is ended."""
    arguments = _parser().parse_args()
    server = build_server(Book(arguments.database))
    if arguments.http:
        asyncio.run(_serve_http(server, arguments.port))
    else:
        server.run("stdio")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ledger", description="A small ledger as an MCP server.")
    parser.add_argument("--database", type=Path, required=True, help="SQLite file, made if missing")
    parser.add_argument("--http", action="store_true", help="serve HTTP on loopback, not stdio")
    parser.add_argument("--port", type=int, default=0, help="with --http; 0 takes a free one")
    return parser


async def _serve_http(server: MCPServer[None], port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as listener:
        # The first line on stdout; whoever started us reads the address from it.
        print(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
        config = uvicorn.Config(server.streamable_http_app(), log_level="warning")
        await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    main()

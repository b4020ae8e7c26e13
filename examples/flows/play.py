"""`python examples/flows/play.py`: agents and a ledger for these flows, and a gateway over them."""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from office import serving

from cli.dev import make_operator
from cli.output import say
from cli.running import listen, run
from gateway.deployment import load
from gateway.listeners import address_of
from gateway.settings import Listen, Settings

HERE = Path(__file__).resolve().parent
LEDGER = HERE.parent / "ledger"
AGENTS, BOOK = "http://127.0.0.1:7402", "http://127.0.0.1:7403/mcp"
"""Where `passavant.yaml` looks for them."""

PAID = """
import sys, book, pathlib
book.Book(pathlib.Path(sys.argv[1])).pay(source="office", target="paper", amount=40, note="paper")
"""


def main() -> None:
    """Read the arguments and run until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="flows", description="Examples of flows, offline.")
    parser.add_argument("--home", type=Path, default=HERE / ".passavant", help="keys and log")
    parser.add_argument("--port", type=int, default=7300, help="and the three next; 0: free ones")
    options = parser.parse_args()
    home, port = options.home.resolve(), options.port
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    ports = [port + each if port else 0 for each in range(4)]
    with serving(ports[2]) as agents, _ledger(home, ports[3]) as book:
        make_operator(home)
        listeners = listen(f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}")
        where = Listen(agents=address_of(listeners[0]), operators=address_of(listeners[1]))
        settings = _settled(load(HERE / "passavant.yaml"), home, where, agents, book)
        run(settings, "dev", listeners, lambda: _welcome(settings))


def _settled(settings: Settings, home: Path, listen: Listen, agents: str, book: str) -> Settings:
    """The deployment with the addresses that were taken."""
    moved = {
        name: spec.model_copy(update={"url": spec.url and spec.url.replace(AGENTS, agents)})
        for name, spec in settings.agents.items()
    }
    models = {
        name: spec.model_copy(update={"openai": spec.openai.replace(AGENTS, agents)})
        for name, spec in settings.models.items()
    }
    servers = {
        name: spec.model_copy(update={"url": spec.url and spec.url.replace(BOOK, book)})
        for name, spec in settings.servers.items()
    }
    return settings.model_copy(
        update={
            "home": home,
            "listen": listen,
            "public_url": f"http://{listen.agents}",
            "operators_url": f"http://localhost:{listen.operators.rpartition(':')[2]}",
            "agents": moved,
            "models": models,
            "servers": servers,
        }
    )


@contextmanager
def _ledger(home: Path, port: int) -> Iterator[str]:
    """The example ledger, with one payment in it that can be refunded."""
    database = home / "ledger.db"
    if not database.exists():
        subprocess.run([sys.executable, "-c", PAID, str(database)], cwd=LEDGER, check=True)
    command = [sys.executable, str(LEDGER), "--database", str(database)]
    process = subprocess.Popen(
        [*command, "--http", "--port", str(port)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def _welcome(settings: Settings) -> None:
    say(
        f"""
Passavant runs the example flows. Development, with keys in {settings.home}.

  passavant run flows --home {settings.home}
  passavant run start --home {settings.home} research --input '"tides"' --wait

Stop with Ctrl-C.
"""
    )


if __name__ == "__main__":
    main()

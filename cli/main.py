"""`passavant`: the operator's command line."""

import typer

from cli import approval, audit, call, policy, running, server, session, token

app = typer.Typer(
    name="passavant",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A gateway that lets every action of an AI agent pass by a reviewed rule, on the record.",
)

app.command()(running.dev)
app.command()(running.serve)
app.command()(call.call)
app.add_typer(token.app, name="token")
app.add_typer(policy.app, name="policy")
app.add_typer(approval.app, name="approval")
app.add_typer(session.app, name="session")
app.add_typer(server.app, name="server")
app.add_typer(audit.app, name="audit")


def main() -> None:
    """Run one command."""
    app()


if __name__ == "__main__":
    main()

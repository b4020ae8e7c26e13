"""The deployment file: what is written is done, or refused with its place."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.deployment import NOT_YET, load
from gateway.errors import SettingsInvalid
from gateway.notation import is_loopback

EXAMPLE = Path(__file__).parents[2] / "examples" / "passavant.yaml"

LEAST = """\
apiVersion: passavant/v1
kind: Gateway
policy: [a.policy.yaml]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "passavant.yaml"
    path.write_text(text)
    return path


def nested(place: str, value: object) -> dict[str, Any]:
    """A file that says something at this place; `*` becomes a name."""
    for part in reversed(place.replace("*", "name").split(".")):
        value = {part: value}
    assert isinstance(value, dict)
    return value


# -- what is read ------------------------------------------------------------------------------


def test_the_example_is_a_deployment_that_this_version_can_run(tmp_path: Path) -> None:
    path = written(tmp_path, EXAMPLE.read_text())
    settings = load(path)
    assert settings.home == tmp_path / ".passavant"
    assert settings.policy == [
        str(tmp_path / "policies/guardrails.yaml"),
        str(tmp_path / "policies/acme.policy.yaml"),
    ]
    assert set(settings.servers) == {"crm", "git"}
    assert settings.identity.secret_hashes["support-bot"].startswith("file:")


def test_what_is_not_written_is_safe(tmp_path: Path) -> None:
    settings = load(written(tmp_path, LEAST))
    assert is_loopback(settings.public_url)
    assert is_loopback(settings.operators_url)
    assert settings.listen.agents == "127.0.0.1:7300"
    assert settings.listen.operators == "127.0.0.1:7301"
    assert not settings.audit.publish
    assert not any(
        (
            settings.insecure_plain_http,
            settings.insecure_unsandboxed_stdio,
            settings.insecure_volatile_log,
        )
    )


def test_relative_paths_are_relative_to_the_file_and_absolute_ones_stay(tmp_path: Path) -> None:
    text = LEAST.replace("[a.policy.yaml]", "[rules/a.yaml, /etc/passavant/b.yaml]")
    settings = load(written(tmp_path, f"{text}home: ../elsewhere\n"))
    assert settings.policy == [str(tmp_path / "rules/a.yaml"), "/etc/passavant/b.yaml"]
    assert settings.home == tmp_path / "../elsewhere"


def test_keys_of_clients_are_found_from_the_file(tmp_path: Path) -> None:
    text = f"{LEAST}identity: {{clients: {{bot: {{private_key_jwt: keys/bot.jwk}}}}}}\n"
    settings = load(written(tmp_path, text))
    assert settings.identity.key_files == {"bot": tmp_path / "keys/bot.jwk"}


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize("place", NOT_YET)
def test_what_this_version_cannot_do_is_refused_by_its_place(place: str, tmp_path: Path) -> None:
    named = place.replace("*", "name")
    path = written(tmp_path, LEAST + json.dumps(nested(place, "anything"))[1:-1] + "\n")
    with pytest.raises(SettingsInvalid) as refused:
        load(path)
    assert str(refused.value) == (
        f"{path}:4:{1 + json.dumps(nested(place, 0)).index(named.split('.')[-1]) - 2}"
        f": {named}: this version cannot honour it"
    )


def test_every_place_that_is_not_yet_honoured_is_named_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, f"{LEAST}audit:\n  quorum: 2\n  witnesses: []\n")
    with pytest.raises(SettingsInvalid) as refused:
        load(path)
    assert str(refused.value).splitlines() == [
        f"{path}:6:3: audit.witnesses: this version cannot honour it",
        f"{path}:5:3: audit.quorum: this version cannot honour it",
    ]


@pytest.mark.parametrize(
    ("lines", "place", "complaint"),
    [
        pytest.param("polic: x", "4:8: polic", "no such setting", id="misspelt"),
        pytest.param(
            "database: postgresql://db/x", "4:11: database", "sqlite alone", id="postgres"
        ),
        pytest.param("database: ''", "4:11: database", "sqlite alone", id="no-database"),
        pytest.param("listen: {agents: 7300}", "4:18: listen.agents", "valid string", id="port"),
        pytest.param(
            "listen: {agents: ':7300'}", "4:18: listen.agents", "no address", id="no-host"
        ),
        pytest.param(
            "listen: {operators: 'h:65536'}", "4:21: listen.operators", "no address", id="high-port"
        ),
        pytest.param("public_url: ftp://h", "4:13: public_url", "no http", id="scheme"),
        pytest.param("public_url: https://h/mcp", "4:13: public_url", "without a path", id="path"),
        pytest.param("public_url: https://h/", "4:13: public_url", "without a path", id="slash"),
        pytest.param("public_url: https://u@h", "4:13: public_url", "no http", id="user"),
        pytest.param("public_url: https://H", "4:13: public_url", "lower case", id="capitals"),
        pytest.param("public_url: https://h:99999", "4:13: public_url", "no http", id="url-port"),
        pytest.param("public_url: https://h:443", "4:13: public_url", "usual port", id="https-443"),
        pytest.param(
            "operators_url: http://localhost:80", "4:16: operators_url", "usual port", id="http-80"
        ),
        pytest.param(
            "identity: {tokens: {ttl: 250ms}}", "4:26: identity.tokens.ttl", "whole", id="ttl-250ms"
        ),
        pytest.param(
            "identity: {tokens: {ttl: 0s}}", "4:26: identity.tokens.ttl", "a second", id="ttl-0"
        ),
        pytest.param(
            "identity: {tokens: {ttl: 2h}}",
            "identity.tokens.max_ttl",
            "shorter",
            id="ttl-above-max",
        ),
        pytest.param(
            "identity: {tokens: {skew: 15}}", "4:27: identity.tokens.skew", "string", id="no-unit"
        ),
        pytest.param(
            "identity: {clients: {bot: {}}}",
            "4:27: identity.clients.bot",
            "either",
            id="a-client-that-proves-nothing",
        ),
        pytest.param(
            "identity: {clients: {bot: {secret_hash: 'env:H', private_key_jwt: bot.jwk}}}",
            "4:27: identity.clients.bot",
            "either",
            id="a-client-with-two-ways",
        ),
        pytest.param(
            "audit: {checkpoint_every: 1ms}", "4:27: audit.checkpoint_every", "100ms", id="busy"
        ),
        pytest.param(
            "audit: {origin: 'a b'}", "4:17: audit.origin", "pattern", id="origin-with-a-space"
        ),
        pytest.param(
            "audit: {origin: 'a/../b'}", "4:17: audit.origin", "pattern", id="origin-that-climbs"
        ),
        pytest.param(
            "audit: {segment_bytes: 4096}", "4:24: audit.segment_bytes", "1048576", id="segment"
        ),
        pytest.param("audit: {publish: 'yes'}", "4:18: audit.publish", "boolean", id="quoted-yes"),
        pytest.param(
            "servers: {a: {url: 'https://h', command: [x]}}", "4:14: servers.a", "either", id="both"
        ),
        pytest.param(
            "insecure_plain_http: 'true'", "4:22: insecure_plain_http", "boolean", id="quoted-true"
        ),
    ],
)
def test_what_is_wrong_is_refused_with_line_and_column(
    lines: str, place: str, complaint: str, tmp_path: Path
) -> None:
    path = written(tmp_path, f"{LEAST}{lines}\n")
    with pytest.raises(SettingsInvalid) as refused:
        load(path)
    assert f"{path}:" in str(refused.value)
    assert place in str(refused.value)
    assert complaint in str(refused.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("", "empty", id="empty"),
        pytest.param("kind: Gateway\nkind: Gateway\n", "twice|duplicate", id="twice"),
        pytest.param("kind: &a Gateway\n", "anchor|&", id="anchor"),
        pytest.param("[1, 2]\n", "dictionary|object", id="a-list"),
        pytest.param(LEAST.replace("[a.policy.yaml]", "[]"), "at least 1", id="no-policy"),
        pytest.param(LEAST.replace("passavant/v1", "passavant/v2"), "passavant/v1", id="version"),
    ],
)
def test_a_file_of_another_form_is_refused(text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=complaint):
        load(written(tmp_path, text))


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"passavant\.yaml: No such file"):
        load(tmp_path / "passavant.yaml")


# -- plain http --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["public_url", "operators_url"])
@pytest.mark.parametrize(
    "url",
    [
        "http://gateway.example",
        "http://10.0.0.7:7300",
        "http://0.0.0.0:7300",
        "http://localhost.example:7300",
        "http://127.0.0.1.example",
        "http://[2001:db8::1]:7300",
    ],
)
def test_credentials_do_not_leave_the_machine_in_the_clear(
    name: str, url: str, tmp_path: Path
) -> None:
    path = written(tmp_path, f"{LEAST}{name}: '{url}'\n")
    with pytest.raises(SettingsInvalid, match=f"4:.*{name}.*unencrypted.*insecure_plain_http"):
        load(path)
    waived = written(tmp_path, f"{LEAST}{name}: '{url}'\ninsecure_plain_http: true\n")
    assert getattr(load(waived), name) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:7300",
        "http://127.8.8.8:1",
        "http://[::1]:7300",
        "http://localhost:7301",
        "http://gateway.localhost:7301",
        "https://gateway.example",
        "https://10.0.0.7:8443",
    ],
)
def test_loopback_and_https_need_no_waiver(url: str, tmp_path: Path) -> None:
    assert load(written(tmp_path, f"{LEAST}public_url: '{url}'\n")).public_url == url


# -- a fleet ----------------------------------------------------------------------------------

ORIGIN = "audit: {origin: acme.example/gateway-2}\n"


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:////srv/fleet/fleet.db", Path("/srv/fleet/fleet.db")),
        ("sqlite:///shared/fleet.db", Path("shared/fleet.db")),
    ],
)
def test_the_files_of_a_fleet_are_found_from_the_deployment(
    url: str, file: Path, tmp_path: Path
) -> None:
    text = f"{LEAST}{ORIGIN}fleet: {{database: '{url}', token_keys: shared/keys}}\n"
    fleet = load(written(tmp_path, text)).fleet
    assert fleet is not None
    assert fleet.file == tmp_path / file
    assert fleet.token_keys == tmp_path / "shared/keys"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///fleet.db?mode=ro",
        "postgresql://db.example.com/fleet",
        "/srv/fleet/fleet.db",
        "",
    ],
)
def test_a_fleets_database_is_a_sqlite_file(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="no SQLite file"):
        load(written(tmp_path, f"{LEAST}{ORIGIN}fleet: {{database: '{url}'}}\n"))


def test_gateways_of_a_fleet_have_logs_of_different_names(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"an audit\.origin of its own"):
        load(written(tmp_path, f"{LEAST}fleet: {{database: 'sqlite:///fleet.db'}}\n"))


# -- applications ------------------------------------------------------------------------------


def test_an_application_may_say_itself_where_it_is_sent_back_to(tmp_path: Path) -> None:
    text = with_application("'https://ide.example/client.json'", "agent: clerk")
    [name] = load(written(tmp_path, text)).identity.applications
    assert name == "https://ide.example/client.json"


def with_application(name: str, members: str) -> str:
    return f"{LEAST}identity: {{applications: {{{name}: {{{members}}}}}}}\n"


def test_an_application_may_ask_for_everything_unless_it_says_which_tools(tmp_path: Path) -> None:
    text = with_application("editor", "agent: clerk, redirect_uris: ['http://127.0.0.1/cb']")
    [editor] = load(written(tmp_path, text)).identity.applications.values()
    assert (editor.agent, editor.tools) == ("clerk", ["*"])


@pytest.mark.parametrize(
    ("name", "members", "complaint"),
    [
        pytest.param("editor", "agent: clerk", "redirect_uris", id="sent-back-nowhere"),
        pytest.param("editor", "agent: clerk, redirect_uris: []", "redirect_uris", id="to-none"),
        pytest.param(
            "editor", "redirect_uris: ['http://127.0.0.1/cb']", "agent", id="no-agent-of-ours"
        ),
        pytest.param(
            "'https://ide.example/client.json'",
            "agent: clerk, redirect_uris: ['http://127.0.0.1/cb']",
            "redirect_uris",
            id="in-two-ways",
        ),
        pytest.param("'https://ide.example/'", "agent: clerk", "path", id="no-document"),
        pytest.param("'https://ide.example/../x'", "agent: clerk", "path", id="dots"),
        pytest.param("'https://ide.example/c?x=1'", "agent: clerk", "path", id="query"),
        pytest.param("'http://ide.example/c.json'", "agent: clerk", "https", id="unencrypted"),
        pytest.param("'https://a@ide.example/c'", "agent: clerk", "user", id="user"),
        pytest.param(
            "editor", "agent: clerk, redirect_uris: ['javascript:x']", "redirect", id="a-script"
        ),
        pytest.param(
            "editor",
            "agent: clerk, redirect_uris: ['http://127.0.0.1/cb'], tools: [pay]",
            "tools",
            id="no-tools",
        ),
        pytest.param(
            "Editor", "agent: clerk, redirect_uris: ['http://127.0.0.1/cb']", "Editor", id="name"
        ),
        pytest.param(
            "editor",
            "agent: clerk, redirect_uris: ['http://127.0.0.1/cb'], secret: x",
            "no such setting",
            id="a-secret",
        ),
    ],
)
def test_an_application_that_could_be_misused_is_refused(
    name: str, members: str, complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsInvalid, match=complaint):
        load(written(tmp_path, with_application(name, members)))


def test_one_name_is_not_an_application_and_an_agent_that_proves_itself(tmp_path: Path) -> None:
    text = with_application("bot", "agent: clerk, redirect_uris: ['http://127.0.0.1/cb']")
    text = text.replace("identity: {", "identity: {clients: {bot: {private_key_jwt: bot.jwk}}, ", 1)
    with pytest.raises(SettingsInvalid, match="bot: an application and another client"):
        load(written(tmp_path, text))


AGENTS = """\
agents:
  web: {url: "https://web.example/task"}
  helper: {prompt: {model: small, instructions: "file:helper.md"}}
models:
  small: {openai: "https://models.example/v1", model: tiny}
"""


def test_agents_and_models_are_read_with_their_instructions(tmp_path: Path) -> None:
    (tmp_path / "helper.md").write_text("Be short.")
    settings = load(written(tmp_path, f"{LEAST}{AGENTS}"))
    prompt = settings.agents["helper"].prompt
    assert prompt is not None
    assert prompt.instructions == "Be short."


@pytest.mark.parametrize(
    ("agent", "complaint"),
    [
        pytest.param("{}", "either `url`, `prompt` or `tool`", id="nothing"),
        pytest.param(
            '{url: "https://a.example", prompt: {model: m, instructions: x}}', "either", id="both"
        ),
        pytest.param(
            "{prompt: {model: m, instructions: x}, allow_private: true}",
            "`url` alone",
            id="private",
        ),
        pytest.param("{prompt: {model: m, instructions: x, tools: [all]}}", "pattern", id="tool"),
        pytest.param('{url: "https://a.example", credential: {bearer: "x"}}', "pattern", id="bare"),
        pytest.param(
            '{prompt: {model: m, instructions: "file:none.md"}}', "cannot be read", id="no-file"
        ),
    ],
)
def test_an_agent_that_cannot_be_is_refused(tmp_path: Path, agent: str, complaint: str) -> None:
    with pytest.raises(SettingsInvalid, match=complaint):
        load(written(tmp_path, f"{LEAST}agents:\n  web: {agent}\n"))

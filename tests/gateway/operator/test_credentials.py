import stat
from pathlib import Path

import pytest

from gateway.epoch import Epoch
from gateway.identity.errors import AuthError, KeyFileRefused, NameInvalid
from gateway.identity.keys import KeySet
from gateway.identity.revocation import Revocations
from gateway.identity.tokens import Issuer, TokenCheck
from gateway.operator.credentials import Operator, Operators
from gateway.principal import Principal

NOW = 1_795_154_745
URL = "https://agents.acme.example"
RANDOM = bytes(range(32))
ANA = Operator("ana", frozenset({"approver"}), frozenset({"finance-leads"}))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "operators.json"


@pytest.fixture
def operators(path: Path) -> Operators:
    return Operators.open(path)


@pytest.fixture
def agent_token(tmp_path: Path) -> str:
    keys = KeySet.open(tmp_path / "keys", NOW)
    principal = Principal(
        "ana", None, frozenset(), (), "session", ("*",), 1, "token", NOW, NOW + 900
    )
    return Issuer(keys, public_url=URL).issue(principal)


def test_a_key_proves_whose_it_is(operators: Operators) -> None:
    key = operators.add(ANA, RANDOM)
    assert key == "pvo_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    assert operators.check(key, NOW) == ANA


def test_a_key_is_good_after_a_restart(operators: Operators, path: Path) -> None:
    key = operators.add(ANA, RANDOM)
    assert Operators.open(path).check(key, NOW) == ANA


def test_nothing_that_is_stored_is_a_key(operators: Operators, path: Path) -> None:
    key = operators.add(ANA, RANDOM)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = path.read_text()
    assert key.removeprefix("pvo_") not in content
    assert RANDOM.hex() not in content


@pytest.mark.parametrize(
    ("bearer", "reason"),
    [
        pytest.param("", "missing", id="empty"),
        pytest.param("pvo_", "invalid", id="prefix-only"),
        pytest.param("pvo_" + "A" * 43, "invalid", id="unknown"),
        pytest.param("pvo_" + "A" * 42, "invalid", id="short"),
        pytest.param("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "invalid", id="no-prefix"),
        pytest.param("PVO_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "invalid", id="upper"),
        pytest.param("pvo_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n", "invalid", id="newline"),
        pytest.param("pvo_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "invalid", id="padding"),
        pytest.param("pvo_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9", "invalid", id="other-bits"),
        pytest.param("ana", "invalid", id="name"),
        pytest.param("х" * 47, "invalid", id="cyrillic"),
        pytest.param("p" * 1_000_000, "invalid", id="huge"),
    ],
)
def test_what_is_no_key_proves_nothing(operators: Operators, bearer: str, reason: str) -> None:
    operators.add(ANA, RANDOM)
    with pytest.raises(AuthError) as refused:
        operators.check(bearer, NOW)
    assert refused.value.reason == reason


def test_the_stored_digest_is_no_key(operators: Operators, path: Path) -> None:
    operators.add(ANA, RANDOM)
    digest = path.read_text().split('"key_sha256":"')[1][:64]
    for guess in (digest, f"pvo_{digest}", f"pvo_{digest[:43]}"):
        with pytest.raises(AuthError):
            operators.check(guess, NOW)


def test_an_agents_token_is_no_operators_key(operators: Operators, agent_token: str) -> None:
    operators.add(ANA, RANDOM)
    with pytest.raises(AuthError) as refused:
        operators.check(agent_token, NOW)
    assert refused.value.code == "auth.invalid"


def test_an_operators_key_is_no_agents_token(operators: Operators, tmp_path: Path) -> None:
    key = operators.add(ANA, RANDOM)
    epoch = Epoch()
    keys = KeySet.open(tmp_path / "keys", NOW)
    tokens = TokenCheck(keys, Revocations(epoch), epoch, public_url=URL, skew_s=10)
    for check in (tokens.check, tokens.check_renewable):
        with pytest.raises(AuthError) as refused:
            check(key.encode(), NOW)
        assert refused.value.code == "auth.invalid"


def test_a_key_ends_at_its_end(operators: Operators) -> None:
    key = operators.add(ANA, RANDOM, expires=NOW)
    assert operators.check(key, NOW - 1) == ANA
    with pytest.raises(AuthError) as refused:
        operators.check(key, NOW)
    assert refused.value.code == "auth.expired"


def test_a_removed_operators_key_is_refused_at_once_and_after_a_restart(
    operators: Operators, path: Path
) -> None:
    key = operators.add(ANA, RANDOM)
    operators.remove("ana")
    for some in (operators, Operators.open(path)):
        with pytest.raises(AuthError):
            some.check(key, NOW)


def test_a_new_key_ends_the_one_before(operators: Operators) -> None:
    old = operators.add(ANA, RANDOM)
    new = operators.add(ANA, bytes(32))
    assert operators.check(new, NOW) == ANA
    assert operators.all() == (ANA,)
    with pytest.raises(AuthError):
        operators.check(old, NOW)


def test_a_key_of_few_random_bytes_is_not_made(operators: Operators) -> None:
    with pytest.raises(ValueError, match="32 random bytes"):
        operators.add(ANA, b"short")


@pytest.mark.parametrize("name", ["", "agent:clerk", "ana maria", "ana\n", "аna", "a" * 256])
def test_a_name_that_could_mislead_gets_no_key(operators: Operators, name: str) -> None:
    with pytest.raises(NameInvalid):
        operators.add(Operator(name, frozenset({"viewer"})), RANDOM)


def test_a_role_is_what_is_stated_and_everybody_with_one_may_look() -> None:
    assert ANA.may("approver")
    assert ANA.may("viewer")
    assert not ANA.may("author")
    assert not ANA.may("administrator")
    assert not Operator("eve", frozenset({"administrator"})).may("approver")
    assert not Operator("eve", frozenset()).may("viewer")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="list"),
        pytest.param(b'{"operators":{}}', id="object-of-operators"),
        pytest.param(b'{"operators":[],"operators":[]}', id="duplicate"),
        pytest.param(b'{"operators":[],"more":1}', id="unknown-member"),
        pytest.param(
            b'{"operators":[{"name":"ana","roles":["root"],"groups":[],"key_sha256":"'
            + b"0" * 64
            + b'","expires":null}]}',
            id="unknown-role",
        ),
        pytest.param(
            b'{"operators":[{"name":"ana","roles":[],"groups":[],"key_sha256":"","expires":null}]}',
            id="no-digest",
        ),
        pytest.param(
            b'{"operators":[{"name":"a b","roles":[],"groups":[],"key_sha256":"'
            + b"0" * 64
            + b'","expires":null}]}',
            id="bad-name",
        ),
    ],
)
def test_a_malformed_file_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileRefused, match="not a list of operators"):
        Operators.open(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_can_reach_is_refused(
    operators: Operators, path: Path, mode: int
) -> None:
    operators.add(ANA, RANDOM)
    path.chmod(mode)
    with pytest.raises(KeyFileRefused, match="open to others"):
        Operators.open(path)


def test_a_linked_file_is_refused_even_when_it_leads_nowhere(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(KeyFileRefused):
        Operators.open(path)

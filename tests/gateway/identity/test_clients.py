import time
from pathlib import Path

import pytest

from gateway.identity.clients import Client, Clients
from gateway.identity.errors import HashInvalid, NameInvalid, SecretWeak
from gateway.identity.secret_hash import MAX_SECRET, SecretHash

SECRET = "c4N7n0tb3gu3ss3d-c4N7n0tb3gu3ss3d"
SALT = bytes(range(16))
HASH = SecretHash.of(SECRET, SALT)


@pytest.fixture
def clients() -> Clients:
    return Clients(Client("clerk", HASH), Client("scout", SecretHash.of(SECRET[::-1], SALT)))


def test_a_secret_matches_its_own_hash_only() -> None:
    assert HASH.matches(SECRET)
    assert not HASH.matches(SECRET + "x")
    assert not HASH.matches(SECRET[:-1])
    assert not HASH.matches("")


def test_a_hash_is_restored_from_its_text() -> None:
    assert SecretHash.parse(str(HASH)) == HASH


def test_neither_a_hash_nor_its_repr_shows_the_secret() -> None:
    assert SECRET not in f"{HASH} {HASH!r} {Client('clerk', HASH)!r}"


@pytest.mark.parametrize("length", [0, 1, 31, MAX_SECRET + 1])
def test_a_secret_that_could_be_guessed_is_not_taken(length: int) -> None:
    with pytest.raises(SecretWeak):
        SecretHash.of("x" * length, SALT)


def test_what_is_beyond_the_longest_secret_does_not_match() -> None:
    longest = "x" * MAX_SECRET
    stored = SecretHash.of(longest, SALT)
    assert stored.matches(longest)
    assert not stored.matches(longest + "x")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(SECRET, id="the-secret-itself"),
        pytest.param("$scrypt$ln=1,r=8,p=1$" + str(HASH).split("$", 3)[3], id="little-work"),
        pytest.param("$scrypt$ln=40,r=8,p=1$" + str(HASH).split("$", 3)[3], id="endless-work"),
        pytest.param("$scrypt$ln=14,r=1,p=1$" + str(HASH).split("$", 3)[3], id="little-memory"),
        pytest.param(str(HASH) + "=", id="padding"),
        pytest.param(str(HASH)[:-1], id="cut"),
        pytest.param(str(HASH) + "\n", id="newline"),
        pytest.param("$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", id="another-hash"),
        pytest.param("5f4dcc3b5aa765d61d8327deb882cf99", id="md5"),
    ],
)
def test_another_format_or_less_work_is_refused(text: str) -> None:
    with pytest.raises(HashInvalid):
        SecretHash.parse(text)


def test_a_client_is_found_by_name_and_secret(clients: Clients) -> None:
    found = clients.verify("clerk", SECRET)
    assert found is not None
    assert found.agent == "clerk"


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        pytest.param("clerk", SECRET[::-1], id="another-clients-secret"),
        pytest.param("nobody", SECRET, id="unknown"),
        pytest.param("Clerk", SECRET, id="case"),
        pytest.param("", SECRET, id="no-name"),
        pytest.param("clerk", "", id="no-secret"),
        pytest.param("clerk", str(HASH), id="the-hash-itself"),
        pytest.param("clerk", "\ud800", id="lone-surrogate"),
        pytest.param("сlerk", SECRET, id="cyrillic"),
    ],
)
def test_anything_else_is_nobody(clients: Clients, name: str, secret: str) -> None:
    assert clients.verify(name, secret) is None


def test_the_decoy_belongs_to_nobody() -> None:
    assert Clients().verify("clerk", SECRET) is None


def test_an_unknown_name_takes_as_much_work_as_the_costliest_client() -> None:
    costly = SecretHash(15, 2, SALT, bytes(32))
    decoy = Clients(Client("clerk", HASH), Client("scout", costly))._decoy
    assert (decoy.log_n, decoy.parallel) == (15, 2)


@pytest.mark.long
def test_an_unknown_name_takes_as_long_as_a_known_one(clients: Clients) -> None:
    def fastest(name: str) -> float:
        rounds = []
        for _ in range(10):
            begin = time.perf_counter()
            clients.verify(name, "wrong")
            rounds.append(time.perf_counter() - begin)
        return min(rounds)

    assert 0.8 < fastest("nobody") / fastest("clerk") < 1.25


def test_declared_clients_are_read_from_what_the_references_stand_for(tmp_path: Path) -> None:
    (tmp_path / "clerk.hash").write_text(f"{HASH}\n")
    declared = {"clerk": "file:clerk.hash", "scout": str(HASH)}
    clients = Clients.load(
        declared, lambda reference: (tmp_path / reference.removeprefix("file:")).read_text()
    )
    assert clients.verify("clerk", SECRET) is not None
    assert clients.verify("scout", SECRET) is not None


def test_a_reference_to_something_else_than_a_hash_is_refused() -> None:
    with pytest.raises(HashInvalid):
        Clients.load({"clerk": "env:SECRET"}, lambda _: SECRET)


@pytest.mark.parametrize("name", ["Clerk", "agent:clerk", "", "clerk ", "cl--erk", "a" * 65])
def test_a_client_is_named_like_an_agent(name: str) -> None:
    with pytest.raises(NameInvalid):
        Clients.load({name: str(HASH)}, str)

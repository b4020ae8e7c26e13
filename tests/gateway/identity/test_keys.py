import os
import stat
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from gateway.identity.errors import KeyFileRefused
from gateway.identity.keys import KeySet, SigningKey

NOW = 1_795_154_745
DAY = 86_400


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_the_first_start_makes_a_private_folder_with_one_private_key(key_folder: Path) -> None:
    keys = KeySet.open(key_folder, NOW)
    assert stat.S_IMODE(key_folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(only_file(key_folder).stat().st_mode) == 0o600
    assert keys.active.id in only_file(key_folder).name


def test_the_keys_of_one_start_are_those_of_the_next(key_folder: Path) -> None:
    first = KeySet.open(key_folder, NOW)
    assert KeySet.open(key_folder, NOW + DAY).jwks() == first.jwks()


def test_a_key_id_is_the_thumbprint_of_rfc_8037(key_folder: Path) -> None:
    # RFC 8037, appendix A.1 and A.3
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    key = SigningKey.of(Ed25519PrivateKey.from_private_bytes(seed), NOW)
    assert key.id == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_after_a_rotation_the_new_key_signs_and_the_old_one_verifies(key_folder: Path) -> None:
    keys = KeySet.open(key_folder, NOW)
    old = keys.active
    new = keys.rotate(NOW + DAY)
    assert keys.active == new
    assert keys.public(old.id) is not None
    assert KeySet.open(key_folder, NOW + DAY).active.id == new.id


def test_rotating_with_a_clock_set_back_still_makes_the_newest_key(key_folder: Path) -> None:
    keys = KeySet.open(key_folder, NOW)
    second, third = keys.rotate(NOW - DAY), keys.rotate(NOW - DAY)
    assert second.made < third.made
    assert KeySet.open(key_folder, NOW).active.id == third.id


def test_a_retired_key_verifies_no_more_and_its_file_is_gone(key_folder: Path) -> None:
    keys = KeySet.open(key_folder, NOW)
    old = keys.active
    keys.rotate(NOW + DAY)
    assert keys.retire(NOW + DAY) == ()
    assert keys.retire(NOW + DAY + 1) == (old,)
    assert keys.public(old.id) is None
    assert keys.active.id in only_file(key_folder).name


def test_the_active_key_is_never_retired(key_folder: Path) -> None:
    keys = KeySet.open(key_folder, NOW)
    assert keys.retire(NOW + 1000 * DAY) == ()


def test_the_published_set_holds_public_keys_only(key_folder: Path) -> None:
    keys = KeySet.open(key_folder, NOW)
    keys.rotate(NOW + 1)
    published = keys.jwks()
    assert isinstance(published, dict)
    read = jwt.PyJWKSet.from_dict(published).keys
    assert read[0].key_id == keys.active.id
    for jwk in read:
        assert jwk.key_id is not None
        assert keys.public(jwk.key_id) == jwk.key
        assert jwk._jwk_data.keys() == {"kty", "crv", "x", "kid", "use", "alg"}


@pytest.mark.parametrize(
    "key_id", ["", "../keys", "' OR 1=1 --", "https://evil.example/k", "K" * 43]
)
def test_an_unknown_key_id_names_no_key(key_folder: Path, key_id: str) -> None:
    assert KeySet.open(key_folder, NOW).public(key_id) is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_key_that_others_can_reach_is_refused(key_folder: Path, mode: int) -> None:
    KeySet.open(key_folder, NOW)
    only_file(key_folder).chmod(mode)
    with pytest.raises(KeyFileRefused, match="open to others"):
        KeySet.open(key_folder, NOW)


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o777])
def test_a_folder_that_others_can_reach_is_refused(key_folder: Path, mode: int) -> None:
    KeySet.open(key_folder, NOW)
    key_folder.chmod(mode)
    with pytest.raises(KeyFileRefused, match="open to others"):
        KeySet.open(key_folder, NOW)


def test_a_linked_key_is_refused(key_folder: Path, tmp_path: Path) -> None:
    KeySet.open(key_folder, NOW)
    path = only_file(key_folder)
    elsewhere = tmp_path / "elsewhere.pem"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    with pytest.raises(KeyFileRefused, match="not readable"):
        KeySet.open(key_folder, NOW)


def test_a_key_with_a_second_name_is_refused(key_folder: Path, tmp_path: Path) -> None:
    KeySet.open(key_folder, NOW)
    (tmp_path / "copy").hardlink_to(only_file(key_folder))
    with pytest.raises(KeyFileRefused, match="plain file of its own"):
        KeySet.open(key_folder, NOW)


def test_a_linked_folder_is_refused(key_folder: Path, tmp_path: Path) -> None:
    KeySet.open(tmp_path / "real", NOW)
    key_folder.parent.mkdir()
    key_folder.symlink_to(tmp_path / "real")
    with pytest.raises(KeyFileRefused, match="not a folder"):
        KeySet.open(key_folder, NOW)


def test_a_pipe_in_place_of_a_key_is_refused_without_waiting(key_folder: Path) -> None:
    KeySet.open(key_folder, NOW)
    path = only_file(key_folder)
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(KeyFileRefused, match="plain file of its own"):
        KeySet.open(key_folder, NOW)


def test_a_key_under_another_keys_name_is_refused(key_folder: Path, tmp_path: Path) -> None:
    KeySet.open(key_folder, NOW)
    KeySet.open(tmp_path / "other", NOW)
    only_file(key_folder).write_bytes(only_file(tmp_path / "other").read_bytes())
    with pytest.raises(KeyFileRefused, match="not the key that its name says"):
        KeySet.open(key_folder, NOW)


def ed448() -> bytes:
    key = Ed448PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def encrypted() -> bytes:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        pytest.param(b"", "not an unencrypted", id="empty"),
        pytest.param(b"\x00" * 100, "not an unencrypted", id="zeros"),
        pytest.param(b"x" * 100_000, "longer than", id="huge"),
        pytest.param(encrypted(), "not an unencrypted", id="encrypted"),
        pytest.param(ed448(), "not an Ed25519 key", id="other-curve"),
    ],
)
def test_a_file_that_holds_no_usable_key_is_refused(
    key_folder: Path, content: bytes, complaint: str
) -> None:
    KeySet.open(key_folder, NOW)
    only_file(key_folder).write_bytes(content)
    with pytest.raises(KeyFileRefused, match=complaint):
        KeySet.open(key_folder, NOW)


@pytest.mark.parametrize("name", ["key.pem", "1795154745-short.pem", "notes.txt"])
def test_a_file_that_is_not_named_like_a_key_is_refused(key_folder: Path, name: str) -> None:
    KeySet.open(key_folder, NOW)
    (key_folder / name).touch(0o600)
    with pytest.raises(KeyFileRefused, match="not named"):
        KeySet.open(key_folder, NOW)


def test_a_draft_that_a_crash_left_behind_is_no_key(key_folder: Path) -> None:
    keys = KeySet.open(key_folder, NOW)
    (key_folder / ".1795154745-draft.pem.new").write_bytes(b"half a k")
    assert KeySet.open(key_folder, NOW).jwks() == keys.jwks()


# -- shared with other gateways ----------------------------------------------------------------


@pytest.fixture
def pair(key_folder: Path) -> tuple[KeySet, KeySet]:
    first, second = (KeySet.open(key_folder, NOW, shared=True) for _ in range(2))
    return first, second


def test_what_another_gateway_signs_with_verifies_before_it_was_heard_of(
    pair: tuple[KeySet, KeySet],
) -> None:
    made = pair[0].rotate(NOW + 1)
    assert pair[1].public(made.id) is not None
    assert pair[1].active.id == made.id


def test_who_shares_no_keys_looks_for_none(key_folder: Path) -> None:
    alone = KeySet.open(key_folder, NOW)
    made = KeySet.open(key_folder, NOW).rotate(NOW + 1)
    assert alone.public(made.id) is None


def test_all_gateways_agree_on_the_order(pair: tuple[KeySet, KeySet], key_folder: Path) -> None:
    made = [keys.rotate(NOW + 1).id for keys in pair]  # in the same second, unknown to each other
    for keys in pair:
        keys.refresh()
    first, second, third = (
        [key.id for key in keys.all()] for keys in (*pair, KeySet.open(key_folder, NOW))
    )
    assert first == second == third
    assert set(first[:2]) == set(made)


def test_a_key_that_another_gateway_retired_is_gone(pair: tuple[KeySet, KeySet]) -> None:
    old = pair[0].active.id
    pair[0].rotate(NOW + 1)
    pair[1].refresh()
    pair[0].retire(NOW + DAY)
    pair[1].refresh()
    assert pair[1].public(old) is None


def test_two_gateways_may_retire_the_same_key(pair: tuple[KeySet, KeySet]) -> None:
    pair[0].rotate(NOW + 1)
    pair[1].refresh()
    for keys in pair:
        assert len(keys.retire(NOW + DAY)) == 1
        assert len(keys.all()) == 1


@pytest.mark.parametrize("harm", ["emptied", "removed", "loosened", "garbage"])
def test_keys_stay_as_they_were_when_the_folder_is_not_whole(
    pair: tuple[KeySet, KeySet], key_folder: Path, harm: str
) -> None:
    keys = pair[1]
    before, made = keys.all(), pair[0].rotate(NOW + 1)
    if harm == "emptied":
        for path in key_folder.iterdir():
            path.unlink()
    elif harm == "removed":
        key_folder.rename(key_folder.with_suffix(".away"))
    elif harm == "loosened":
        (key_folder / f"{made.made}-{made.id}.pem").chmod(0o644)
    else:
        (key_folder / f"{made.made}-{made.id}.pem").write_bytes(b"?")
    assert keys.public(made.id) is None
    with pytest.raises((KeyFileRefused, OSError)):
        keys.refresh()
    assert keys.all() == before


def test_an_unknown_key_id_is_no_path(pair: tuple[KeySet, KeySet]) -> None:
    for key_id in ("../keys", "", "\0", "/etc/passwd", "x" * 10_000):
        assert pair[0].public(key_id) is None

import hmac
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from audit.errors import SealBroken, SubjectErased
from audit.sealed import Vault, verify_commitment

KEK = b"k" * 32
ID = "0195d3a0-1234-7abc-8def-001122334455"
OTHER_ID = "0195d3a0-1234-7abc-8def-001122334456"
NEXT_MONTH = "0196d3a0-1234-7abc-8def-001122334455"
SECRET = b'{"amount":40,"to":"bob"}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "subjects"


@pytest.fixture
def vault(folder: Path) -> Vault:
    return Vault.open(folder, KEK)


def test_what_was_sealed_can_be_read_also_after_a_restart(vault: Vault, folder: Path) -> None:
    sealed = vault.seal("ana", ID, SECRET)
    assert sealed.length == len(SECRET)
    assert SECRET not in sealed.payload
    assert vault.open_payload(ID, sealed) == SECRET
    assert Vault.open(folder, KEK).open_payload(ID, sealed) == SECRET


def test_an_empty_payload_can_be_sealed(vault: Vault) -> None:
    assert vault.open_payload(ID, vault.seal("ana", ID, b"")) == b""


def test_the_same_text_of_two_entries_or_subjects_commits_differently(vault: Vault) -> None:
    commits = {
        vault.seal("ana", ID, SECRET).commit,
        vault.seal("ana", OTHER_ID, SECRET).commit,
        vault.seal("ana", NEXT_MONTH, SECRET).commit,
        vault.seal("bob", ID, SECRET).commit,
    }
    assert len(commits) == 4


def test_two_texts_for_one_entry_share_no_nonce(vault: Vault) -> None:
    one, two = vault.seal("ana", ID, b"a" * 32), vault.seal("ana", ID, b"b" * 32)
    assert one.commit[:24] != two.commit[:24]


def test_the_keys_of_an_entry_are_hkdf_expand_as_documented(vault: Vault, folder: Path) -> None:
    sealed = vault.seal("ana", ID, SECRET)
    (file,) = folder.iterdir()
    wrapped = file.read_bytes()
    subject_key = AESGCM(KEK).decrypt(wrapped[:12], wrapped[12:], file.name.encode())
    info = b"passavant-seal-v1\n" + ID.encode()
    derived = HKDFExpand(SHA512(), 64, info).derive(subject_key)
    commit = hmac.digest(derived[32:], SECRET, "sha256")
    assert sealed.commit == commit.hex()
    assert AESGCM(derived[:32]).decrypt(commit[:12], sealed.payload[25:], None) == SECRET
    assert vault.disclose(ID, sealed) == derived[32:]


def test_a_disclosed_key_checks_one_entry_and_no_other(vault: Vault) -> None:
    k_c = vault.disclose(ID, vault.seal("ana", ID, SECRET))
    sealed, other = vault.seal("ana", ID, SECRET), vault.seal("ana", OTHER_ID, SECRET)
    assert verify_commitment(k_c, SECRET, sealed.commit)
    assert not verify_commitment(k_c, SECRET + b" ", sealed.commit)
    assert not verify_commitment(k_c, SECRET, other.commit)


def test_erasing_destroys_every_month_of_the_subject_and_nothing_else(
    vault: Vault, folder: Path
) -> None:
    erased = [(i, vault.seal("ana", i, SECRET)) for i in (ID, OTHER_ID, NEXT_MONTH)]
    kept = vault.seal("bob", ID, SECRET)
    assert vault.erase("ana") == 2
    assert len(list(folder.iterdir())) == 1
    for reader in (vault, Vault.open(folder, KEK)):
        for entry_id, sealed in erased:
            with pytest.raises(SubjectErased):
                reader.open_payload(entry_id, sealed)
            with pytest.raises(SubjectErased):
                reader.disclose(entry_id, sealed)
        assert reader.open_payload(ID, kept) == SECRET


def test_a_subject_that_returns_does_not_revive_what_was_erased(vault: Vault) -> None:
    before = vault.seal("ana", ID, SECRET)
    vault.erase("ana")
    after = vault.seal("ana", OTHER_ID, SECRET)
    assert vault.open_payload(OTHER_ID, after) == SECRET
    with pytest.raises(SubjectErased):
        vault.open_payload(ID, before)


def test_erasing_overwrites_before_it_unlinks(vault: Vault, folder: Path, tmp_path: Path) -> None:
    vault.seal("ana", ID, SECRET)
    (file,) = folder.iterdir()
    before = file.read_bytes()
    second_name = tmp_path / "second-name"
    second_name.hardlink_to(file)
    vault.erase("ana")
    assert second_name.read_bytes() != before


def test_erasing_keeps_the_months_of_entries_that_are_to_stay(vault: Vault) -> None:
    gone, stays = vault.seal("ana", ID, SECRET), vault.seal("ana", NEXT_MONTH, SECRET)
    assert vault.erase("ana", but=[NEXT_MONTH]) == 1
    assert vault.open_payload(NEXT_MONTH, stays) == SECRET
    with pytest.raises(SubjectErased):
        vault.open_payload(ID, gone)


def test_of_all_keys_only_those_that_are_needed_can_be_kept(vault: Vault, folder: Path) -> None:
    kept = vault.seal("ana", ID, SECRET)
    gone = [("ana", NEXT_MONTH), ("bob", ID)]
    sealed = [(entry_id, vault.seal(subject, entry_id, SECRET)) for subject, entry_id in gone]
    (folder / "half-written.part").write_bytes(b"what a crash left")
    assert vault.erase_all(but=[("ana", ID), ("eve", ID)]) == 3
    assert len(list(folder.iterdir())) == 1
    assert vault.open_payload(ID, kept) == SECRET
    for entry_id, each in sealed:
        with pytest.raises(SubjectErased):
            vault.open_payload(entry_id, each)


def test_erasing_a_stranger_destroys_nothing(vault: Vault) -> None:
    assert vault.erase("nobody") == 0


def test_key_files_are_private_and_name_nobody(vault: Vault, folder: Path) -> None:
    vault.seal("ana@example.com", ID, SECRET)
    (file,) = folder.iterdir()
    assert "ana" not in file.name
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("position", [0, 1, 17, 25, -1])
def test_an_altered_payload_is_refused(vault: Vault, position: int) -> None:
    sealed = vault.seal("ana", ID, SECRET)
    altered = bytearray(sealed.payload)
    altered[position] ^= 1
    with pytest.raises((SealBroken, SubjectErased)):
        vault.open_payload(ID, replace(sealed, payload=bytes(altered)))


def test_a_payload_of_another_entry_is_refused(vault: Vault) -> None:
    with pytest.raises(SealBroken):
        vault.open_payload(OTHER_ID, vault.seal("ana", ID, SECRET))


def test_another_commitment_is_refused(vault: Vault) -> None:
    sealed = vault.seal("ana", ID, SECRET)
    # The first 12 bytes are the nonce; beyond them only the comparison can tell.
    commit = sealed.commit[:-1] + ("0" if sealed.commit[-1] != "0" else "1")
    with pytest.raises(SealBroken):
        vault.open_payload(ID, replace(sealed, commit=commit))


def test_another_key_encryption_key_opens_nothing(vault: Vault, folder: Path) -> None:
    sealed = vault.seal("ana", ID, SECRET)
    with pytest.raises(SealBroken):
        Vault.open(folder, b"z" * 32).open_payload(ID, sealed)


def test_key_files_cannot_change_places(vault: Vault, folder: Path) -> None:
    sealed = vault.seal("ana", ID, SECRET)
    (own,) = folder.iterdir()
    vault.seal("bob", ID, SECRET)
    (other,) = set(folder.iterdir()) - {own}
    own.write_bytes(other.read_bytes())
    with pytest.raises(SealBroken):
        Vault.open(folder, KEK).open_payload(ID, sealed)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_encryption_key_has_32_bytes(folder: Path, length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Vault.open(folder, b"k" * length)

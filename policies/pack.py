"""Packs: policies that come with the program, to be used beside an operator's own files.

A pack names no tool and no value. It is copied into the set it is used in and reviewed there like
any other file: what is in force never changes because the program was replaced.
"""

from importlib.resources import files

PACKS = ("guard",)
"""Every pack; what each is for stands at its head."""


def pack(name: str) -> bytes:
    """The policy file of one of PACKS."""
    assert name in PACKS
    folder = files("policies") / "packs" / name
    return (folder / f"{name}.policy.yaml").read_bytes()

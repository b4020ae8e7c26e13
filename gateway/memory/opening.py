"""Opening memory: what belongs to it put together, over the state and the log of one gateway."""

from dataclasses import dataclass

from audit.sealed import Vault
from gateway.home import Home
from gateway.memory.memory import Memory
from gateway.memory.retention import Retention
from gateway.memory.texts import Texts
from gateway.recorder import Recorder
from gateway.state import State


@dataclass(frozen=True, slots=True)
class Remembering:
    """Memory, and what ends in it."""

    memory: Memory
    retention: Retention


def remembering(state: State, recorder: Recorder, home: Home) -> Remembering:
    """Memory as the state has it; from now on what was a session's own ends with it.

    Raises OSError.
    """
    kek = home.vault_key()
    texts = Texts(
        recorder,
        sessions=Vault.open(home.session_keys, kek),
        spaces=Vault.open(home.space_keys, kek),
    )
    memory = Memory(state.memory, texts, recorder, state.sessions)
    retention = Retention(state.memory, texts, recorder, state.sessions, memory.turns)
    state.sessions.when_ended = retention.sweep
    return Remembering(memory, retention)

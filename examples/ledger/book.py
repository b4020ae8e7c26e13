"""The book: accounts and the payments between them, in one SQLite file.

Amounts are whole units of one currency. Every change is one transaction, so money is never made,
lost or moved halfway:

    BookError           book                    something the book refuses
    +- NoSuchAccount    book.no-such-account    a payment names an account that is not kept here
    +- SameAccount      book.same-account       a payment to the account it comes from
    +- Overdraft        book.overdraft          the account holds less than the amount
    +- NoSuchPayment    book.no-such-payment    a refund of something never paid
    +- AlreadyRefunded  book.already-refunded   a second refund of one payment
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from typing_extensions import TypedDict  # Pydantic asks for it below Python 3.12


class Account(TypedDict):
    """What one account holds."""

    name: str
    balance: int


# Written as a call because `from` cannot be the name of a class member.
Payment = TypedDict(
    "Payment",
    {"payment": int, "from": str, "to": str, "amount": int, "note": str, "refunded": bool},
)

SEED = {"office": 10_000, "paper": 0, "coffee": 0, "mallory": 0}

_SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
    name TEXT PRIMARY KEY,
    balance INTEGER NOT NULL CHECK (balance >= 0)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS payments (
    payment INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL REFERENCES accounts (name),
    target TEXT NOT NULL REFERENCES accounts (name),
    amount INTEGER NOT NULL CHECK (amount > 0),
    note TEXT NOT NULL,
    refunded INTEGER NOT NULL DEFAULT 0 CHECK (refunded IN (0, 1))
) STRICT;
"""


class BookError(Exception):
    """Something the book refuses."""

    code = "book"


class NoSuchAccount(BookError):
    """A payment names an account that is not kept here."""

    code = "book.no-such-account"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no account {name!r}")
        self.name = name


class SameAccount(BookError):
    """A payment goes to the account it comes from."""

    code = "book.same-account"

    def __init__(self, name: str) -> None:
        super().__init__(f"account {name!r} cannot pay itself")
        self.name = name


class Overdraft(BookError):
    """An account holds less than it should give."""

    code = "book.overdraft"

    def __init__(self, name: str, *, balance: int, amount: int) -> None:
        super().__init__(f"account {name!r} holds {balance}, less than {amount}")
        self.name, self.balance, self.amount = name, balance, amount


class NoSuchPayment(BookError):
    """A refund names a payment that was never made."""

    code = "book.no-such-payment"

    def __init__(self, payment: int) -> None:
        super().__init__(f"there is no payment {payment}")
        self.payment = payment


class AlreadyRefunded(BookError):
    """A payment is given back at most once."""

    code = "book.already-refunded"

    def __init__(self, payment: int) -> None:
        super().__init__(f"payment {payment} was refunded before")
        self.payment = payment


class Book:
    """All accounts and payments of one file; safe to use from many threads and processes."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with closing(self._connect()) as database:
            database.executescript(_SCHEMA)
        with self._change() as database:
            database.executemany("INSERT OR IGNORE INTO accounts VALUES (?, ?)", SEED.items())

    def accounts(self) -> list[Account]:
        """All accounts by name, with what they hold."""
        with closing(self._connect()) as database:
            rows = database.execute("SELECT name, balance FROM accounts ORDER BY name")
            return [{"name": row["name"], "balance": row["balance"]} for row in rows]

    def payments(self) -> list[Payment]:
        """All payments, oldest first."""
        with closing(self._connect()) as database:
            return [_payment(row) for row in database.execute("SELECT * FROM payments ORDER BY 1")]

    def pay(self, *, source: str, target: str, amount: int, note: str) -> Payment:
        """Move `amount`, above 0, from one account to another.

        Raises NoSuchAccount, SameAccount or Overdraft, and then nothing has moved.
        """
        if source == target:
            raise SameAccount(source)
        with self._change() as database:
            _move(database, source=source, target=target, amount=amount)
            row = database.execute(
                "INSERT INTO payments (source, target, amount, note) VALUES (?, ?, ?, ?)"
                " RETURNING *",
                (source, target, amount, note),
            ).fetchone()
            return _payment(row)

    def refund(self, payment: int) -> Payment:
        """Move the money of one payment back, once.

        Raises NoSuchPayment, AlreadyRefunded, or Overdraft when the receiver has spent it.
        """
        with self._change() as database:
            row = database.execute(
                "UPDATE payments SET refunded = 1 WHERE payment = ? AND refunded = 0 RETURNING *",
                (payment,),
            ).fetchone()
            if row is None:
                raise _why_not_refunded(database, payment)
            refunded = _payment(row)
            _move(
                database,
                source=refunded["to"],
                target=refunded["from"],
                amount=refunded["amount"],
            )
            return refunded

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with closing(self._connect()) as database:
            # Takes the write lock before anything is read: two changes never see the same balance.
            database.execute("BEGIN IMMEDIATE")
            with database:  # commits, or rolls back on any error
                yield database

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._file, timeout=10, isolation_level=None)
        database.row_factory = sqlite3.Row
        database.execute("PRAGMA foreign_keys = ON")
        return database


def _move(database: sqlite3.Connection, *, source: str, target: str, amount: int) -> None:
    balance = _balance(database, source)
    _balance(database, target)
    if balance < amount:
        raise Overdraft(source, balance=balance, amount=amount)
    change = "UPDATE accounts SET balance = balance + ? WHERE name = ?"
    database.executemany(change, [(-amount, source), (amount, target)])


def _balance(database: sqlite3.Connection, name: str) -> int:
    row = database.execute("SELECT balance FROM accounts WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise NoSuchAccount(name)
    return int(row["balance"])


def _why_not_refunded(database: sqlite3.Connection, payment: int) -> BookError:
    found = database.execute("SELECT 1 FROM payments WHERE payment = ?", (payment,)).fetchone()
    return AlreadyRefunded(payment) if found else NoSuchPayment(payment)


def _payment(row: sqlite3.Row) -> Payment:
    return {
        "payment": row["payment"],
        "from": row["source"],
        "to": row["target"],
        "amount": row["amount"],
        "note": row["note"],
        "refunded": bool(row["refunded"]),
    }

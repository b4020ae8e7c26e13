"""Reading the text of a condition.

    or      = and { "||" and }
    and     = relation { "&&" relation }
    relation = unary [ ( "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" ) unary ]
    unary   = "!" unary | "-" number | member
    member  = primary { "." name | "." name "(" arguments ")" | "[" text "]" }
    primary = literal | name | name "(" arguments ")" | "(" or ")" | "[" literals "]"

Both length and depth are bounded; reading takes one pass.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple, NoReturn

from audit.canonical import MAX_SAFE
from policies.condition import (
    And,
    Call,
    Compare,
    Condition,
    Has,
    In,
    Node,
    Not,
    Or,
    Path,
    Scalar,
    Value,
    paths,
)
from policies.errors import ConditionInvalid
from policies.history import questions
from policies.text import is_plain

MAX_LENGTH = 2_000
MAX_DEPTH = 32


def parse(text: str) -> Condition:
    """Read the text of one condition.

    Raises ConditionInvalid, with the offset of what is wrong, for everything outside the language.
    """
    if len(text) > MAX_LENGTH:
        raise ConditionInvalid(
            f"a condition has at most {MAX_LENGTH} characters, this one {len(text)}",
            offset=MAX_LENGTH,
            code="condition.too-long",
        )
    root = _Parser(tuple(_tokens(text))).whole()
    reads = {str(path) for path in paths(root)} | {each.path for each in questions(root)}
    return Condition(text, root, tuple(sorted(reads)))


# -- tokens ------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""[ \t\n\r]*(?:
      (?P<number>(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![0-9A-Za-z_.]))
    | (?P<raw>r'[^'\n]*'|r"[^"\n]*")
    | (?P<text>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign>&&|\|\||[=!<>]=|[<>!()\[\],.-])
    )""",
    re.VERBOSE,
)
_BLANK = re.compile(r"[ \t\n\r]*\Z")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "r": "\r", "t": "\t"}
_CONSTANTS: dict[str, Scalar] = {"true": True, "false": False, "null": None}
# Reserved by CEL: no fact and no function may ever take such a name.
_RESERVED = frozenset(
    [
        *("as", "break", "const", "continue", "else", "for", "function", "if", "import", "let"),
        *("loop", "namespace", "package", "return", "var", "void", "while"),
    ]
)


class _Token(NamedTuple):
    kind: str  # number, text, name, sign, end
    text: str
    value: Scalar
    at: int
    end: int


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while not _BLANK.match(text, at):
        match = _TOKEN.match(text, at)
        if match is None:
            start = at + len(text[at:]) - len(text[at:].lstrip(" \t\n\r"))
            _refuse(f"cannot read {text[start]!r} here", start)
        kind = match.lastgroup or ""
        yield _token(kind, match[kind], match.start(kind))
        at = match.end()
    yield _Token("end", "the end", None, len(text), len(text))


def _token(kind: str, text: str, at: int) -> _Token:
    end = at + len(text)
    if kind == "number":
        return _Token(kind, text, _number(text, at), at, end)
    if kind == "raw":
        return _Token("text", text, _checked(text[2:-1], at), at, end)
    if kind == "text":
        return _Token(kind, text, _checked(_unescape(text[1:-1], at), at), at, end)
    return _Token(kind, text, None, at, end)


def _number(text: str, at: int) -> int | float:
    if text.isdigit():
        whole = int(text) if len(text) <= 16 else MAX_SAFE + 1
        return whole if whole <= MAX_SAFE else _refuse("whole numbers end at 2^53-1", at)
    number = float(text)
    if abs(number) > MAX_SAFE:
        _refuse("numbers end at 2^53-1", at)
    return number


def _unescape(text: str, at: int) -> str:
    def replace(match: re.Match[str]) -> str:
        known = _ESCAPES.get(match[1])
        return known if known is not None else _refuse(f"unknown escape \\{match[1]}", at)

    return _ESCAPE.sub(replace, text)


def _checked(text: str, at: int) -> str:
    """A reviewer must see what is compared: nothing invisible, one spelling of each letter."""
    if not is_plain(text, lines=True):
        _refuse("text holds invisible characters, mixed letters, or is not in NFC", at)
    return text


def _refuse(message: str, at: int, hint: str | None = None) -> NoReturn:
    raise ConditionInvalid(message, offset=at, code="condition.syntax", hint=hint)


# -- grammar -----------------------------------------------------------------------------------

_RELATIONS = frozenset(["==", "!=", "<", "<=", ">", ">=", "in"])
# Name to number of arguments; of a method the receiver is counted.
_FUNCTIONS = {"size": 1, "has": 1, "timestamp": 1, "duration": 1, "domain": 1, "under": 2}
_FUNCTIONS |= {"before": 1, "since": 1, "count": 2}
_METHODS = {"size": 1, "startsWith": 2, "endsWith": 2, "contains": 2, "matches": 2}


class _Parser:
    """Recursive descent; every way down passes `_nested`, which bounds it."""

    def __init__(self, tokens: tuple[_Token, ...]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._or()
        if self._peek.kind != "end":
            _refuse(f"did not expect {self._peek.text} here", self._peek.at)
        return node

    @property
    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._peek
        self._next += token.kind != "end"
        return token

    def _sees(self, sign: str) -> bool:
        return self._peek.kind == "sign" and self._peek.text == sign

    def _accepts(self, sign: str) -> bool:
        seen = self._sees(sign)
        self._next += seen
        return seen

    def _expect(self, sign: str) -> int:
        if not self._sees(sign):
            _refuse(f"expected {sign} instead of {self._peek.text}", self._peek.at)
        return self._take().end

    def _or(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            _refuse(f"nested deeper than {MAX_DEPTH}", self._peek.at)
        parts = [self._and()]
        while self._accepts("||"):
            parts.append(self._and())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else Or(tuple(parts), parts[0].at, parts[-1].end)

    def _and(self) -> Node:
        parts = [self._relation()]
        while self._accepts("&&"):
            parts.append(self._relation())
        return parts[0] if len(parts) == 1 else And(tuple(parts), parts[0].at, parts[-1].end)

    def _relation(self) -> Node:
        left = self._unary()
        if self._peek.text not in _RELATIONS or self._peek.kind == "text":
            return left
        op = self._take().text
        right = self._unary()
        if self._peek.text in _RELATIONS and self._peek.kind != "text":
            _refuse("comparisons do not chain: join them with &&", self._peek.at)
        if op == "in":
            return In(left, right, left.at, right.end)
        return Compare(op, left, right, left.at, right.end)

    def _unary(self) -> Node:
        at = self._peek.at
        if self._accepts("-"):
            token = self._take()
            if token.kind != "number" or not isinstance(token.value, int | float):
                _refuse("a minus stands only before a number", at)
            return Value(-token.value, at, token.end)
        if not self._accepts("!"):
            return self._member()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            _refuse(f"nested deeper than {MAX_DEPTH}", at)
        of = self._unary()
        self._depth -= 1
        return Not(of, at, of.end)

    def _member(self) -> Node:
        node = self._primary()
        while True:
            if self._accepts("."):
                node = self._select(node)
            elif self._accepts("["):
                node = self._index(node)
            else:
                return node

    def _select(self, node: Node) -> Node:
        name = self._take()
        if name.kind != "name" or name.text in _CONSTANTS or name.text == "in":
            _refuse(f"expected a name instead of {name.text}", name.at, 'write ["..."]')
        if self._accepts("("):
            return self._call(name, _METHODS, node.at, node)
        return _deeper(node, name.text, name)

    def _index(self, node: Node) -> Node:
        key = self._take()
        if key.kind != "text" or not isinstance(key.value, str):
            _refuse("an index is a text: lists are asked with `in` and `size`", key.at)
        end = self._expect("]")
        return _deeper(node, key.value, _Token("text", "", None, key.at, end))

    def _primary(self) -> Node:
        token = self._take()
        if token.kind in {"number", "text"}:
            return Value(token.value, token.at, token.end)
        if token.kind == "name":
            return self._named(token)
        if token.kind == "sign" and token.text == "(":
            node = self._or()
            self._expect(")")
            return node
        if token.kind == "sign" and token.text == "[":
            return self._list(token)
        _refuse(f"did not expect {token.text} here", token.at)

    def _named(self, token: _Token) -> Node:
        if token.text in _CONSTANTS:
            return Value(_CONSTANTS[token.text], token.at, token.end)
        if token.text in _RESERVED or token.text == "in":
            _refuse(f"{token.text} is a reserved word", token.at)
        if self._accepts("("):
            return self._call(token, _FUNCTIONS, token.at)
        return Path(token.text, (), token.at, token.end)

    def _list(self, opening: _Token) -> Node:
        values: list[Scalar] = []
        while not self._sees("]"):
            values.append(self._literal())
            if not self._accepts(","):
                break
        return Value(tuple(values), opening.at, self._expect("]"))

    def _literal(self) -> Scalar:
        minus = self._accepts("-")
        token = self._take()
        if token.kind == "number" and isinstance(token.value, int | float):
            return -token.value if minus else token.value
        if token.kind == "text" and not minus:
            return token.value
        if token.kind == "name" and token.text in _CONSTANTS and not minus:
            return _CONSTANTS[token.text]
        _refuse("a list holds numbers, texts, true, false and null", token.at)

    def _call(self, name: _Token, known: Mapping[str, int], at: int, *receiver: Node) -> Node:
        if name.text not in known:
            _refuse(f"there is no {name.text}()", name.at, f"known: {', '.join(known)}")
        args = [*receiver]
        if not self._sees(")"):
            args.append(self._or())
        while self._accepts(","):
            args.append(self._or())
        end = self._expect(")")
        if len(args) != known[name.text]:
            _refuse(f"{name.text}() takes {known[name.text] - len(receiver)} argument(s)", name.at)
        if name.text != "has":
            return Call(name.text, tuple(args), at, end)
        path = args[0]
        if not isinstance(path, Path) or not path.fields:
            _refuse("has() takes a member, as in has(args.amount)", path.at)
        return Has(path, at, end)


def _deeper(node: Node, field: str, token: _Token) -> Path:
    if not isinstance(node, Path):
        _refuse("only facts have members", token.at)
    return Path(node.root, (*node.fields, field), node.at, token.end)

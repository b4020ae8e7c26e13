"""The kernel: facts in, decision out.

A pure function of snapshot and facts that never raises: whatever breaks inside is a denial. First
come the checks that need no rule: who is known, on whose behalf, for which tools. Then every agent
of the chain is decided by the rules as if it called itself, and the strictest answer stands: deny
beats ask beats allow, and nothing matched is a denial.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from typing import TypeAlias

from policies.clause import Clause
from policies.decision import Decision, Facts, Obligation
from policies.match import NOTHING, Match
from policies.register import RISKS
from policies.snapshot import Snapshot, covers, is_one_of

Refusal: TypeAlias = tuple[str, str]
"""The id that stands for a rule, and the reason."""

_STATED = frozenset({"risk", "sink"})
"""Facts that the policy itself states of the tool."""


def decide(snapshot: Snapshot, facts: Facts, *, seen: bool = False) -> Decision:
    """The answer of the policy. Never raises: any failure inside is a denial.

    seen  `may_see` has said yes for the same snapshot, caller and tool: what it looked at is not
          looked at again
    """
    try:
        return _decided(snapshot, facts, seen=seen)
    except Exception as error:  # noqa: BLE001 - the outermost handler of a decision
        return Decision(
            effect="deny",
            rules=("engine-error",),
            obligations=(),
            limits=(),
            budgets=(),
            reason="The decision could not be made.",
            errors=(f"engine-error: {type(error).__name__}",),
            snapshot=_digest(snapshot),
        )


def may_see(
    snapshot: Snapshot,
    agent: str,
    user: str | None,
    user_groups: frozenset[str],
    chain: tuple[str, ...],
    scopes: tuple[str, ...],
    tool: str,
    proven: bool = False,  # noqa: FBT001, FBT002 - one of the members of `Facts`
) -> bool:
    """May a call of this tool pass with some arguments, in some state of the session?

    What may not is left out of listings. Never raises: any failure inside is a no.
    """
    try:
        facts = Facts(
            agent,
            tool,
            {},
            user=user,
            user_groups=user_groups,
            chain=chain,
            scopes=scopes,
            proven=proven,
        )
        return refusal(snapshot, facts) is None and all(
            snapshot.engine.may_pass(link, tool) for link in (agent, *chain)
        )
    except Exception:  # noqa: BLE001 - the outermost handler, as in `decide`
        return False


def refusal(snapshot: Snapshot, facts: Facts, *, seen: bool = False) -> Refusal | None:
    """What refuses the call before any rule is read, or None. seen  as in `decide`"""
    for check in _IN_TIME if seen else _CHECKS:
        refused = check(snapshot, facts)
        if refused is not None:
            return refused
    return None


def _digest(snapshot: object) -> str:
    """Of what may not even be a snapshot: this runs where everything else has failed."""
    return snapshot.digest if isinstance(snapshot, Snapshot) else ""


def _decided(snapshot: Snapshot, facts: Facts, *, seen: bool) -> Decision:
    refused = refusal(snapshot, facts, seen=seen)
    if refused is not None:
        return _denied(snapshot, (refused[0],), refused[1])
    if not snapshot.engine.roots.isdisjoint(_STATED):
        facts = snapshot.stated(facts)
    match = snapshot.engine.match(facts.agent, facts.tool, facts)
    for link in facts.chain:
        if not match.allowed:
            break
        of_link = replace(facts, agent=link)
        match = _both(match, snapshot.engine.match(link, facts.tool, of_link))
    if match.allowed:
        return _permitted(snapshot, match)
    return _refused_by_rules(snapshot, facts, match)


def _refused_by_rules(snapshot: Snapshot, facts: Facts, match: Match) -> Decision:
    """Some link did not pass: a refusal matched, or nothing did."""
    denying = [clause for clause in match.matched if clause.effect == "deny"]
    if not denying:
        who = ", ".join((facts.agent, *facts.chain))
        return _denied(snapshot, (), f"No rule lets {who} use {facts.tool} in this way.", match)
    clause = denying[0]
    kind = "Guardrail" if clause.is_guardrail else "Rule"
    return _denied(snapshot, (clause.id,), f"{kind} {clause.id} denies it{_because(clause)}", match)


def _permitted(snapshot: Snapshot, match: Match) -> Decision:
    """Casbin let every link pass; asks among what matched make it stricter."""
    if match.granted is None:
        match.granted = _grant(snapshot, match)
    return match.granted


def _grant(snapshot: Snapshot, match: Match) -> Decision:
    matched = match.matched
    asking = [clause for clause in matched if clause.effect == "ask"]
    rules = tuple([clause.id for clause in asking or matched])
    verb = "asks people first" if asking else "allows it"
    return Decision(
        effect="ask" if asking else "allow",
        rules=rules,
        obligations=_obligations(asking) if asking else (),
        limits=_distinct([clause.limits for clause in matched]),
        budgets=_distinct([clause.budgets for clause in matched]),
        reason=f"{', '.join(rules)} {verb}{_because((asking or matched)[0])}",
        errors=match.errors,
        snapshot=snapshot.digest,
        read=match.read,
    )


def _denied(
    snapshot: Snapshot, rules: tuple[str, ...], reason: str, match: Match = NOTHING
) -> Decision:
    return Decision(
        effect="deny",
        rules=rules,
        obligations=(),
        limits=(),
        budgets=(),
        reason=reason,
        errors=match.errors,
        snapshot=snapshot.digest,
        read=match.read,
    )


# -- checks that need no rule ------------------------------------------------------------------


def _agents_are_known(snapshot: Snapshot, facts: Facts) -> Refusal | None:
    for link in (facts.agent, *facts.chain):
        if link not in snapshot.agents:
            return "agent:unknown", "No policy lists this agent."
    return None


def _agents_have_time(snapshot: Snapshot, facts: Facts) -> Refusal | None:
    for link in (facts.agent, *facts.chain):
        if snapshot.agents[link].has_ended(facts.now):
            return "agent:expired", f"The registration of {link} has ended."
    return None


def _tool_is_known(snapshot: Snapshot, facts: Facts) -> Refusal | None:
    if facts.tool in snapshot.tools:
        return None
    return "tool:unknown", "No policy lists this tool."


def _someone_is_served(snapshot: Snapshot, facts: Facts) -> Refusal | None:
    if facts.user is not None:
        return None
    for link in (facts.agent, *facts.chain):
        if snapshot.agents[link].on_behalf_of == "required":
            return "agent:on-behalf-of", f"{link} acts only on behalf of a user."
    return None


def _token_covers(snapshot: Snapshot, facts: Facts) -> Refusal | None:
    del snapshot
    if covers(facts.scopes, facts.tool):
        return None
    return "scope", f"The token does not cover {facts.tool}."


def _risk_is_low_enough(snapshot: Snapshot, facts: Facts) -> Refusal | None:
    risk = snapshot.tools[facts.tool].risk
    for link in (facts.agent, *facts.chain):
        if _HEIGHT[risk] > _HEIGHT[snapshot.agents[link].max_risk]:
            return "agent:max-risk", f"{facts.tool} is {risk}, which is more than {link} may do."
    return None


_HEIGHT: dict[str, int] = {risk: height for height, risk in enumerate(RISKS)}


def _key_is_proven(snapshot: Snapshot, facts: Facts) -> Refusal | None:
    """Of every link: else what one may not do with a stolen token, another could do for it."""
    if facts.proven:
        return None
    risk = snapshot.tools[facts.tool].risk
    for link in (facts.agent, *facts.chain):
        demanded = snapshot.agents[link].proof_of_possession
        if demanded is not None and _HEIGHT[risk] >= _HEIGHT.get(demanded, 0):
            return "agent:proof", f"{link} does this only with proof of its key."
    return None


def _purpose_needs_it(snapshot: Snapshot, facts: Facts) -> Refusal | None:
    del snapshot
    if facts.purpose_tools is None or covers(facts.purpose_tools, facts.tool):
        return None
    return "purpose", f"The purpose of this session does not need {facts.tool}."


def _was_handed_on(snapshot: Snapshot, facts: Facts) -> Refusal | None:
    """Each link handed the work to the next by an edge that covers the tool, without a circle."""
    if not facts.chain:
        return None
    links = (facts.agent, *facts.chain)
    if len(facts.chain) > snapshot.delegation.max_hops or len(set(links)) < len(links):
        return "delegation", "The chain of agents is too long, or goes in a circle."
    for actor, origin in pairwise(links):
        if not covers(snapshot.delegation.edges.get((origin, actor), ()), facts.tool):
            return "delegation", f"{origin} may not hand {facts.tool} on to {actor}."
    return None


def _user_may(snapshot: Snapshot, facts: Facts) -> Refusal | None:
    """Every list that holds the user covers the tool; without one, the default does."""
    users, user = snapshot.users, facts.user
    if user is None or not (users.lists or users.default is not None):
        return None
    held = [each for each in users.lists if is_one_of(each.people, user, facts.user_groups)]
    for each in held:
        if not covers(each.tools, facts.tool):
            return f"user:{each.name}", f"{facts.tool} may not be done in the name of this user."
    if not held and users.default is not None and not covers(users.default, facts.tool):
        return "user:default", f"{facts.tool} may not be done in the name of this user."
    return None


_CHECKS: tuple[Callable[[Snapshot, Facts], Refusal | None], ...] = (
    _agents_are_known,
    _agents_have_time,
    _tool_is_known,
    _someone_is_served,
    _token_covers,
    _risk_is_low_enough,
    _key_is_proven,
    _purpose_needs_it,
    _was_handed_on,
    _user_may,
)

_IN_TIME = (_agents_have_time, _purpose_needs_it)
"""Those whose answer is another from call to call: they read what `may_see` is not told."""


# -- joining what several clauses, or several links, say ---------------------------------------


def _because(clause: Clause) -> str:
    return f": {clause.why}" if clause.why else "."


def _both(one: Match, other: Match) -> Match:
    """Two links of a chain: both must pass, and what was said of either is said of both."""
    clauses = {clause.id: clause for clause in (*one.matched, *other.matched)}
    return Match(
        allowed=one.allowed and other.allowed,
        matched=tuple(clauses.values()),
        errors=_distinct([one.errors, other.errors]),
        read=_distinct([one.read, other.read]),
    )


def _obligations(asking: Sequence[Clause]) -> tuple[Obligation, ...]:
    """Each demand once, by the name of its terms."""
    demanded = [clause.obligation for clause in asking if clause.obligation is not None]
    return tuple({obligation.approval: obligation for obligation in demanded}.values())


def _distinct(several: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """All names without repetitions, in order."""
    if len(several) == 1:
        return several[0]
    return tuple(dict.fromkeys(chain.from_iterable(several)))

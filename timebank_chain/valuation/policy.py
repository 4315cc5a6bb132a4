"""What a valuation policy is: the published rules that turn acts into value, as one hashed document.

A policy is JSON (schema ``timebank.policy/1``) and is refused unless every field is known, of the right
type and within its bounds: ranks and amounts are integers, nothing is rounded on reading. Its identity
on chain covers everything that changes a result; title and sources explain and are not hashed.

The hash is a tree, so that a proof about one domain need not carry the others::

    policy_hash = keccak256(abi.encode(PolicyHead))     name, version, decay_k, epoch_ms, initial_rate_q24,
      |                                                 brackets hash, domains hash
      |- keccak256(abi.encode(Bracket[]))
      `- keccak256(abi.encodePacked(domain hashes))     each keccak256(abi.encode(DomainPolicy))
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

from timebank_chain.documents import TooDeep, TooLarge, parse_json, read_small_text
from timebank_chain.errors import PolicyError
from timebank_chain.policies import preset_names, read_preset
from timebank_chain.units import MAX_INDICATOR, MAX_RANK_MILLI, MAX_TIME_MS, MILLI, parse_duration
from timebank_chain.valuation.decay import MAX_DECAY_K, decay_constant

SCHEMA = "timebank.policy/1"
MAX_QUALITY = 1_000_000_000
MAX_FACTOR_MILLI = 4_000
MAX_KNOTS = 16
MAX_BRACKETS = 8
MAX_DOMAINS = 64
MAX_NAME_BYTES = 32
MAX_RATE_Q24 = (1 << 64) - 1
_MAX_POLICY_BYTES = 1_000_000

_HEAD_TYPE = "(bytes32,uint32,uint64,uint64,uint64,bytes32,bytes32)"
_BRACKETS_TYPE = "(uint32,uint16)[]"
_DOMAIN_TYPE = (
    "(bytes32,uint48,uint32,uint32,uint16,uint16,(uint32,uint16)[],(uint32,uint16)[],(uint32,uint16)[])"
)

_POLICY_FIELDS = (
    "schema", "name", "version", "title", "sources", "tau", "decay_k", "epoch", "epoch_ms",
    "initial_rate_q24", "brackets", "domains",
)  # fmt: skip
_DOMAIN_FIELDS = (
    "name", "window", "window_ms", "low", "high", "bonus_milli", "penalty_milli",
    "interaction", "originality", "engagement",
)  # fmt: skip
_BRACKET_FIELDS = ("from_multiple_milli", "slope_milli")


@dataclass(frozen=True, slots=True)
class Knot:
    """A point of a scoring function: raw indicator -> rank, both in thousandths."""

    raw_milli: int
    rank_milli: int


@dataclass(frozen=True, slots=True)
class Bracket:
    """From this multiple of the mean earned on (thousandths), this share counts (thousandths)."""

    from_multiple_milli: int
    slope_milli: int


@dataclass(frozen=True, slots=True)
class DomainPolicy:
    """The rules for one kind of act.

    Attributes
    ----------
    name
        As activities call it, at most 32 bytes of UTF-8.
    window_ms
        Observation window: how long after the act its indicators are counted; 0 = given directly.
    low, high
        Incentive bands in micro-value; 0 switches a band off.
    bonus_milli, penalty_milli
        Factors in thousandths for quality at or above ``high`` and below ``low``.
    interaction, originality, engagement
        The scoring functions.
    """

    name: str
    window_ms: int
    low: int
    high: int
    bonus_milli: int
    penalty_milli: int
    interaction: tuple[Knot, ...]
    originality: tuple[Knot, ...]
    engagement: tuple[Knot, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole valuation policy; a domain's position in ``domains`` is its index in leaves.

    Attributes
    ----------
    decay_k
        ``round(2^56 / (tau_ms * ln 2))``: all there is about decay.
    epoch_ms
        Length of an epoch; 0 leaves it free.
    initial_rate_q24
        Micro-credits per micro-value in Q24 for the first epoch.
    title, sources
        What it is for, and why its numbers are what they are; not part of the hash.
    """

    name: str
    version: int
    title: str
    sources: str
    decay_k: int
    epoch_ms: int
    initial_rate_q24: int
    brackets: tuple[Bracket, ...]
    domains: tuple[DomainPolicy, ...]

    def domain_names(self) -> tuple[str, ...]:
        """Return the domains' names in index order."""
        return tuple(domain.name for domain in self.domains)


def domain_indices(names: Sequence[str], policy: Policy) -> list[int]:
    """Return each name's domain index.

    Raises
    ------
    PolicyError
        If the policy does not know a name; the message says at which position it first stands.
    """
    known = {domain.name: index for index, domain in enumerate(policy.domains)}
    try:
        return [known[name] for name in names]
    except KeyError as missing:
        name = missing.args[0]
    raise PolicyError(
        f"policy '{policy.name}' has no domain {name!r}; it values {', '.join(known)}",
        hint=_did_you_mean(name, known) or "choose another --policy, or add the domain to it",
        where=f"activity {names.index(name) + 1}",
    )


def load_policy(name_or_path: str | Path) -> Policy:
    """Return a shipped policy by its name, or one read from a JSON file.

    Raises
    ------
    PolicyError
        If there is no such policy, or the document breaks a rule.
    """
    text = str(name_or_path)
    if text in preset_names():
        return policy_from_json(read_preset(text), where=f"preset '{text}'")
    path = Path(name_or_path)
    try:
        content = read_small_text(path, _MAX_POLICY_BYTES)
    except TooLarge as problem:
        raise PolicyError(
            f"a policy has at most {_MAX_POLICY_BYTES:,} bytes; this file has {problem}",
            hint="hand in the policy document, not the activity file",
            where=text,
        ) from None
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        known = ", ".join(preset_names())
        raise PolicyError(
            f"there is no policy {text!r}: neither a shipped one ({known}) nor a file",
            hint=_did_you_mean(text, preset_names()) or "see 'timebank policy list'",
        ) from None
    except (OSError, UnicodeDecodeError, ValueError) as problem:
        raise PolicyError(
            f"the policy cannot be read: {problem}", hint="write it as UTF-8 JSON", where=text
        ) from None
    return policy_from_json(content, where=text)


def policy_from_json(text: str, *, where: str = "policy") -> Policy:
    """Return the policy a JSON document states.

    Raises
    ------
    PolicyError
        If the document is not JSON or breaks a rule; ``where`` and the field are named.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        for name in names:
            if names.count(name) > 1:
                raise PolicyError(
                    f"field {name!r} stands twice in one object", hint="keep one of them", where=where
                )
        return dict(pairs)

    def not_a_number(symbol: str) -> NoReturn:
        raise PolicyError(f"{symbol} is not a number a policy can hold", where=where, hint="write an integer")

    try:
        document = parse_json(text, object_pairs_hook=unique, parse_constant=not_a_number)
    except TooDeep as problem:
        raise PolicyError(f"not a policy: {problem}", hint="write it as plain JSON", where=where) from problem
    except json.JSONDecodeError as problem:
        raise PolicyError(
            f"not valid JSON: {problem.msg}",
            hint="start from a shipped one: timebank policy show identity --document",
            where=f"{where}:{problem.lineno}:{problem.colno}",
        ) from None
    except ValueError as problem:  # an integer of thousands of digits
        raise PolicyError(f"not a policy: {problem}", hint="write it as plain JSON", where=where) from None
    return _read_policy(document, where)


def policy_document(policy: Policy) -> dict[str, Any]:
    """Return the policy as its canonical JSON object: constants and milliseconds, no durations."""
    return {
        "schema": SCHEMA,
        "name": policy.name,
        "version": policy.version,
        "title": policy.title,
        "sources": policy.sources,
        "decay_k": policy.decay_k,
        "epoch_ms": policy.epoch_ms,
        "initial_rate_q24": policy.initial_rate_q24,
        "brackets": [
            {"from_multiple_milli": bracket.from_multiple_milli, "slope_milli": bracket.slope_milli}
            for bracket in policy.brackets
        ],
        "domains": [
            {
                "name": domain.name,
                "window_ms": domain.window_ms,
                "low": domain.low,
                "high": domain.high,
                "bonus_milli": domain.bonus_milli,
                "penalty_milli": domain.penalty_milli,
                **{
                    dimension: [[knot.raw_milli, knot.rank_milli] for knot in knots]
                    for dimension, knots in (
                        ("interaction", domain.interaction),
                        ("originality", domain.originality),
                        ("engagement", domain.engagement),
                    )
                },
            }
            for domain in policy.domains
        ],
    }


def policy_to_json(policy: Policy) -> str:
    """Return the policy's canonical document; ``policy_from_json`` reads it back unchanged."""
    return json.dumps(policy_document(policy), indent=2, ensure_ascii=False) + "\n"


@lru_cache(maxsize=64)
def policy_hash(policy: Policy) -> bytes:
    """Return the 32 bytes that stand for the policy on chain: ``keccak256(abi.encode(PolicyHead))``."""
    return _hash_of(_HEAD_TYPE, policy_head_call(policy))


@lru_cache(maxsize=64)
def domain_hashes(policy: Policy) -> tuple[bytes, ...]:
    """Return each domain's 32 bytes in index order: ``keccak256(abi.encode(DomainPolicy))``."""
    return tuple(_hash_of(_DOMAIN_TYPE, domain_call(domain)) for domain in policy.domains)


def policy_call(policy: Policy) -> tuple[object, ...]:
    """Return the policy as the contracts take it: the struct ``Policy``, in the order of its fields."""
    return (
        *_plain_fields(policy),
        brackets_call(policy),
        tuple(domain_call(domain) for domain in policy.domains),
    )


def policy_from_call(values: Sequence[Any], *, title: str = "as registered on chain") -> Policy:
    """Return the policy that the struct ``Policy`` of a call or event holds; ``policy_call`` gives it back.

    Parameters
    ----------
    values
        In the order of the struct's fields, as the registry has checked them.
    title
        What to call it: titles and sources do not stand on chain.

    Raises
    ------
    PolicyError
        If a name is no UTF-8.
    """
    name, version, decay_k, epoch_ms, rate_q24, brackets, domains = values
    return Policy(
        name=_name_of(name),
        version=version,
        title=title,
        sources=title,
        decay_k=decay_k,
        epoch_ms=epoch_ms,
        initial_rate_q24=rate_q24,
        brackets=tuple(Bracket(*bracket) for bracket in brackets),
        domains=tuple(
            DomainPolicy(
                _name_of(label),
                *numbers,
                *(tuple(Knot(*knot) for knot in knots) for knots in (interaction, originality, engagement)),
            )
            for label, *numbers, interaction, originality, engagement in domains
        ),
    )


def policy_head_call(policy: Policy) -> tuple[object, ...]:
    """Return the struct ``PolicyHead``: the policy with its lists replaced by their hashes."""
    return (
        *_plain_fields(policy),
        _hash_of(_BRACKETS_TYPE, brackets_call(policy)),
        _keccak(b"".join(domain_hashes(policy))),
    )


def brackets_call(policy: Policy) -> tuple[tuple[int, int], ...]:
    """Return the fairness steps as the contracts take them: ``Bracket[]``."""
    return tuple((bracket.from_multiple_milli, bracket.slope_milli) for bracket in policy.brackets)


def domain_call(domain: DomainPolicy) -> tuple[object, ...]:
    """Return one domain's rules as the contracts take them: the struct ``DomainPolicy``."""

    def knots(points: Iterable[Knot]) -> tuple[tuple[int, int], ...]:
        return tuple((knot.raw_milli, knot.rank_milli) for knot in points)

    return (
        _bytes32(domain.name),
        domain.window_ms,
        domain.low,
        domain.high,
        domain.bonus_milli,
        domain.penalty_milli,
        knots(domain.interaction),
        knots(domain.originality),
        knots(domain.engagement),
    )


def policy_with(
    policy: Policy, *, tau_ms: int | None = None, epoch_ms: int | None = None, window_ms: int | None = None
) -> Policy:
    """Return the policy with another mean lifetime, epoch length or observation window (all domains).

    Raises
    ------
    PolicyError
        If a value is out of bounds.
    """
    changed = policy
    if tau_ms is not None:
        changed = replace(changed, decay_k=_decay_from_tau(tau_ms, "tau"))
    if epoch_ms is not None:
        changed = replace(changed, epoch_ms=_integer(epoch_ms, "epoch", 0, MAX_TIME_MS))
    if window_ms is not None:
        window = _integer(window_ms, "window", 0, MAX_TIME_MS)
        changed = replace(
            changed, domains=tuple(replace(domain, window_ms=window) for domain in changed.domains)
        )
    return changed


# Reading a document: each function takes the JSON value and where it stands.


def _read_policy(document: object, where: str) -> Policy:
    fields = _object(document, where, _POLICY_FIELDS)
    schema = fields.get("schema", SCHEMA)
    if schema != SCHEMA:
        raise PolicyError(
            f"this document's schema is {schema!r}, a policy's is {SCHEMA!r}", hint="correct it", where=where
        )
    if ("tau" in fields) == ("decay_k" in fields):
        both = "tau" in fields
        raise PolicyError(
            "the decay is given twice, as tau and as decay_k" if both else "the decay is missing",
            hint="keep one of the two" if both else 'add "tau": "180d" (mean lifetime) or "decay_k"',
            where=where,
        )
    if "tau" in fields:
        decay_k = _decay_from_tau(_duration(fields["tau"], f"{where}: tau", zero=False), f"{where}: tau")
    else:
        decay_k = _integer(fields["decay_k"], f"{where}: decay_k", 1, MAX_DECAY_K)
    return Policy(
        name=_name(_required(fields, "name", where), f"{where}: name"),
        version=_integer(_required(fields, "version", where), f"{where}: version", 1, MAX_INDICATOR),
        title=_text(_required(fields, "title", where), f"{where}: title"),
        sources=_text(_required(fields, "sources", where), f"{where}: sources"),
        decay_k=decay_k,
        epoch_ms=_duration_or_ms(fields, "epoch", where),
        initial_rate_q24=_integer(
            _required(fields, "initial_rate_q24", where), f"{where}: initial_rate_q24", 1, MAX_RATE_Q24
        ),
        brackets=_brackets(_required(fields, "brackets", where), f"{where}: brackets"),
        domains=_domains(_required(fields, "domains", where), f"{where}: domains"),
    )


def _brackets(value: object, where: str) -> tuple[Bracket, ...]:
    brackets: list[Bracket] = []
    for number, entry in enumerate(_array(value, where, MAX_BRACKETS, "brackets")):
        here = f"{where}[{number}]"
        fields = _object(entry, here, _BRACKET_FIELDS)
        bracket = Bracket(
            _integer(
                _required(fields, "from_multiple_milli", here),
                f"{here}.from_multiple_milli", 0, MAX_INDICATOR,
            ),
            _integer(_required(fields, "slope_milli", here), f"{here}.slope_milli", 0, MILLI),
        )  # fmt: skip
        if not brackets and bracket.from_multiple_milli != 0:
            raise PolicyError(
                f"the first bracket starts at {bracket.from_multiple_milli}, not at 0",
                hint="start with from_multiple_milli 0",
                where=here,
            )
        if brackets and bracket.from_multiple_milli <= brackets[-1].from_multiple_milli:
            raise PolicyError(
                f"bracket starts at {bracket.from_multiple_milli}, "
                f"not above the one before ({brackets[-1].from_multiple_milli})",
                hint="write the brackets in rising order of from_multiple_milli",
                where=here,
            )
        if brackets and bracket.slope_milli > brackets[-1].slope_milli:
            raise PolicyError(
                f"slope {bracket.slope_milli} is steeper than the one before ({brackets[-1].slope_milli})",
                hint="slopes may only fall: who earned more keeps a smaller part of the surplus",
                where=here,
            )
        brackets.append(bracket)
    return tuple(brackets)


def _domains(value: object, where: str) -> tuple[DomainPolicy, ...]:
    domains: list[DomainPolicy] = []
    for number, entry in enumerate(_array(value, where, MAX_DOMAINS, "domains")):
        here = f"{where}[{number}]"
        fields = _object(entry, here, _DOMAIN_FIELDS)
        name = _name(_required(fields, "name", here), f"{here}.name")
        if name in {domain.name for domain in domains}:
            raise PolicyError(f"domain {name!r} stands twice", hint="keep one of them", where=here)
        low = _integer(_required(fields, "low", here), f"{here}.low", 0, MAX_QUALITY)
        high = _integer(_required(fields, "high", here), f"{here}.high", 0, MAX_QUALITY)
        if 0 < high < low:
            raise PolicyError(
                f"low ({low}) is above high ({high}): an act could be punished and rewarded at once",
                hint="choose low <= high, or high 0 for no bonus",
                where=here,
            )
        domains.append(
            DomainPolicy(
                name=name,
                window_ms=_duration_or_ms(fields, "window", here),
                low=low,
                high=high,
                bonus_milli=_integer(
                    _required(fields, "bonus_milli", here), f"{here}.bonus_milli", MILLI, MAX_FACTOR_MILLI
                ),
                penalty_milli=_integer(
                    _required(fields, "penalty_milli", here), f"{here}.penalty_milli", 0, MAX_FACTOR_MILLI
                ),
                interaction=_knots(_required(fields, "interaction", here), f"{here}.interaction"),
                originality=_knots(_required(fields, "originality", here), f"{here}.originality"),
                engagement=_knots(_required(fields, "engagement", here), f"{here}.engagement"),
            )
        )
    return tuple(domains)


def _knots(value: object, where: str) -> tuple[Knot, ...]:
    knots: list[Knot] = []
    for number, entry in enumerate(_array(value, where, MAX_KNOTS, "knots")):
        here = f"{where}[{number}]"
        if not isinstance(entry, list) or len(entry) != 2:
            raise PolicyError(
                f"a knot is a pair, not {_short(entry)}", hint="write [raw_milli, rank_milli]", where=here
            )
        knot = Knot(
            _integer(entry[0], f"{here}[0]", 0, MAX_INDICATOR),
            _integer(entry[1], f"{here}[1]", 0, MAX_RANK_MILLI),
        )
        if knots and knot.raw_milli <= knots[-1].raw_milli:
            raise PolicyError(
                f"knot at {knot.raw_milli} is not above the one before ({knots[-1].raw_milli})",
                hint="write the knots in rising order of the raw indicator",
                where=here,
            )
        knots.append(knot)
    return tuple(knots)


def _object(value: object, where: str, known: Sequence[str]) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise PolicyError(
            f"expected an object with named fields, not {_short(value)}",
            hint=f"its fields are {', '.join(known)}",
            where=where,
        )
    for name in value:
        if name not in known:
            raise PolicyError(
                f"unknown field {name!r}",
                hint=_did_you_mean(name, known) or f"the fields here are {', '.join(known)}",
                where=where,
            )
    return value


def _required(fields: Mapping[str, object], name: str, where: str) -> object:
    if name not in fields:
        raise PolicyError(f"field {name!r} is missing", hint="add it", where=where)
    return fields[name]


def _array(value: object, where: str, most: int, what: str) -> list[object]:
    if not isinstance(value, list):
        raise PolicyError(f"expected a list of {what}, not {_short(value)}", hint="write [...]", where=where)
    if not 1 <= len(value) <= most:
        raise PolicyError(f"{len(value)} {what}; there must be 1 to {most}", hint="change it", where=where)
    return value


def _integer(value: object, where: str, least: int, most: int) -> int:
    # bool is an int to Python; a policy that says true where a number belongs is a mistake.
    if isinstance(value, bool) or not isinstance(value, int):
        raise PolicyError(
            f"expected an integer, not {_short(value)}",
            hint=f"write a whole number from {least} to {most}, without quotes or decimals",
            where=where,
        )
    if not least <= value <= most:
        raise PolicyError(
            f"{_short(value)} is out of range", hint=f"write a number from {least} to {most}", where=where
        )
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise PolicyError(f"expected text, not {_short(value)}", hint='write "..."', where=where)
    return value


def _name(value: object, where: str) -> str:
    name = _text(value, where)
    encoded = name.encode("utf-8", errors="surrogatepass")
    if len(encoded) > MAX_NAME_BYTES or not name.isprintable() or name != name.strip():
        raise PolicyError(
            f"{_short(name)} cannot be a name: at most {MAX_NAME_BYTES} bytes, printable, no outer spaces",
            hint="shorten or clean it",
            where=where,
        )
    return name


def _duration(value: object, where: str, *, zero: bool) -> int:
    if zero and value == "0s":
        return 0
    if not isinstance(value, str):
        raise PolicyError(
            f"expected a duration, not {_short(value)}", hint='write "100s", "36h" or "180d"', where=where
        )
    try:
        return parse_duration(value)
    except ValueError as problem:
        raise PolicyError(str(problem), hint='write "100s", "36h" or "180d"', where=where) from None


def _duration_or_ms(fields: Mapping[str, object], name: str, where: str) -> int:
    in_ms = f"{name}_ms"
    if (name in fields) == (in_ms in fields):
        both = name in fields
        raise PolicyError(
            f"{name} and {in_ms} are both given" if both else f"field {name!r} is missing",
            hint="keep one of the two" if both else f'add "{name}": "7d", or "{in_ms}": 0 for none',
            where=where,
        )
    if name in fields:
        return _duration(fields[name], f"{where}: {name}", zero=True)
    return _integer(fields[in_ms], f"{where}: {in_ms}", 0, MAX_TIME_MS)


def _decay_from_tau(tau_ms: int, where: str) -> int:
    try:
        return decay_constant(tau_ms)
    except ValueError as problem:
        raise PolicyError(str(problem), hint="choose a mean lifetime such as 180d", where=where) from None


def _plain_fields(policy: Policy) -> tuple[object, ...]:
    """Return what ``Policy`` and ``PolicyHead`` begin with."""
    return (
        _bytes32(policy.name),
        policy.version,
        policy.decay_k,
        policy.epoch_ms,
        policy.initial_rate_q24,
    )


def _hash_of(kind: str, value: object) -> bytes:
    from eth_abi.abi import encode  # imported here, as sha3 is: reading a policy needs neither package

    return _keccak(encode([kind], [value]))


def _keccak(data: bytes) -> bytes:
    import sha3

    return bytes(sha3.keccak_256(data).digest())


def _bytes32(name: str) -> bytes:
    return name.encode("utf-8").ljust(32, b"\0")


def _name_of(padded: bytes) -> str:
    try:
        return padded.rstrip(b"\0").decode("utf-8")
    except UnicodeDecodeError as error:
        raise PolicyError(
            f"the name 0x{padded.hex()} is no UTF-8", hint="whoever registered it has to give the document"
        ) from error


def _did_you_mean(name: str, known: Iterable[str]) -> str | None:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean {close[0]!r}?" if close else None


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, int) else _short_integer(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _short_integer(value: int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if abs(value) < 10**40 else "an integer of over 40 digits"

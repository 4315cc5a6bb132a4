"""``timebank attention privacy report | budget | noisy``: figures in which nobody is to be found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from timebank_chain.cli.attention.privacy_options import (
    ErasedFile,
    Identity,
    MappingFile,
    VaultFolder,
    open_vault,
    read_tables,
    require_identity,
)
from timebank_chain.cli.options import AsJson
from timebank_chain.cli.output import out, print_json, print_table, say
from timebank_chain.errors import UsageError

Files = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Activity tables or feeds (Parquet, CSV, JSON lines).")
]
PolicyName = Annotated[
    str | None, typer.Option("--policy", metavar="P", help="Policy that names the observation windows.")
]


def report(
    files: Files,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", metavar="KEY", help="domain, day, month or year; repeatable (default: domain)."),
    ] = None,
    k: Annotated[int, typer.Option("--k", metavar="N", help="Least members of a group that is shown.")] = 5,
    most_share: Annotated[
        str, typer.Option("--most-share", metavar="PART", help="Most one member may make up of a figure.")
    ] = "0.8",
    mapping: MappingFile = None,
    policy: PolicyName = None,
    erased: ErasedFile = None,
    vault: VaultFolder = None,
    identity: Identity = None,
    as_json: AsJson = False,
) -> None:
    """Report acts and indicators by group, with no group under k members and no total that gives one away.

    Small groups become one, "(others)"; where that is too small itself, the next smallest joins it.

    Example: timebank attention privacy report activity.parquet --by domain --by month --k 5 --vault vault
    --identity ben.identity
    """
    from fractions import Fraction

    from timebank_chain.attention.privacy.grouped import FIGURES, grouped_report
    from timebank_chain.attention.privacy.roles import Level

    try:
        share = Fraction(most_share)
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"--most-share is no number: {most_share!r}", hint="write 0.8") from None
    session = open_vault(vault).enter(require_identity(identity), "report", Level.AGGREGATES)
    table = read_tables(files, mapping, policy, erased)
    found = grouped_report(table, tuple(by or ("domain",)), k, most_share=share)
    session.done({"k": k, "groups": len(found.groups), "merged": found.merged})
    if as_json:
        print_json(
            "timebank.privacy.report/1",
            {
                "k": k,
                "most_share": float(share),
                "groups": [
                    {"name": one.name, "members": one.members, **{f: one.figure(f) for f in FIGURES}}
                    for one in found.groups
                ],
                "merged": found.merged,
                "total": found.total,
                "members": found.members,
            },
        )
        return
    if not found.groups or found.total is None:
        out().print(
            f"nothing can be shown: all together are fewer than {k} members, or one is most of it",
            markup=False,
        )
        return
    rows = [
        (one.name, f"{one.members:,}", *(f"{one.figure(figure):,}" for figure in FIGURES))
        for one in found.groups
    ]
    members = "-" if found.members is None else f"{found.members:,}"
    rows.append(("all", members, *(f"{found.total[figure]:,}" for figure in FIGURES)))
    print_table(
        f"Groups of at least {k} members", ["group", ">members", *(f">{one}" for one in FIGURES)], rows
    )
    if found.merged:
        say(f"{found.merged:,} groups stand together as (others)")


def budget(
    epsilon: Annotated[
        str | None,
        typer.Option("--set", metavar="EPSILON", help="What may be spent in all, from the beginning."),
    ] = None,
    vault: VaultFolder = None,
    identity: Identity = None,
    as_json: AsJson = False,
) -> None:
    """Show the privacy budget, or set it: epsilon over all releases of this vault, ever.

    Example: timebank attention privacy budget --set 2 --vault vault --identity ana.identity

    Example: timebank attention privacy budget --vault vault --identity ben.identity
    """
    from timebank_chain.attention.privacy import noisy as releases
    from timebank_chain.attention.privacy.roles import Level

    wanted = None if epsilon is None else releases.read_epsilon(epsilon)
    level = Level.AGGREGATES if wanted is None else Level.MANAGE
    action = "show budget" if wanted is None else releases.BUDGET
    session = open_vault(vault).enter(require_identity(identity), action, level)
    if wanted is not None:
        session.done({"epsilon": str(wanted)})
    account = releases.account(session.ledger.entries())
    body = {"allowed": str(account.allowed), "spent": str(account.spent), "left": str(account.left)}
    if as_json:
        print_json("timebank.privacy.budget/1", body)
        return
    out().print(
        f"epsilon {account.allowed} allowed, {account.spent} spent, {account.left} left", markup=False
    )


def noisy(
    files: Files,
    query: Annotated[
        str,
        typer.Option(
            "--query", metavar="WHAT", help="members, acts, interaction, originality or engagement."
        ),
    ],
    epsilon: Annotated[str, typer.Option("--epsilon", metavar="E", help="What the release may cost.")],
    domain: Annotated[
        list[str] | None,
        typer.Option("--domain", metavar="NAME", help="A figure for each (they share E); none: one for all."),
    ] = None,
    cap: Annotated[
        int | None,
        typer.Option(
            "--cap",
            metavar="N",
            help="Most one member adds, in acts or thousandths; needed but for members. Choose it unseen.",
        ),
    ] = None,
    mapping: MappingFile = None,
    policy: PolicyName = None,
    erased: ErasedFile = None,
    vault: VaultFolder = None,
    identity: Identity = None,
    as_json: AsJson = False,
) -> None:
    """Release counts or sums with noise (differential privacy, per member), paid from the budget.

    The ledger has the cost before anything is computed, and refuses what the budget does not hold. A cap
    is what one member can add: higher caps cut less off and need more noise. Needs the extra `private`.

    Example: timebank attention privacy noisy activity.parquet --query acts --cap 20 --epsilon 0.5
    --domain code --domain review --vault vault --identity ben.identity
    """
    from timebank_chain.attention.extra import need
    from timebank_chain.attention.privacy import noisy as releases
    from timebank_chain.attention.privacy.roles import Level

    try:
        wanted = releases.Query(query)
    except ValueError:
        names = ", ".join(releases.Query)
        raise UsageError(f"no such query: {query!r}", hint=f"one of {names}") from None
    if cap is None and wanted is not releases.Query.MEMBERS:
        raise UsageError(f"--query {query} needs --cap", hint="the most one member should count for")
    cost = releases.read_epsilon(epsilon)
    domains = tuple(domain or ())
    need("opendp", "private")
    session = open_vault(vault).enter(require_identity(identity), "noisy figures", Level.AGGREGATES)
    table = read_tables(files, mapping, policy, erased, apart=True)
    limit = releases.check(domains, wanted, 1 if cap is None else cap)
    left = releases.spend(session, cost, {"query": query, "figures": max(1, len(domains)), "cap": limit})
    figures = releases.release(table, wanted, domains, limit, cost)
    if as_json:
        print_json(
            "timebank.privacy.noisy/1",
            {
                "query": query,
                "cap": limit,
                "epsilon": str(cost),
                "left": str(left.left),
                "figures": [
                    {"domain": one.domain, "value": one.value, "scale": one.scale, "within_95": one.within}
                    for one in figures
                ],
            },
        )
        return
    print_table(
        f"{query}, at most {limit:,} a member, epsilon {cost}",
        ["domain", ">figure", ">noise, 95 %"],
        [(one.domain or "all", f"{one.value:,}", f"± {one.within:,}") for one in figures],
    )
    say(f"epsilon {left.left} of {left.allowed} is left")

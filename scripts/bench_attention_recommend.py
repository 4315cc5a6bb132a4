"""Recommending on MovieLens 100k and on a real community: recall, NDCG, coverage and exposure.

Usage: .venv/bin/python scripts/bench_attention_recommend.py [--json]

MovieLens 100k (ratings with their times) comes inside a wheel that pip fetches into a temporary folder and
that is read from there: its licence forbids passing it on. As its stated baselines do: the last five ratings
of each member are what is to be found, those of 4 or more count, everything before is learned from. Others'
later ratings are among that, so the figure beside it, cut at one moment for all, is the one to expect in use.
The community is a Stack Exchange dump, where the data is at hand: who answers and comments on what and whom.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from timebank_chain.attention.recommend import Choice, LastOfEach, TimeShare, choose, read_interactions
from timebank_chain.attention.recommend.rankers import candidates

WHEEL = "recbole==1.2.1"
MEMBER_OF_WHEEL = "recbole/dataset_example/ml-100k/ml-100k.inter"
#: Recall@10 as stated with the data: most popular, item-kNN.
BASELINES = {"stated: most popular": 0.115, "stated: item-kNN": 0.175}
ROOT = Path(__file__).resolve().parent.parent


def movielens(folder: Path) -> Path:
    """Fetch the wheel into a folder and write the ratings in our columns there."""
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), WHEEL]
    subprocess.run(fetch, check=True, stdout=sys.stderr)
    (wheel,) = folder.glob("*.whl")
    lines = zipfile.ZipFile(wheel).read(MEMBER_OF_WHEEL).decode().splitlines()[1:]
    ratings = folder / "ratings.csv"
    with ratings.open("w", encoding="utf-8") as file:
        file.write("member,item,value,at_ms\n")
        for line in lines:
            member, item, value, at = line.split("\t")
            file.write(f"{member},{item},{value},{int(float(at)) * 1000}\n")
    return ratings


def show(console: Console, title: str, choice: Choice, stated: dict[str, float]) -> None:
    """Print one table."""
    table = Table(title=title, title_justify="left")
    for column in ("", "recall@10", "NDCG@10", "coverage", "least seen half", "Gini of exposure"):
        table.add_column(column, justify="right" if column else "left")
    for name, recall in stated.items():
        table.add_row(name, f"{recall:.3f}", *("",) * 4)
    chosen = f"{choice.chosen.name}, places kept ({choice.floor:.0%})"
    for name, found in (*((one.name, one.measures) for one in choice.test), (chosen, choice.guarded)):
        figures = (found.recall, found.ndcg, found.coverage, found.least_seen, found.exposure_gini)
        table.add_row(name, *(f"{one:.4f}" for one in figures))
    console.print(table)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    options = parser.parse_args()
    console = Console(width=110)
    found: dict[str, Choice] = {}
    ratings = None
    with tempfile.TemporaryDirectory(prefix="timebank-movielens-") as folder:
        try:
            ratings = read_interactions(movielens(Path(folder)))
        except subprocess.CalledProcessError:
            print(f"pip cannot fetch {WHEEL}: MovieLens is left out", file=sys.stderr)
    for split in (LastOfEach(5), TimeShare(0.2)) if ratings is not None else ():
        title = f"MovieLens 100k, {split}"
        stated = BASELINES if isinstance(split, LastOfEach) else {}
        found[title] = choose(ratings, candidates(), split=split, relevant_from=4)
        if not options.json:
            show(console, title, found[title], stated)
    data = Path(os.environ.get("TIMEBANK_TEST_DATA", ROOT.parent / "shared" / "data"))
    dump = data / "stackexchange_quantumcomputing"
    if dump.exists():
        title = f"Quantum Computing Stack Exchange, {TimeShare(0.2)}"
        found[title] = choose(read_interactions(dump), candidates(), split=TimeShare(0.2))
        if not options.json:
            show(console, title, found[title], {})
    else:
        print(f"no community's dump at {dump}: skipped", file=sys.stderr)
    if options.json:
        print(json.dumps({title: asdict(choice) for title, choice in found.items()}, indent=1))


if __name__ == "__main__":
    main()

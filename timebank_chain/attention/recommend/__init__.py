"""What a member may like next: activities, offers and other members, with a floor for the least seen.

`interactions` says who took what and when, `rankers` order items for members, `choose` picks a ranker by
what would have been right at past times, `guard` keeps places for what is seen least, `store` keeps the
chosen one in a file, `suggest` makes the list a member sees, each line with its reason.
"""

from timebank_chain.attention.recommend.choose import Choice, choose
from timebank_chain.attention.recommend.interactions import (
    Interactions,
    LastOfEach,
    TimeShare,
    dump_name,
    read_dump,
    read_interactions,
)
from timebank_chain.attention.recommend.measures import Measures, measure
from timebank_chain.attention.recommend.store import load_recommender, save_recommender
from timebank_chain.attention.recommend.suggest import Recommender, Suggestion

__all__ = [
    "Choice",
    "Interactions",
    "LastOfEach",
    "Measures",
    "Recommender",
    "Suggestion",
    "TimeShare",
    "choose",
    "dump_name",
    "load_recommender",
    "measure",
    "read_dump",
    "read_interactions",
    "save_recommender",
]

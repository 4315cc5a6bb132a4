"""Other people's records in, one joined feed of members' events out; nothing is believed, nothing lost.

Readers (`sources`, `ledger`) check each record against its standard and give readings; `build_feed` joins
them; `write_feed` keeps them with a data hash; `feed_quality` says what is wrong. From the feed: features by
span (`bucket_features`), the last event before a moment (`last_before`), scaling with recorded parameters
(`fit_scaling`), and acts for the ledger (`acts_of`).
"""

from timebank_chain.attention.collect.acts import Act, acts_of, write_acts
from timebank_chain.attention.collect.event import MemberEvent, NothingToCount, Retraction
from timebank_chain.attention.collect.feed import CollectResult, Feed, Reading, build_feed, feed_of
from timebank_chain.attention.collect.files import manifest, read_feed, write_feed
from timebank_chain.attention.collect.join import FeatureTable, bucket_features, last_before
from timebank_chain.attention.collect.quality import Quality, features_quality, feed_quality
from timebank_chain.attention.collect.scaling import Scaling, fit_scaling, scaling_from_document
from timebank_chain.attention.collect.sources import (
    activitystreams_readings,
    cloudevents_readings,
    ledger_readings,
    load_aliases,
    table_readings,
    weblog_readings,
    xapi_readings,
)
from timebank_chain.attention.collect.syntax import Fault
from timebank_chain.attention.collect.tabular import load_feed_mapping

__all__ = [
    "Act",
    "CollectResult",
    "Fault",
    "FeatureTable",
    "Feed",
    "MemberEvent",
    "NothingToCount",
    "Quality",
    "Reading",
    "Retraction",
    "Scaling",
    "activitystreams_readings",
    "acts_of",
    "bucket_features",
    "build_feed",
    "cloudevents_readings",
    "features_quality",
    "feed_of",
    "feed_quality",
    "fit_scaling",
    "last_before",
    "ledger_readings",
    "load_aliases",
    "load_feed_mapping",
    "manifest",
    "read_feed",
    "scaling_from_document",
    "table_readings",
    "weblog_readings",
    "write_acts",
    "write_feed",
    "xapi_readings",
]

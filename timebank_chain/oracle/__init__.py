"""Who says it: from a growing feed to a finalised epoch, once each, by a quorum.

Takes a feed, members, a policy and keys; gives published epochs, signatures, proposals, finalised
roots and pushed claims. Every effect on chain is journalled before it is sent.
"""

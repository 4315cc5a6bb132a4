"""What comes next: a twin of a community's attention, learned from its record and watched beside the ledger.

In the order of the data's way, a room each:

- ``collect``     readers for other people's records, joining, cleaning, a report on quality
- ``model``       what an act's attention will be, from what is known when it is posted
- ``monitor``     level, trend and season of the feed; forecasts, drift, warnings; who looks bought
- ``recommend``   activities, offers and members to a member, with a floor for the least seen
- ``experiment``  assignment, power, analysis that may be looked at daily, estimates from logs
- ``privacy``     pseudonyms, encryption at rest, roles, retention, export, erasure, budgets
- ``report``      all of it as pictures, in one page

Floats live here and nowhere below: no number of this package reaches a leaf. What needs more than the
base installation says so (`extra.need`): ``pip install 'timebank-chain[models]'``.
"""

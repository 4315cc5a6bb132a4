"""timebank-chain: recorded activity in, attention credits out, and every step recomputable.

The packages follow the way of the data: ``activity`` (what people did), ``valuation``
(what it was worth), ``epoch`` (what is claimed), ``chain`` (how it is said on chain),
``oracle`` (who says it), ``audit`` (was it right), ``attention`` (what comes next) and ``cli`` (how people
see it).
"""

__version__ = "0.5.0"

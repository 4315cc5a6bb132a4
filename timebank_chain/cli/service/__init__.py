"""``timebank service``: offer services, ask for them, order, deliver, settle, rate.

=================  =======================================================================
module             commands
=================  =======================================================================
``listings``       what is offered and asked for
``orders``         looking at orders, moving overdue ones on, ratings
``agreeing``       from an order to its acceptance
``delivering``     from acceptance to payment
``quarrelling``    when a delivery is not what was agreed
``texts``          what stays off chain
=================  =======================================================================

``session`` sends what they ask for, ``view`` shows it, ``options`` are theirs alone.
"""

from __future__ import annotations

from collections.abc import Callable

import typer

from timebank_chain.cli.service import agreeing, delivering, listings, orders, quarrelling, texts

app = typer.Typer(
    help=(
        "Offer services and ask for them; credits wait in escrow until the work is done."
        '\n\nExample: timebank service offer 3 --text "an hour of English" --arbiter 0x... --from 0x...'
    ),
    no_args_is_help=True,
)

#: Commands in the order of a service's life, as the help lists them.
COMMANDS: dict[str, Callable[..., None]] = {
    "offer": listings.offer_command,
    "request": listings.request_command,
    "stock": listings.stock_command,
    "list": listings.list_command,
    "orders": orders.orders_command,
    "show": orders.show,
    "order": agreeing.order_command,
    "accept": agreeing.accept,
    "counter": agreeing.counter,
    "decline": agreeing.decline,
    "cancel": agreeing.cancel,
    "deliver": delivering.deliver,
    "approve": delivering.approve,
    "reject": quarrelling.reject,
    "partial": quarrelling.partial,
    "agree": quarrelling.agree,
    "dispute": quarrelling.dispute,
    "rule": quarrelling.rule,
    "move": orders.move,
    "rate": orders.rate,
    "ratings": orders.ratings,
    "text": texts.text_command,
}

for _name, _command in COMMANDS.items():
    app.command(_name)(_command)

"""The whole road in one run: takes a real history, gives credits on a chain and an audit's verdict.

``history`` reads any source and fits a policy's clock to it, ``road`` walks from the acts to the
balances with the same functions the daemon and the wallet use, ``story`` holds what happened.
"""

from timebank_chain.demo.history import History, Schedule, fit_schedule, load_history
from timebank_chain.demo.road import DemoOptions, run_demo
from timebank_chain.demo.story import Story

__all__ = ["DemoOptions", "History", "Schedule", "Story", "fit_schedule", "load_history", "run_demo"]

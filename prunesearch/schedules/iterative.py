"""iterative: R rounds, each removing the same share of what is left (lottery ticket: Frankle & Carbin 2018)."""

from __future__ import annotations

from prunesearch import rules
from prunesearch.policy import Policy
from prunesearch.schedules.amounts import along, goal, static_order
from prunesearch.schedules.base import Order


def compounded(end: float, done: int, rounds: int) -> float:
    """The cumulative fraction after `done` of `rounds` equal shares of what is left: 1 - (1 - end)^(done / rounds)."""
    return end if done == rounds else float(1.0 - (1.0 - end) ** (done / rounds))  # exactly `end`, not 1 ulp beside it


def orders(policy: Policy) -> tuple[tuple[int, Order], ...]:
    """One enforced order per round, with the policy's recovery in every one."""
    rounds = policy.prune_iter or 1
    cuts = rules.iterative_cuts(policy.epoch_threshold, policy.epochs, rounds, policy.last_cut == "at_end")
    spans = zip(cuts, (*cuts[1:], policy.epochs), strict=True)
    return tuple((cut, _order(policy, done, rounds, end - cut)) for done, (cut, end) in enumerate(spans, 1))


def _order(policy: Policy, done: int, rounds: int, length: int) -> Order:
    amount = along(goal(policy), lambda end: compounded(end, done, rounds))
    return static_order(policy, amount, lr_length=length, last=done == rounds)

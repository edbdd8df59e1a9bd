"""Processes that share a study, for the tests of stores: ``python shop.py WHERE MODE …``.

``work``: asks and tells until there is nothing left. ``die``: asks, tells half, says so and waits to be killed.
"""

from __future__ import annotations

import sys
import time

from thalweg.search import Random, Space, Told, open_store

SPACE = Space.parse(
    {
        "lr": "1e-4..1:log",
        "beta": "0.9..0.999:one-minus",
        "width": "16..256:power2",
        "layers": "1..4",
        "epochs": 30,
        "rule": ["sgd", "adam"],
        "momentum": {"range": "0.0..0.99", "when": {"rule": "sgd"}},
    }
)


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main(where: str, mode: str, most: int, at_once: int) -> None:
    store = open_store(where, name="shop", space=SPACE, lease=3600.0)
    sampler = Random(SPACE, seed=0)
    say("open")
    sys.stdin.readline()
    if mode == "die":
        tickets = store.ask(sampler, at_once, most=most)
        store.report({ticket.number: {1: 0.5} for ticket in tickets})
        told = store.tell([Told(one.number, "finished", (one.values["lr"],)) for one in tickets[: at_once // 2]])
        say("told", *told)
        time.sleep(600)
    while tickets := store.ask(sampler, at_once, most=most):
        told = store.tell([Told(one.number, "finished", (one.values["lr"],)) for one in tickets])
        say("told", *told)
    store.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))

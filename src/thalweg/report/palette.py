"""One colour for one rule, on every page: who has learned on a race that Adam is amber, finds it amber on a landscape.

>>> colours(["adam", "sgd"])                     # well-known rules have a colour of their own, whoever is beside them
{'adam': 2, 'sgd': 0}
>>> lines(["sgd", "momentum"])["momentum"]
{'color': '--rule-1', 'dash': 'solid'}

A rule nobody has heard of takes a colour by its name, the next one where that is taken, and a dash where all are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

KNOWN = ("sgd", "momentum", "adam", "nesterov", "nadam", "rmsprop", "amsgrad", "adamw", "adagrad", "adadelta")
"""The rules of the style sheet's ``--rule-0`` …, in this order."""
DASHES = ("solid", "dash", "dot", "dashdot")


def colours(rules: Iterable[str]) -> dict[str, int]:
    """The number of each rule's colour; from ``len(KNOWN)`` on they begin anew with another dash."""
    rules = list(dict.fromkeys(rules))
    taken: dict[str, int] = {rule: KNOWN.index(rule) for rule in rules if rule in KNOWN}
    for rule in rules:
        if rule in taken:
            continue
        word = re.match(r"\w*", rule)
        name = word[0] if word else rule
        home = KNOWN.index(name) if name in KNOWN else sum(name.encode()) % len(KNOWN)
        circle = [*range(home, len(KNOWN)), *range(home), *range(len(KNOWN), len(KNOWN) + len(rules))]
        taken[rule] = next(number for number in circle if number not in taken.values())
    return {rule: taken[rule] for rule in rules}


def lines(rules: Iterable[str]) -> dict[str, dict[str, str]]:
    """How the line of each rule is drawn, as Plotly's ``line``."""
    return {
        rule: {"color": f"--rule-{number % len(KNOWN)}", "dash": DASHES[number // len(KNOWN) % len(DASHES)]}
        for rule, number in colours(rules).items()
    }

"""Contract suites: what an engine, a loop and a checkpoint rely on, checked on a user's own part.

>>> check_rule(Rule("mine", defaults={"beta": 0.9}, m=beta * m + g, step=lr * sign(m)))
('equations', 'engines', 'nan', 'standstill', 'groups', 'checkpoint')
>>> def test_my_rule(): check_rule(my_rule, hyperparameters={"beta": 0.5})         # in a test suite of your own
"""

from thalweg.testing.rules import BrokenContract, check_rule

__all__ = ["BrokenContract", "check_rule"]

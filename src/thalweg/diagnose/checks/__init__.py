"""What is asked of a network before its first step, and the answers: one file a subject, pure functions of what was measured.

>>> from thalweg.diagnose.checks.check import Check
>>> [check.name for check in signals.judge(layers, history)]
['activations', 'gradients']
"""

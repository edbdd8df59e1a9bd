"""The causes, one function each: ``Numbers → Suspicion or None``; see ``thalweg.diagnose.verdict`` for their order.

>>> no_zero_grad(Numbers(history)).confidence
0.97
"""

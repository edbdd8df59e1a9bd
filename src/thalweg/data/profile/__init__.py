"""A look at data before anything is trained: what is in it, what is suspicious, whether its parts are alike.

>>> profile(data).suspicions[0].sentence
'The column "id" is different in every row: it may be an identifier.'
>>> mismatch(data, split(data, seed=0), seed=0).differs
False

Bottom up: ``views`` (a column as numbers), ``ranking`` (the AUC and its interval), ``suspicions`` of the inputs, ``leakage``
of the target, ``profile``; and ``telling`` (how a column differs between two parts), ``mismatch``.
"""

from thalweg.data.profile.mismatch import Mismatch, Telling, mismatch, mismatches
from thalweg.data.profile.profile import Profile, profile
from thalweg.data.profile.suspicions import Suspicion

__all__ = ["Mismatch", "Profile", "Suspicion", "Telling", "mismatch", "mismatches", "profile"]

"""Where optimizers walk: surfaces of two variables with known gradients and minima, and the curvature of a real loss.

>>> walk = path(RAVINE, lambda w: torch.optim.SGD(w, lr=0.95), steps=40)       # (41, 2): zigzags across the ravine
>>> walk[-1]
>>> sharpness(lambda: loss_of(model(x), y), model.parameters())                  # beyond 2/lr gradient descent is unstable
412.7
>>> here = (landscape := Landscape(model, lambda net: loss_of(net(x), y))).point(model)   # a network's loss over its weights
>>> line(landscape, here, landscape.point(other)).barrier("loss").height
0.83

A surface is for looking at a rule, not for judging it: what wins in a ravine of two variables may lose in a network.
"""

from thalweg.surfaces.critical import Critical, critical
from thalweg.surfaces.curvature import hessian_eigenvalues, hessian_products, sharpness
from thalweg.surfaces.expression import surface_of
from thalweg.surfaces.functions import BEALE, NOISY, PLATEAU, RASTRIGIN, RAVINE, ROSENBROCK, SADDLE, SURFACES, Surface
from thalweg.surfaces.landscape import (
    Landscape,
    Line,
    Plane,
    Slices,
    around,
    barrier,
    filter_normalised,
    line,
    plane,
    slices,
)
from thalweg.surfaces.path import path
from thalweg.surfaces.quadratics import measured_contraction, measured_limit, quadratic
from thalweg.surfaces.spectrum import Spectrum, spectrum

__all__ = [
    "BEALE",
    "NOISY",
    "PLATEAU",
    "RASTRIGIN",
    "RAVINE",
    "ROSENBROCK",
    "SADDLE",
    "SURFACES",
    "Critical",
    "Landscape",
    "Line",
    "Plane",
    "Slices",
    "Spectrum",
    "Surface",
    "around",
    "barrier",
    "critical",
    "filter_normalised",
    "hessian_eigenvalues",
    "hessian_products",
    "line",
    "measured_contraction",
    "measured_limit",
    "path",
    "plane",
    "quadratic",
    "sharpness",
    "slices",
    "spectrum",
    "surface_of",
]

"""The loss of a network seen from its weights: on lines, planes and slices through the space of all of them.

>>> landscape = Landscape(model, lambda net: cross_entropy(net(x), y))
>>> first, second = landscape.point(adam), landscape.point(sgd)
>>> line(landscape, first, second).barrier("loss").height
0.83
>>> plane(landscape, landscape.point(start), first, second).values["loss"]        # (31, 31)
>>> slices(landscape, first).rise("loss").mean                                    # flat or sharp, whatever the scale
0.42
"""

from thalweg.surfaces.landscape.ground import Landscape
from thalweg.surfaces.landscape.lines import Barrier, Line, barrier, distance, line
from thalweg.surfaces.landscape.planes import Axes, Place, Plane, grid, plane
from thalweg.surfaces.landscape.slices import Rise, Slices, around, filter_normalised, slices

__all__ = [
    "Axes",
    "Barrier",
    "Landscape",
    "Line",
    "Place",
    "Plane",
    "Rise",
    "Slices",
    "around",
    "barrier",
    "distance",
    "filter_normalised",
    "grid",
    "line",
    "plane",
    "slices",
]

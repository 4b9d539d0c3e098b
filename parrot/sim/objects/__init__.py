"""The catalogue of everyday objects (paper, appendix C.3): generated meshes, split by category."""

from parrot.sim.objects.catalogue import Catalogue, load_catalogue
from parrot.sim.objects.model import Interior, ObjectModel, Visual

__all__ = ["Catalogue", "Interior", "ObjectModel", "Visual", "load_catalogue"]

"""Sessions: what a user did in the app as a tree of launches, scenes, pages and behaviours."""

from udfs.stitching.batch import stitch
from udfs.stitching.flat import pages
from udfs.stitching.settings import Caps, Settings
from udfs.stitching.state import State
from udfs.stitching.stitcher import FEATURES, Stitcher

__all__ = ["FEATURES", "Caps", "Settings", "State", "Stitcher", "pages", "stitch"]

"""From a Keras model to a published version of it."""

from udfs.scoring.publish.version import publish_model

__all__ = ["publish_model"]

"""A handwritten digit classifier in five versions, served over the Open Inference Protocol v2."""

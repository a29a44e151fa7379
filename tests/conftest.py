"""For all tests: properties are held against inputs, never against a clock, which on a busy machine tells nothing."""

import os

from hypothesis import settings

settings.register_profile("quick", deadline=None, max_examples=40)
settings.register_profile("thorough", deadline=None, max_examples=400)
settings.load_profile(os.environ.get("QDRANTLITE_EXAMPLES", "quick"))

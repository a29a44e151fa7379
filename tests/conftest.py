"""For all tests: properties are held against inputs, never against a clock, which on a busy machine tells nothing."""

from hypothesis import settings

settings.register_profile("no-clock", deadline=None)
settings.load_profile("no-clock")

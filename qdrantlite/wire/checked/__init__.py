"""Rules of requests that hold whatever carries them: parts already decoded become values of ``query`` and ``values``.

Both transports call these functions, so that neither has a rule of its own that the other must copy. They know neither
messages nor JSON. What they refuse they refuse with Qdrant's texts, the field's name first.
"""

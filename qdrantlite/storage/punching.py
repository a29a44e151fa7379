"""Giving the disk that a part of a file takes back to the system; the file stays as long as it is.

What Linux (``fallocate``) and macOS (``F_PUNCHHOLE``) offer on most of their file systems; nothing elsewhere.
"""

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Callable

if sys.platform == "darwin":
    import fcntl

_KEEP_SIZE, _PUNCH_HOLE = 1, 2
_F_PUNCHHOLE = 99
_UNABLE = frozenset((errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL, errno.EPERM))
"""What is answered where there are no holes: by file systems, and by systems that stand for another."""


def punch(descriptor: int, position: int, size: int) -> bool:
    """Makes a hole of these bytes, or of the whole blocks of the file system among them; they read as zeros then.

    Nothing of it is durable before the next sync: until then, each block may come back as it was. False, and nothing is
    done, where there are no holes. Raises OSError.
    """
    if _punch is None:
        return False
    try:
        _punch(descriptor, position, size)
    except OSError as error:
        if error.errno in _UNABLE:
            return False
        raise
    return True


def _by_fallocate() -> Callable[[int, int, int], None] | None:
    try:
        library = ctypes.CDLL(None, use_errno=True)
    except OSError:  # A program without a library of C that could be asked.
        return None
    # Where both exist, lengths of files in the other are of 32 bits on some machines.
    fallocate = getattr(library, "fallocate64", None) or getattr(library, "fallocate", None)
    if fallocate is None:
        return None
    fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]

    def punch(descriptor: int, position: int, size: int) -> None:
        while fallocate(descriptor, _PUNCH_HOLE | _KEEP_SIZE, position, size):
            code = ctypes.get_errno()
            if code != errno.EINTR:
                raise OSError(code, os.strerror(code))

    return punch


def _by_fcntl(descriptor: int, position: int, size: int) -> None:
    if sys.platform == "darwin":
        block = os.fstatvfs(descriptor).f_frsize
        start, stop = -(-position // block) * block, (position + size) // block * block
        if start < stop:
            fcntl.fcntl(descriptor, _F_PUNCHHOLE, struct.pack("=IIqq", 0, 0, start, stop - start))


_punch = _by_fallocate() if sys.platform == "linux" else _by_fcntl if sys.platform == "darwin" else None

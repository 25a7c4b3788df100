"""A test that leaves a socket open turns red, and says which.

    SOCKLEAK_OPTIONS=log=leaks.log LD_PRELOAD=/usr/local/lib/sockleak/libsockleak.so pytest
    sockleak run -o log=leaks.log -- pytest    # also the processes that tests start

Copy this file beside your tests.  Without the library it does nothing.  The log goes to a
file because pytest puts its own in the place of standard error, where sockleak then no
longer writes.
"""

import ctypes
import gc
import os
import re
import socket
import tracemalloc

import pytest

DRAIN_MS = 500  # for a close that is on its way; nothing waits where nothing is left


def find_library():
    """The functions of sockleak.h, as the preloaded library exports them."""
    library = ctypes.CDLL(None)
    try:
        library.sockleak_mark.restype = ctypes.c_uint64
        library.sockleak_check_since.argtypes = [ctypes.c_uint64, ctypes.c_uint]
        library.sockleak_name.argtypes = [ctypes.c_char_p]
    except AttributeError:
        return None
    return library


def log_path():
    found = re.findall(r"(?:^|:)log=([^:]+)", os.environ.get("SOCKLEAK_OPTIONS", ""))
    return found[-1].replace("%p", str(os.getpid())) if found else ""  # the last counts


def read_log(start):
    """What sockleak said since; but for the frames, which are the interpreter's own."""
    try:
        with open(log_path(), errors="replace") as log:
            log.seek(start)
            return re.sub(r"(?m)^    #.*\n", "", log.read())
    except OSError:
        return "(SOCKLEAK_OPTIONS=log=FILE says why)"


def where_opened(text):
    """The Python code that made the socket, if PYTHONTRACEMALLOC=5 is set."""
    descriptors = {int(fd) for fd in re.findall(r"\(fd (\d+)", text)}
    for found in gc.get_objects():
        if isinstance(found, socket.socket) and found.fileno() in descriptors:
            traceback = tracemalloc.get_object_traceback(found)
            if traceback:
                return "opened here:\n" + "\n".join(traceback.format())
    return ""


LIBRARY = find_library()


@pytest.fixture(autouse=True)
def no_leaked_sockets(request):
    """Set up before a test's own fixtures, and asked after they have cleaned up."""
    if LIBRARY is None:
        yield
        return
    start = os.path.getsize(log_path()) if os.path.exists(log_path()) else 0
    LIBRARY.sockleak_name(request.node.name.encode())
    mark = LIBRARY.sockleak_mark()
    yield
    left = LIBRARY.sockleak_check_since(mark, DRAIN_MS)
    LIBRARY.sockleak_name(None)
    if left:
        text = read_log(start)
        pytest.fail(f"{left} socket(s) left open\n{text}{where_opened(text)}", pytrace=False)

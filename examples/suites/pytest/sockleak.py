"""A plugin for pytest: a test that leaves a socket open turns red, and says which.

    LD_PRELOAD=$(sockleak --library) pytest -p sockleak
    sockleak run -- pytest -p sockleak    # also the processes that tests start

`make install` puts it where Python finds it; a copy beside the tests will do (with
PYTHONPATH=.).  Without the library it does nothing.
"""

import ctypes
import re

import pytest

DRAIN_MS = 500  # for a close that is on its way; nothing waits where nothing is left


def find_library():
    """The functions of sockleak.h, as the preloaded library exports them."""
    library = ctypes.CDLL(None)
    try:
        library.sockleak_mark.restype = ctypes.c_uint64
        library.sockleak_check_since.argtypes = [ctypes.c_uint64, ctypes.c_uint]
        library.sockleak_name.argtypes = [ctypes.c_char_p]
        library.sockleak_text.restype = ctypes.c_size_t
        library.sockleak_text.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    except AttributeError:
        return None
    return library


LIBRARY = find_library()


PYTEST_FRAME = re.compile(r" +#\d+ .* at \S*/(_pytest/|pluggy/|pytest/__main__)")


def last_text():
    """What the last check has found, as a report shows it, without pytest's own frames."""
    size = LIBRARY.sockleak_text(None, 0) + 1
    buffer = ctypes.create_string_buffer(size)
    LIBRARY.sockleak_text(buffer, size)
    lines = buffer.value.decode(errors="replace").splitlines()
    return "\n".join(line for line in lines if not PYTEST_FRAME.match(line))


@pytest.fixture(autouse=True)
def no_leaked_sockets(request):
    """Set up before a test's own fixtures, and asked after they have cleaned up."""
    if LIBRARY is None:
        yield
        return
    LIBRARY.sockleak_name(request.node.name.encode())
    mark = LIBRARY.sockleak_mark()
    yield
    left = LIBRARY.sockleak_check_since(mark, DRAIN_MS)
    LIBRARY.sockleak_name(None)
    if left:
        pytest.fail(f"{left} socket(s) left open\n{last_text()}", pytrace=False)

"""show_config prints how pyrnn was built and what it chose on this machine, for bug reports."""

from __future__ import annotations

import numpy as np

from pyrnn import _core


def show_config() -> None:
    """Prints the version, the instruction set in use and those available, the threads, the compiler and NumPy.

    Example:
        >>> import pyrnn
        >>> pyrnn.show_config()  # doctest: +ELLIPSIS
        pyrnn ...
        instruction set: ... (available: scalar...)
        ...
    """
    print(f"pyrnn {_core.__version__}")
    print(f"instruction set: {_core.isa()} (available: {', '.join(_core.available_isas())}; PYRNN_ISA forces one)")
    print(f"threads: {_core.num_threads()} (PYRNN_THREADS or pyrnn.set_num_threads)")
    print(f"compiler: {_core.compiler}")
    print(f"NumPy {np.__version__}")

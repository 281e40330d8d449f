"""``python -m MMIFAminLib``: the ``mmifamin`` command where it is not on the path, as in Slicer's Python."""

import sys

from .commandline import main

sys.exit(main())

"""``python -m configs.server --port P --dir D``."""

from __future__ import annotations

import sys

from configs.server.app import main

if __name__ == "__main__":
    sys.exit(main())

"""Write the pages of reference: ``python -m support.reference``."""

import sys

from support.reference import pages

for path, text in pages().items():
    path.write_text(text)
    sys.stdout.write(f"written: {path}\n")

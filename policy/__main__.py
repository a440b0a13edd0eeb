"""What the engine starts: `pulumi preview --policy-pack policy`."""

import sys
from pathlib import Path

# The engine runs this folder as a program, from any directory: modules are named from the checkout's root all the same.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from policy.pack import serve

serve()

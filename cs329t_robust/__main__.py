"""`python -m cs329t_robust` is the command `cs329t`; `torchrun` starts it so."""

import sys

from .cli.main import main

sys.exit(main())

"""``python -m awml_deploy_core.cli``."""

import sys

from awml_deploy_core.cli.main import main

sys.exit(main())

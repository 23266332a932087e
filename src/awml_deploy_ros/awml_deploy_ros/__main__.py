import sys

from awml_deploy_ros.programs import main

if __name__ == "__main__":
    sys.exit(main())

"""python3 lab: the command of the lab; see weirlab/command.py."""
import sys

from weirlab.command import main

sys.exit(main(sys.argv[1:]))

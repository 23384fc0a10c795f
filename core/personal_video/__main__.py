"""``python -m core.personal_video concept|generate|generate-all|enlarge|pack|train|evaluate``."""

import argparse
import sys

from core.command_line import run
from core.personal_video.commands import add_commands
from core.personal_video.training_commands import add_training_commands
from core.weights.plan import plan_before_loading


def parser() -> argparse.ArgumentParser:
    """The command line of this tool."""
    top = argparse.ArgumentParser(prog="python -m core.personal_video", description="Videos of a user's own subjects.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    add_commands(commands)
    add_training_commands(commands)
    return top


if __name__ == "__main__":
    sys.exit(run(parser(), before=lambda: plan_before_loading(["personal_video"])))

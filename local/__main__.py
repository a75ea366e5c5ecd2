"""The command line of the embedded estate."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local", description="The embedded estate.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="start the estate, drill a restore, and stay until Ctrl-C")
    run.add_argument("--once", action="store_true", help="end when the story is told; fails if anything in it failed")
    run.add_argument("--port", type=int, default=0, help="the functions host's port; a free one by default")
    run.add_argument("--estate", type=Path, default=_PROJECT / "examples" / "single-company" / "estate.yaml")
    run.add_argument("--journal-items", type=int, default=5000, help="of each tenant (default 5000)")
    run.add_argument("--data", type=Path, help="keep the data in this folder; by default only the report is, in .local")
    run.set_defaults(command=_run)
    arguments = parser.parse_args()
    return arguments.command(arguments)


def _run(arguments: argparse.Namespace) -> int:
    from local.run import StoryFailedError, run

    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _interrupt)
    folder = arguments.data or Path(tempfile.mkdtemp(prefix="closekeeper-"))
    try:
        run(
            folder,
            arguments.estate,
            arguments.data or Path(os.path.relpath(_PROJECT / ".local")),
            once=arguments.once,
            port=arguments.port,
            journal_items=arguments.journal_items,
        )
    except StoryFailedError as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopping ...")
        return 130 if arguments.once else 0
    finally:
        if arguments.data is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _interrupt(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # once is enough: what follows is the orderly end
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())

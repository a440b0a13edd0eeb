"""`python -m tools.engine COMMAND`: what the Makefile calls. `make help` lists the targets."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tools.engine import install
from tools.engine.checkout import Checkout, UserError

COMMANDS = {
    "up": "bring a stack up and show what runs where",
    "preview": "show what `up` would change",
    "down": "remove everything of a stack",
    "pulumi": "run any other pulumi command on a stack: `pulumi -- stack export`",
    "env": "print the exports with which plain `pulumi` uses this checkout's engine and state",
    "install": "find or get the Pulumi CLI and print where it is",
}


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.engine", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text)
        if name == "install":
            continue
        command.add_argument("--stack", default="dev", help="Pulumi.STACK.yaml (default: dev)")
        command.add_argument("--system", default="", help="a folder of systems/ (default: top level)")
        command.add_argument("--providers", default="", metavar="real|simulated", help="force one of the two")
        command.add_argument("arguments", nargs="*", help="more for pulumi itself, after `--`")
    return parser.parse_args(arguments)


def main(arguments: list[str], root: Path, environment: dict[str, str]) -> int:
    options = parse(arguments)
    checkout = Checkout(root)
    # Only what a command prints for a program may stand on its standard output.
    quiet = options.command in ("env", "install", "pulumi")
    words = sys.stderr if quiet else sys.stdout
    engine = install.ensure(checkout, lambda text: print(text, file=words, flush=True))
    if options.command == "install":
        print(engine.pulumi)
        return 0
    # After the engine is there: these import what only .venv has.
    from tools.engine import drive, exports

    if options.command == "pulumi" and options.arguments[:1] == ["config"]:
        project = checkout.project(options.system)
        return drive.configure(checkout, engine, project, options.stack, environment, options.arguments)
    session = drive.open_session(
        checkout,
        engine,
        system=options.system,
        stack=options.stack,
        requested=options.providers,
        environment=environment,
    )
    if options.command == "env":
        return exports.print_environment(session)
    run = {"up": drive.up, "preview": drive.preview, "down": drive.down, "pulumi": drive.passthrough}
    return run[options.command](session, options.arguments)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:], Path(__file__).resolve().parents[2], dict(os.environ)))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)

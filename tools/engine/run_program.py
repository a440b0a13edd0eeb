"""Runs one Pulumi program in this process: the child that `language_host.py` starts.

Exit codes: 0 done, 32 the program failed and the engine has been told why, others as the program chose.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import runpy
import signal
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

ALREADY_REPORTED = 32
ADDRESSES = ("monitor", "engine")  # host:port of the two services a program speaks to


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("project", "stack", "organization", "root-directory", "working-directory", *ADDRESSES):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--parallel", type=int, required=True)
    parser.add_argument("--dry-run", choices=("true", "false"), required=True)
    parser.add_argument("program", type=Path, help="a Python file, or a directory with a __main__.py")
    parser.add_argument("arguments", nargs="*")
    return parser.parse_args(arguments)


def program_file(program: Path) -> Path:
    return program / "__main__.py" if program.is_dir() else program


def program_traceback(error: BaseException, program: Path) -> str:
    """The traceback from the program's own first line on: what lies before it is this file and runpy."""
    frames: TracebackType | None = error.__traceback__
    while frames and Path(frames.tb_frame.f_code.co_filename).resolve() != program.resolve():
        frames = frames.tb_next
    return "".join(traceback.format_exception(error.with_traceback(frames or error.__traceback__)))


def connect(options: argparse.Namespace) -> None:
    """Points the Pulumi SDK of this process at its engine and gives it the stack's configuration."""
    from pulumi import runtime
    from pulumi.runtime.config import get_config_env, get_config_secret_keys_env, set_all_config

    set_all_config(get_config_env(), get_config_secret_keys_env())
    runtime.configure(
        runtime.Settings(
            project=options.project,
            stack=options.stack,
            organization=options.organization,
            root_directory=options.root_directory,
            parallel=options.parallel,
            dry_run=options.dry_run == "true",
            monitor=options.monitor,
            engine=options.engine,
        )
    )


def run(program: Path, parallel: int) -> int:
    """Runs the program to its end, resources included, and returns the exit code."""
    import pulumi
    from pulumi import runtime

    # A program that fails leaves unfinished futures behind; asyncio's complaints about them help nobody.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # Each resource operation blocks a thread; four a slot is what Pulumi's own host grants.
    executor = ThreadPoolExecutor(max_workers=max(parallel, 1) * 4)
    loop.set_default_executor(executor)
    try:
        loop.run_until_complete(runtime.run_in_stack(lambda: _execute(program)))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return ALREADY_REPORTED
    except Exception as error:
        text = program_traceback(error, program)
        pulumi.log.error("Program failed with an unhandled exception:\n" + text)
        return ALREADY_REPORTED
    finally:
        executor.shutdown(wait=True)
        loop.close()
    return 0


def _execute(program: Path) -> None:
    runpy.run_path(str(program), run_name="__main__")


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ended by the engine: no traceback
    options = parse(sys.argv[1:])
    connect(options)
    os.chdir(options.working_directory)
    program = program_file(options.program)
    # This file's directory was first; the program imports its neighbours instead.
    sys.path[0] = str(program.resolve().parent)
    sys.argv = [str(program), *options.arguments]
    if not program.is_file():
        import pulumi

        pulumi.log.error(f"no Python program at {program}")
        return ALREADY_REPORTED
    return run(program, options.parallel)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)

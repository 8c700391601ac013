"""The test protocol for the project's Python tests: numbered results that Meson reads."""
import subprocess
import sys
import traceback


class Skip(Exception):
    """Raised by a case that cannot run here; its text says what is missing. It counts as skipped."""


def run(cases):
    """Runs (name, function) pairs. A function returns a list of problems, empty when all is well."""
    print(f'1..{len(cases)}')
    failed = 0
    for number, (name, function) in enumerate(cases, 1):
        skipped = ''
        try:
            problems = list(function())
        except Skip as reason:
            problems, skipped = [], f' # SKIP {reason}'
        except Exception:  # whatever a case raises is that case's failure
            problems = traceback.format_exc().splitlines()
        for problem in problems:
            for line in str(problem).splitlines():
                print(f'# {line}')
        print(f'{"not ok" if problems else "ok"} {number} - {name}{skipped}')
        sys.stdout.flush()
        failed += bool(problems)
    return 1 if failed else 0


def command(arguments, **options):
    """Runs a command; returns problems: none if it ended with 0, else the command and its output."""
    result = output(arguments, **options)
    return [] if result[0] == 0 else [f'{" ".join(arguments)}: exit {result[0]}', result[1]]


def output(arguments, **options):
    """Runs a command; returns its exit status and what it printed on both channels."""
    result = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            errors='replace', stdin=subprocess.DEVNULL, check=False, **options)
    return result.returncode, result.stdout

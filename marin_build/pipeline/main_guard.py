"""What a file does as a program: `if __name__ == "__main__":`, run in the module as it was loaded.

The rest of the file is not run again, and the module keeps its name: what is defined under the
guard is found by every worker as part of that module.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from marin_build.errors import MarinBuildError, SpecificationError, UsageError
from marin_build.pipeline.heard_errors import hearing_errors
from marin_build.pipeline.run_module import raised
from marin_build.workspace.regular_files import read_regular
from marin_build.workspace.workspace import current_workspace

if TYPE_CHECKING:
    from types import CodeType, ModuleType

    from marin_build.pipeline.caught_run import RunCatcher


_WRONG_ARGUMENTS = 2
"""The exit code of argparse and click for arguments that they do not take."""


def main_guard(file: str) -> CodeType | None:
    """Return the code under a file's main guard; None if it has none.

    Args:
        file: of a module that was loaded, so that it can be parsed.

    """
    text = read_regular(file)
    if b"__main__" not in text:
        return None
    tree = ast.parse(text, file)
    guards: list[ast.stmt] = []
    for statement in tree.body:
        if isinstance(statement, ast.If):
            test = _AsProgram()
            statement.test = test.visit(statement.test)
            if test.has_met:
                guards.append(statement)
    if not guards:
        return None
    futures = [each for each in tree.body if _is_future(each)]  # they hold for all of the file
    tree.body = [*futures, *guards]
    return compile(ast.fix_missing_locations(tree), file, "exec", dont_inherit=True)


class _AsProgram(ast.NodeTransformer):
    """Makes `__name__ == "__main__"` true in a condition."""

    has_met = False

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """Replace the comparison, whichever way round it is written."""
        match node:
            case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
                names = {each.id for each in (left, right) if isinstance(each, ast.Name)}
                values = [each.value for each in (left, right) if isinstance(each, ast.Constant)]
                if names == {"__name__"} and values == ["__main__"]:
                    self.has_met = True
                    return ast.copy_location(ast.Constant(value=True), node)
        return node


def _is_future(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


def run_guard(code: CodeType, made: ModuleType, catcher: RunCatcher) -> None:
    """Run the code under a main guard, until it would run steps.

    Args:
        code: see `main_guard`.
        made: the module it belongs to.
        catcher: takes the steps.

    Raises:
        UsageError: the program does not take its arguments.
        SpecificationError: it failed before it would run steps.

    """
    file = str(made.__file__)
    with hearing_errors() as heard:
        try:
            exec(code, made.__dict__)  # noqa: S102 - the pipeline is the user's program
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if catcher.has_caught or _is_good_end(error):
                return  # what a program does after its call does not count
            if isinstance(error, SystemExit):
                raise _refused(file, error, heard.last_line) from error
            if isinstance(error, MarinBuildError) or not isinstance(error, Exception):
                raise
            raise raised(file, error, current_workspace()) from error
        catcher.has_gone_on = catcher.has_caught


def _is_good_end(error: BaseException) -> bool:
    return isinstance(error, SystemExit) and error.code in (None, 0)


def _refused(file: str, error: SystemExit, said: str) -> UsageError | SpecificationError:
    """Return the error for a program that ended before it would run steps."""
    if isinstance(error.code, str):
        said = error.code
    facts = [*([("it said", said)] if said else []), ("file", file)]
    if error.code == _WRONG_ARGUMENTS:
        return UsageError(
            "the pipeline's own command line does not take its arguments",
            facts=facts,
            consequence="nothing was run",
            hint="--set name=value gives it --name=value, --set name= gives --name, and "
            "--set argv='...' gives any words",
        )
    return SpecificationError(
        "the pipeline's program ended before it would run steps",
        facts=[*facts, *([] if isinstance(error.code, str) else [("exit code", str(error.code))])],
        consequence="nothing was run",
    )

"""How large anything may grow before it must be cut. An exemption names the ADR that grants it."""

import ast
import io
import tokenize
from collections.abc import Iterator

import pytest

from tests.house.source import ROOT, Function, Module, docstrings, functions, modules, parameters, parse

MODULE_CODE_LINES = 450
FUNCTION_LINES = 70
PARAMETERS = 8
NESTING = 4
PUBLIC_METHODS = 20
TEST_MODULE_LINES = 800
EXPORT_LINES = 30

# What may be larger: "path" or "path name" → number of the ADR.
EXEMPT: dict[str, str] = {}

BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def lines_of(node: ast.expr | ast.stmt) -> range:
    """Return the lines that a statement stands on."""
    assert node.end_lineno is not None
    return range(node.lineno, node.end_lineno + 1)


def code_lines(module: Module) -> int:
    """Return the number of lines that are neither blank nor comment nor docstring."""
    counted: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
        if token.type not in SILENT:
            counted.update(range(token.start[0], token.end[0] + 1))
    for docstring in docstrings(module):
        counted.difference_update(lines_of(docstring))
    return len(counted)


def depth(statements: list[ast.stmt]) -> int:
    """Return how deep blocks are nested here; `elif` counts as its `if`, an inner function counts for itself."""
    return max((1 + depth(inner(node)) for node in statements if isinstance(node, BLOCKS)), default=0)


def inner(block: ast.AST) -> list[ast.stmt]:
    """Return the statements one level inside a block, all branches together."""
    found: list[ast.stmt] = []
    for child in ast.iter_child_nodes(block):
        if isinstance(child, ast.ExceptHandler | ast.match_case):
            found += child.body
        elif is_elif(block, child):
            found += inner(child)
        elif isinstance(child, ast.stmt):
            found.append(child)
    return found


def is_elif(block: ast.AST, child: ast.AST) -> bool:
    """Return whether a statement is the `elif` of the block around it."""
    return (
        isinstance(block, ast.If)
        and isinstance(child, ast.If)
        and block.orelse == [child]
        and child.col_offset == block.col_offset
    )


def methods(module: Module) -> Iterator[tuple[ast.ClassDef, list[Function]]]:
    """Yield each class with its own methods."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef):
            yield node, [statement for statement in node.body if isinstance(statement, Function)]


def parameter_count(function: Function) -> int:
    """Return the number of parameters beside self."""
    names = [parameter.arg for parameter in parameters(function)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def measures(module: Module) -> Iterator[tuple[int, str, str, int, int]]:
    """Yield line, name, what is measured, how much it is and how much it may be."""
    yield 1, "", "lines of code", code_lines(module), MODULE_CODE_LINES
    for function in functions(module):
        yield function.lineno, function.name, "lines", len(lines_of(function)), FUNCTION_LINES
        yield function.lineno, function.name, "parameters", parameter_count(function), PARAMETERS
        yield function.lineno, function.name, "nested blocks", depth(function.body), NESTING
    for node, owned in methods(module):
        public = {method.name for method in owned if not method.name.startswith("_")}
        yield node.lineno, node.name, "public methods", len(public), PUBLIC_METHODS


def oversizes(module: Module) -> list[str]:
    """Return a complaint for everything beyond its size."""
    return [
        module.at(line, f"{name or 'module'}: {size} {what}, at most {limit}")
        for line, name, what, size, limit in measures(module)
        if size > limit and f"{module.path} {name}".strip() not in EXEMPT
    ]


def is_export(statement: ast.stmt) -> bool:
    """Return whether a statement may stand in `__init__.py`: a docstring, an import, a dunder name."""
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant(value=str())):
            return True
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name.startswith("__")
        case _:
            return False


def strays(module: Module) -> list[str]:
    """Return a complaint for everything in an `__init__.py` that is no export, and for its length."""
    found = [module.at(node.lineno, "is no export") for node in module.tree.body if not is_export(node)]
    if len(module.text.splitlines()) > EXPORT_LINES:
        found.append(module.at(1, f"has more than {EXPORT_LINES} lines"))
    return found


def test_product_and_measurements_keep_their_size() -> None:
    """No module, function, signature, nesting or class outgrows its limit."""
    assert [complaint for module in modules("busbar_fast", "perf") for complaint in oversizes(module)] == []


def test_test_modules_keep_their_size() -> None:
    """No test module is longer than its limit."""
    lengths = {module.path: len(module.text.splitlines()) for module in modules("tests")}
    assert {path: length for path, length in lengths.items() if length > TEST_MODULE_LINES} == {}


def test_package_files_hold_exports_only() -> None:
    """An `__init__.py` names what the package offers and does nothing else."""
    packages = [module for module in modules("busbar_fast", "perf") if module.path.endswith("__init__.py")]
    assert [stray for module in packages for stray in strays(module)] == []


def test_every_exemption_has_its_decision() -> None:
    """An exemption from a size limit names an ADR that exists."""
    missing = [number for number in EXEMPT.values() if not list((ROOT / "docs" / "adr").glob(f"{number}-*.md"))]
    assert missing == []


def nested(levels: int) -> str:
    """Return a function with this many blocks inside each other."""
    blocks = "".join(f"{'    ' * level}while True:\n" for level in range(1, levels + 1))
    return f"def run():\n{blocks}{'    ' * (levels + 1)}break\n"


def with_lines(count: int) -> str:
    """Return a function of this many lines."""
    return "def run():\n" + "    go()\n" * (count - 1)


def with_parameters(count: int) -> str:
    """Return a method with self and this many parameters."""
    listed = ", ".join(f"p{number}" for number in range(count - 1))
    return f"class A:\n    def run(self, {listed}, *rest): ...\n"


def with_methods(count: int) -> str:
    """Return a class with this many public methods and a private one."""
    return "class A:\n    def _p(self): ...\n" + "".join(f"    def m{number}(self): ...\n" for number in range(count))


@pytest.mark.parametrize(
    ("fitting", "too_large"),
    [
        ("go()\n" * MODULE_CODE_LINES, "go()\n" * (MODULE_CODE_LINES + 1)),
        (with_lines(FUNCTION_LINES), with_lines(FUNCTION_LINES + 1)),
        (with_parameters(PARAMETERS), with_parameters(PARAMETERS + 1)),
        (nested(NESTING), nested(NESTING + 1)),
        (with_methods(PUBLIC_METHODS), with_methods(PUBLIC_METHODS + 1)),
    ],
)
def test_each_limit_is_found_exactly(fitting: str, too_large: str) -> None:
    """A sample at its limit passes and the next larger one is complained about once."""
    assert (oversizes(parse(fitting)), len(oversizes(parse(too_large)))) == ([], 1)


def test_only_code_counts() -> None:
    """Blank lines, comments and docstrings are free, every line of a long expression counts."""
    sample = '''
        """What it is.

        And more.
        """

        # why
        NAMES = [
            1,  # one

            2,
        ]


        def run():
            """Say it."""
    '''
    assert code_lines(parse(sample)) == 5


def test_elif_is_no_deeper_than_if() -> None:
    """A chain of elif is one level deep, an if inside else is two."""
    chain = parse("def run():\n    if a:\n        go()\n    elif b:\n        go()\n    elif c:\n        go()\n")
    stairs = parse("def run():\n    if a:\n        go()\n    else:\n        if b:\n            go()\n")
    assert [depth(next(functions(sample)).body) for sample in (chain, stairs)] == [1, 2]


def test_branches_of_every_kind_count() -> None:
    """The blocks in except, finally, else and case are as deep as those in the body."""
    sample = """
        def run():
            try:
                go()
            except ValueError:
                if a:
                    match b:
                        case 1:
                            with c:
                                go()
    """
    assert depth(next(functions(parse(sample))).body) == 4


@pytest.mark.parametrize("text", ["LIMIT = 3", "def run(): ...", "\n" * EXPORT_LINES + "import sys\n", "print(1)"])
def test_a_stray_in_a_package_file_is_found(text: str) -> None:
    """Anything but exports, and anything too long, is complained about."""
    assert len(strays(Module("busbar_fast/__init__.py", text, ast.parse(text)))) == 1

"""What the package offers, how it is documented, and how its modules depend on each other."""

from __future__ import annotations

import ast
import configparser
import graphlib
import importlib
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nadoo_flow

PACKAGE = Path(nadoo_flow.__file__).parent
MODULES = {
    ".".join(["nadoo_flow", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(
        ".__init__"
    ): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
TREES = {module: ast.parse(path.read_text()) for module, path in MODULES.items()}
PROMISED = [
    "BaseNode",
    "BatchProcessor",
    "BatchResult",
    "FilterNode",
    "FunctionNode",
    "MapNode",
    "NodeContext",
    "NodeError",
    "NodeResult",
    "ParallelNode",
    "ParallelStrategy",
    "Pipeline",
    "ReduceNode",
    "WorkflowContext",
]


class TestNames:
    @pytest.mark.parametrize("name", PROMISED)
    def test_every_promised_name_can_be_imported(self, name: str) -> None:
        assert name in nadoo_flow.__all__
        assert inspect.isclass(getattr(nadoo_flow, name))

    def test_all_is_sorted_and_has_no_name_twice(self) -> None:
        assert nadoo_flow.__all__ == sorted(set(nadoo_flow.__all__))

    def test_all_is_complete(self) -> None:
        public = {name for name in vars(nadoo_flow) if isinstance(vars(nadoo_flow)[name], type)}
        assert public - set(nadoo_flow.__all__) == set()
        assert dir(nadoo_flow) == nadoo_flow.__all__

    def test_a_name_that_there_is_not_is_named(self) -> None:
        with pytest.raises(AttributeError, match=r"^module 'nadoo_flow' has no attribute 'Mapp'$"):
            nadoo_flow.Mapp  # noqa: B018

    def test_what_is_offered_says_where_it_comes_from(self) -> None:
        for name in nadoo_flow.__all__:
            offered = getattr(nadoo_flow, name)
            assert offered.__module__.startswith("nadoo_flow.")
            assert offered.__name__ == name


SIGNATURES = {
    "BaseNode": "node_id=None, *, node_type=None, name=None, config=None",
    "BaseNode.execute": "self, node_context, workflow_context",
    "BaseNode.run": "self, input_data, workflow_context=None",
    "BaseNode.pipe": "self, *policies",
    "FunctionNode": "fn, node_id=None",
    "NodeContext": "input_data=<factory>",
    "NodeResult": "success, output=None, error=None, metadata=<factory>, exception=None",
    "BatchProcessor": "node, max_concurrency=10, continue_on_error=True",
    "BatchProcessor.batch": "self, inputs, workflow_context=None",
    "BatchProcessor.batch_as_completed": "self, inputs, workflow_context=None",
    "BatchProcessor.observe": "self, inputs, workflow_context=None",
    "BatchProcessor.process_single": "self, input_data, index, workflow_context=None",
    "BatchResult": "index, input_data, success, output=None, error=None, execution_time=None, "
    "exception=None, metadata=<factory>",
    "FilterNode": "node_id=None, filter_fn=None, input_key='items', output_key='filtered'",
    "MapNode": "node_id=None, child_node=None, input_key='items', output_key='results', "
    "max_concurrency=10, continue_on_error=False",
    "ReduceNode": "node_id=None, reduce_fn=None, initial_value=None, input_key='items', "
    "output_key='result'",
    "ParallelNode": "nodes, strategy=<ParallelStrategy.ALL: 'all'>, node_id=None",
    "operators.flat_map": "node, max_concurrency=10, ordered=False",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_begin_with_the_promised_arguments(name: str) -> None:
    importlib.import_module("nadoo_flow.operators")
    offered: Any = nadoo_flow
    for part in name.split("."):
        offered = getattr(offered, part)
    signature = inspect.signature(offered)
    parameters = [
        parameter.replace(annotation=parameter.empty) for parameter in signature.parameters.values()
    ]
    bare = str(inspect.Signature(parameters)).strip("()")
    assert f"{bare}, ".startswith(f"{SIGNATURES[name]}, ")


def _documented() -> Iterator[tuple[str, Any]]:
    """Give all classes, functions, methods and properties whose names are public."""
    for module in MODULES.keys() - {"nadoo_flow.__main__"}:
        for name, outer in vars(importlib.import_module(module)).items():
            if name.startswith("_") or getattr(outer, "__module__", None) != module:
                continue
            if inspect.isclass(outer) or inspect.isfunction(outer):
                yield f"{module}.{name}", outer
            for method, inner in vars(outer).items() if inspect.isclass(outer) else ():
                is_code = isinstance(inner, (staticmethod, classmethod, property))
                if not method.startswith("_") and (is_code or inspect.isfunction(inner)):
                    yield f"{module}.{name}.{method}", getattr(outer, method)


@pytest.mark.parametrize(
    "offered", [pytest.param(offered, id=name) for name, offered in sorted(_documented())]
)
def test_a_docstring_begins_with_one_sentence(offered: Any) -> None:
    # An override without a docstring of its own means what the method of its base class means.
    first_line = (inspect.getdoc(offered) or "").partition("\n")[0]
    assert first_line[:1].isupper()
    assert first_line.endswith(".")
    assert ". " not in first_line


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_what_it_is_for(module: str) -> None:
    assert (ast.get_docstring(TREES[module]) or "").partition("\n")[0].endswith(".")


def _imports(module: str) -> set[str]:
    """Name all modules that a module imports, late ones and those for type checkers included."""
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    imported: set[str] = set()
    for statement in ast.walk(TREES[module]):
        if isinstance(statement, ast.Import):
            imported.update(alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            parents = package.split(".")[: 1 - statement.level or None] if statement.level else []
            source = ".".join([*parents, *filter(None, [statement.module])])
            inner = {f"{source}.{alias.name}" for alias in statement.names} & MODULES.keys()
            imported.update(inner or {source})
    return imported


IMPORTS = {module: _imports(module) for module in MODULES}


def _reached_from(module: str) -> set[str]:
    reached: set[str] = set()
    waiting = [module]
    while waiting:
        for imported in IMPORTS[waiting.pop()] & MODULES.keys() - reached:
            reached.add(imported)
            waiting.append(imported)
    return reached


class TestImports:
    def test_no_module_imports_itself_by_a_detour(self) -> None:
        list(graphlib.TopologicalSorter(IMPORTS).static_order())

    @pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("nadoo_flow.streams")])
    def test_streams_need_nothing_but_rx(self, module: str) -> None:
        packages = {name.partition(".")[0] for name in IMPORTS[module]}
        # What Rx itself needs comes with it.
        assert packages - _STANDARD <= {"nadoo_flow", "reactivex", "typing_extensions"}

    @pytest.mark.parametrize("package", [m for m in MODULES if MODULES[m].name == "__init__.py"])
    def test_a_package_only_gives_names_of_its_modules(self, package: str) -> None:
        late = {"TYPE_CHECKING", "_LATE", "_LATE_ROOMS", "__getattr__", "__dir__"}
        for statement in TREES[package].body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)]) | ast.FunctionDef(name=name):
                    pass
                case ast.If(test=ast.Name(id=name), body=body):
                    assert all(isinstance(each, (ast.ImportFrom, ast.AnnAssign)) for each in body)
                case ast.If(test=ast.UnaryOp(), body=[ast.FunctionDef(name=name)]):
                    pass
                case _:
                    assert isinstance(statement, (ast.Expr, ast.ImportFrom))
                    continue
            assert name == "__all__" or (package == "nadoo_flow" and name in late)


_STANDARD = set(sys.stdlib_module_names)

# Imports each module as the first one of its package, whose __init__ does not run, and where the
# packages named in `blocked` do not exist. Prints what went wrong.
_IMPORT_ALONE = """
import importlib, json, sys, types

failures = {}
for module, root, blocked in json.loads(sys.stdin.read()):
    for name in [name for name in sys.modules if name.partition(".")[0] == "nadoo_flow"]:
        del sys.modules[name]
    package = "nadoo_flow"
    for part in module.split(".")[1:]:
        stub = sys.modules[package] = types.ModuleType(package)
        stub.__path__ = [f"{root}/{package.replace('.', '/')}"]
        package = f"{package}.{part}"
    hidden = {name: sys.modules.get(name) for name in blocked}
    sys.modules.update(dict.fromkeys(blocked))
    try:
        importlib.import_module(module)
    except BaseException as error:
        failures[module] = repr(error)
    for name in blocked:
        del sys.modules[name]
print(json.dumps(failures))
"""


def _import_alone(modules: list[str], blocked: list[str]) -> dict[str, str]:
    cases = [(module, str(PACKAGE.parent), blocked) for module in modules]
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_ALONE],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
    )
    failures: dict[str, str] = json.loads(done.stdout)
    return failures


@pytest.mark.slow
@pytest.mark.one_python
def test_every_module_can_be_the_first_to_be_imported() -> None:
    by_itself = [module for module in MODULES if "nadoo_flow" not in _reached_from(module)]
    assert _import_alone(by_itself, blocked=[]) == {}


@pytest.mark.slow
def test_what_not_every_program_uses_is_imported_when_it_is_used() -> None:
    rooms = [
        "checkpoint",
        "cli",
        "drawing.svg",
        "executors",
        "policies",
        "results.summary",
        "stages",
        "telemetry",
        "testing",
    ]
    others = [
        "html",
        "opentelemetry",
        "reactivex.operators",
        "sqlite3",
        "statistics",
        "tenacity",
        "tqdm",
        "uuid",
    ]
    late = [*(f"nadoo_flow.{room}" for room in rooms), *others]
    code = f"import nadoo_flow, sys; print(set({late}) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_room_can_be_used_without_an_import_of_its_own() -> None:
    rooms = sorted(nadoo_flow._LATE_ROOMS)
    # In a process of its own, since other tests have imported them here.
    code = f"import nadoo_flow; print([getattr(nadoo_flow, room).__name__ for room in {rooms}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{[f'nadoo_flow.{room}' for room in rooms]}\n"


def test_the_version_is_that_of_the_package() -> None:
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parents[1] / "setup.cfg", encoding="utf-8")
    assert nadoo_flow.__version__ == setup["metadata"]["version"]

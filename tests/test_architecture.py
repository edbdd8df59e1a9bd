"""The laws of the house, held against every source file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "thalweg"

FLOORS = [
    {"errors", "files", "wording"},
    {"cache"},
    {"rules", "schedules", "initializers", "data", "models", "gradcheck", "surfaces", "train", "history", "averages"},
    {"engines", "monitors", "diagnose", "search"},
    {"optim", "report", "compare"},
    {"population", "doctor"},
    {"experiments", "testing"},
    {"view"},
    {"cli"},
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
WITHOUT_TORCH = {
    "averages",
    "cache",
    "errors",
    "files",
    "rules",
    "schedules",
    "history",
    "diagnose",
    "report",
    "compare",
}
LONGEST_FILE = 400
SHELF_NAMES = {"utils", "util", "misc", "common", "helpers", "helper", "core", "tools", "base"}
FILES = sorted(path for path in PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0] if parts[0] != "__init__" else ""


def imports(path: Path) -> list[tuple[str, str]]:
    """(module, room of ours or '') for every import in the file, inside functions too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import; say thalweg.… in full"
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "thalweg" else [module]
        else:
            continue
        found += [(name, name.split(".")[1] if name.startswith("thalweg.") else "") for name in names]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
class TestEveryFile:
    def test_imports_run_down(self, path: Path) -> None:
        room = room_of(path)
        if not room or room == "__main__":
            return  # the public face knows everybody
        assert room in FLOOR, f"{room} has no floor: put it into the table above"
        for _, other in imports(path):
            if other and other != room:
                assert other in FLOOR, f"{path.name} imports thalweg.{other}, which is no room"
                assert FLOOR[other] < FLOOR[room], f"{path}: {room} imports {other}, which is not below it"

    def test_torch_stays_out_of_rooms_without_it(self, path: Path) -> None:
        if room_of(path) in WITHOUT_TORCH:
            assert not [name for name, _ in imports(path) if name.split(".")[0] == "torch"], f"{path} imports torch"

    def test_file_has_one_idea(self, path: Path) -> None:
        lines = path.read_text(encoding="utf-8").count("\n")
        assert lines <= LONGEST_FILE, f"{path} has {lines} lines: which idea wants a room of its own?"
        assert path.stem not in SHELF_NAMES, f"{path.stem} is a shelf, not a concept"

    def test_docstring_explains_the_idea(self, path: Path) -> None:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), f"{path} has no module docstring"

    def test_only_the_command_line_prints(self, path: Path) -> None:
        if room_of(path) == "cli":
            return
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", f"{path}:{node.lineno} prints"

    def test_no_hidden_interfaces(self, path: Path) -> None:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "hasattr", f"{path}:{node.lineno} asks hasattr: declare the interface instead"

    def test_triton_and_numba_live_in_their_engine(self, path: Path) -> None:
        for name, _ in imports(path):
            if name.split(".")[0] == "triton":
                assert path.relative_to(PACKAGE).as_posix() in ("engines/gpu.py", "engines/elementary_gpu.py")


def test_the_test_sees_the_house() -> None:
    assert len(FILES) > 20
    assert {room_of(path) for path in FILES} - {"", "__main__"} <= set(FLOOR)

"""The programs in the documentation run, and what they log arrives.

A page may be about something that needs a driver, a web server say: then all its blocks are named files, and the test
of that feature runs them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import DOCS, Program, docs_page, page_at

#: Pages that show no program.
TABLES = {"performance"}


@pytest.mark.parametrize("name", sorted(path.stem for path in DOCS.glob("*.md") if path.stem not in TABLES))
def test_the_program_of_the_page_logs(name: str, program: Program, tmp_path: Path) -> None:
    page = docs_page(name)
    if "page.py" not in page.files:
        assert page.files, "a page without a program"
        return
    page.write(tmp_path)
    program.run_file(tmp_path / "page.py")
    program.server.wait_for(1)


def test_the_program_of_the_front_page_logs(program: Program, tmp_path: Path) -> None:
    page_at(Path(__file__).parents[1] / "README.md").write(tmp_path)
    program.run_file(tmp_path / "page.py")
    messages = [record["message"] for record in program.server.wait_for(3)]
    assert messages == ["slow answer", "order placed", "charge failed"]


def test_named_blocks_are_files_and_the_others_one_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "page.md").write_text(
        "```python\nimport web.app\n```\n\n"
        "- Indented:\n\n  ```python\n  # web/app.py\n  if True:\n      a = 1\n  ```\n\n"
        "```text\nnone\n```\n\n"
        "```python\nassert web.app.a == 1\n```\n"
    )
    monkeypatch.setattr("conftest.DOCS", tmp_path)
    page = docs_page("page")
    assert page.files == {
        "page.py": "import web.app\n\nassert web.app.a == 1\n",
        "web/app.py": "# web/app.py\nif True:\n    a = 1\n",
    }
    page.write(tmp_path)
    assert (tmp_path / "web" / "app.py").read_text(encoding="utf-8") == page.files["web/app.py"]

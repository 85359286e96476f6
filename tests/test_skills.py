"""Skills: folders of SKILL.md files, read whole or refused with the file and the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbagent.agent import Agent
from nbagent.errors import ConfigError
from nbagent.models import ScriptedModel
from nbagent.skills import LARGEST, Skill, load_skills

GOOD = """---
name: sums
description: >
  Adds numbers
  of any size.
license: MIT
metadata: {audience: everybody}
---

# How to add

One by one.
---
Then check.
"""


def write(folder: Path, text: str | bytes, name: str = "one") -> Path:
    file = folder / name / "SKILL.md"
    file.parent.mkdir(parents=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def agent(skills: object) -> Agent:
    return Agent("lead", model=ScriptedModel([]), skills=skills)  # type: ignore[arg-type]


def test_a_folder_of_skills_is_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD, "z")
    write(tmp_path, GOOD.replace("sums", "prose"), "b")
    write(tmp_path, "nonsense", ".hidden")
    (tmp_path / "notes.md").write_text("no skill")
    (tmp_path / "empty").mkdir()
    prose, sums = load_skills(tmp_path)
    assert (prose.name, sums.name) == ("prose", "sums")
    assert sums == Skill("sums", "Adds numbers of any size.", "# How to add\n\nOne by one.\n---\nThen check.", file)
    assert agent(tmp_path).skills == agent(str(tmp_path)).skills == agent([prose, sums]).skills == (prose, sums)
    assert agent(()).skills == agent("").skills == ()


@pytest.mark.parametrize("end", ["\r\n", "\n"], ids=["CRLF", "LF"])
@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b""], ids=["BOM", "no BOM"])
def test_files_of_other_editors_are_read_too(tmp_path: Path, end: str, mark: bytes) -> None:
    write(tmp_path, mark + GOOD.replace("\n", end).encode())
    (skill,) = load_skills(tmp_path)
    assert (skill.name, skill.description) == ("sums", "Adds numbers of any size.")
    assert "One by one.\n---\nThen check." in skill.instructions


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "SKILL.md:1: a skill begins with ---"),
        ("# Sums\n\nAdd.", "SKILL.md:1: a skill begins with ---"),
        ("---\nname: sums\ndescription: x\n", "SKILL.md:1: the front matter has no end"),
        ("---\nname: sums\n---\nAdd.", "SKILL.md:2: the front matter has no description"),
        ("---\ndescription: x\n---\nAdd.", "SKILL.md:2: the front matter has no name"),
        ("---\n---\nAdd.", "SKILL.md:2: the front matter is no mapping"),
        ("---\n- name\n---\nAdd.", "SKILL.md:2: the front matter is no mapping"),
        ("---\nname: sums\ndescription: x: y\n---\nAdd.", "SKILL.md:3: the front matter is not YAML: mapping values"),
        ("---\nname: sums\nother: &a [*b]\n---\nAdd.", "SKILL.md:3: the front matter is not YAML: found undefined"),
        ("---\nname: sums\n\tdescription: x\n---\nAdd.", "SKILL.md:3: the front matter is not YAML"),
        ("---\nname: 12\ndescription: x\n---\nAdd.", "SKILL.md:2: name must be a text"),
        ("---\nname: sums\ndescription: [x]\n---\nAdd.", "SKILL.md:3: description must be a text"),
        ("---\nname: sums\ndescription: ' '\n---\nAdd.", "SKILL.md:3: description must be a text"),
        ("---\nname: sums\ndescription:\n---\nAdd.", "SKILL.md:3: description must be a text"),
        ("---\nname: sums\ndescription: x\nname: other\n---\nAdd.", "SKILL.md:4: name stands here a second time"),
        ("---\ndescription: x\nname: a b\n---\nAdd.", "SKILL.md:3: name 'a b': letters, digits"),
        ("---\nname: ../x\ndescription: x\n---\nAdd.", "SKILL.md:2: name '../x': letters, digits"),
        ("---\nname: sums\ndescription: x\n---\n\n", "SKILL.md:6: there are no instructions"),
        (b"---\nname: sums\ndescription: \xff\n---\nAdd.", "SKILL.md:3: this is not UTF-8"),
        ("---\nname: sums\ndescription: x\n---\n" + "x" * LARGEST, "SKILL.md: 200,034 bytes; a skill has 200,000"),
    ],
)
def test_what_is_wrong_is_one_error_with_the_file_and_the_line(tmp_path: Path, text: str | bytes, words: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_skills(tmp_path)
    assert str(caught.value).startswith(str(file.parent))
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_yaml_is_data(tmp_path: Path) -> None:
    write(tmp_path, "---\nname: !!python/object/apply:os.getcwd []\ndescription: x\n---\nAdd.")
    with pytest.raises(ConfigError, match=r"SKILL\.md:2: name must be a text"):
        load_skills(tmp_path)


def test_a_folder_that_is_none_and_one_without_skills(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere is not a folder"):
        load_skills(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"there is no \*/SKILL.md in"):
        load_skills(tmp_path)
    with pytest.raises(ConfigError, match="nowhere is not a folder"):
        agent(tmp_path / "nowhere")


def test_two_skills_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, GOOD, "a")
    write(tmp_path, GOOD, "b")
    with pytest.raises(ConfigError, match=r"b/SKILL.md: a skill named 'sums' is in .*a/SKILL.md too"):
        load_skills(tmp_path)
    with pytest.raises(ConfigError, match="two are named 'x'"):
        agent([Skill("x", "y", "z"), Skill("x", "a", "b")])


@pytest.mark.parametrize("linked", ["the file", "the folder"])
def test_no_link_leads_out_of_the_folder(tmp_path: Path, linked: str) -> None:
    outside = write(tmp_path / "outside", GOOD)
    root = tmp_path / "skills"
    if linked == "the file":
        (root / "one").mkdir(parents=True)
        (root / "one" / "SKILL.md").symlink_to(outside)
    else:
        root.mkdir()
        (root / "one").symlink_to(outside.parent)
    with pytest.raises(ConfigError, match="it is a link that leads out of"):
        load_skills(root)


def test_a_link_to_the_whole_folder_and_links_inside_are_fine(tmp_path: Path) -> None:
    write(tmp_path / "real", GOOD)
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    assert [skill.name for skill in load_skills(tmp_path / "linked")] == ["sums"]


def test_a_link_that_leads_nowhere_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "SKILL.md").symlink_to(tmp_path / "one" / "SKILL.md")
    with pytest.raises(ConfigError, match=r"SKILL.md: it cannot be read|there is no"):
        load_skills(tmp_path)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: Skill("a b", "x", "y"), "skill 'a b': a name has letters"),
        (lambda: Skill("x" * 65, "x", "y"), "a name has letters"),
        (lambda: Skill("a", " ", "y"), "skill 'a' has no description"),
        (lambda: Skill("a", "x", ""), "skill 'a' has no instructions"),
        (lambda: agent(["sums"]), "agent 'lead': skills: 'sums' is not a Skill"),
    ],
)
def test_what_is_no_skill_is_refused_where_it_is_made(made: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        made()  # type: ignore[operator]

"""docker-agent's YAML as a `Team`: ``nbagent.load("team.yaml")``.

    loading        load, validate: the whole of it
    ├── reading        text → data, and where each value stands        (PyYAML)
    ├── checking       data → `shape.Document`, one problem a mistake   (pydantic)
    │   └── shape      which keys there are; the JSON schema for editors
    └── building       `Document` → `Team`
        ├── models, toolsets, hooks, skills    what an agent is made of
        ├── wanted, lending                    models and toolsets, each made when it is first used
        ├── settings                           how a model is to answer
        ├── briefing   what an agent is told beside its instructions
        └── expansion  ${env.NAME}, when it is needed
    problems       what is wrong, with line and column

Above `agent` and all below it; `runtime` knows nothing of files. Importing this package imports neither pydantic nor
PyYAML.
"""

from __future__ import annotations

from nbagent.config.loading import load, load_kept, schema, validate
from nbagent.config.problems import ConfigWarning, Problem

__all__ = ["ConfigWarning", "Problem", "load", "load_kept", "schema", "validate"]

"""Forms: the questions of a run as plain ipywidgets, in the cell where they are asked.

Elicitations (all of MCP's schema, and URLs), approvals of tool calls, and the limit of model calls. A form calls back
once with MCP's action and the content. All text in it is somebody else's, and is shown as text. Its look is
``static/forms.css``, which the transcript loads; without it the forms still work. Below: `events`, `errors`, `schema`,
`widgets.text`. Above: `notebook`.
"""

from __future__ import annotations

from nbagent.widgets.forms.approval import ApprovalForm, LimitForm
from nbagent.widgets.forms.form import ElicitationForm, refusal
from nbagent.widgets.forms.question import Answer, QuestionForm

__all__ = ["Answer", "ApprovalForm", "ElicitationForm", "LimitForm", "QuestionForm", "refusal"]

"""`FetchToolset`: a page from the web, as text that a model reads.

    toolset    what the model is told, and what the user is asked
    addresses  to which addresses a connection may be made: public ones, unless the toolset says otherwise
    request    one GET, with its redirects, bounded; each connection goes to the very address that was checked
    pages      HTML as markdown or text

The one door to httpx2 (which `mcp` brings along) for pages, and to markdownify; both are imported where they are used.
"""

from nbagent.toolsets.fetch.toolset import FetchToolset

__all__ = ["FetchToolset"]

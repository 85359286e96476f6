"""What the user sees: the transcript of a run, its forms, and the static twin that a saved notebook keeps.

    words, text, assets    how states read; text made plain; the files of ``static/``
    splitter, markdown     growing markdown, in blocks, becomes safe HTML: the door to markdown-it-py, pygments, nh3
    media                  what a tool displays, as safe HTML
    blocks, document       events become one tree of blocks
    wire, transcript       the tree as numbered patches; the live anywidget: the door to anywidget and its script
    static, plain          the tree as HTML, markdown and text, without a script
    forms                  a question's form, an approval

`Transcript` shows a run live, `static.bundle` shows any document, `plain.PlainTranscript` writes one to a terminal.
Importing this package imports none of them, and so neither ipywidgets nor a renderer. Below: `events`, `schema`.
Above: `notebook`.
"""

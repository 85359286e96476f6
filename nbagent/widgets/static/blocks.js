// The kinds of blocks, each by the name that wire.py gives it. One returns {root, set, html?, tail?, inside?, gone?}: its
// element, what takes new properties, finished HTML and the text that still grows, where its children stand, and its end.

const kinds = {
  head() {
    const root = el("div", "nba-head");
    root.setAttribute("role", "heading");
    root.setAttribute("aria-level", "4");
    root.dir = "auto";
    return { root, set(p) { text(root, p.text); } };
  },

  prompt() {
    const root = el("div", "nba-prompt");
    const words = el("div", "nba-words");
    const all = el("button", "nba-all");
    const attached = el("div", "nba-attached");
    root.dir = "auto";
    root.append(words, all, attached);
    return {
      root,
      set(p) {
        folded(words, all, p.text);
        attached.replaceChildren(...p.attached.map((name, index) => chip(name, p.pictures[index])));
      },
    };
  },

  drawn(view) {
    const root = el("div", "nba-media");
    const own = el("div", "nba-own");
    let shown = "";
    return {
      root,
      set(p) {
        root.replaceChildren(p.widget ? own : htmlPiece(p.html, view));
        if (p.widget !== shown) { shown = p.widget; view.embed(own, shown, "widget"); }
      },
      gone() { view.embed(own, ""); },
    };
  },

  text(view) {
    const root = el("div", "nba-text");
    const pieces = el("div", "nba-pieces");
    const tail = el("div", "nba-tail");
    const cut = el("div", "nba-quiet");
    tail.dir = "auto";
    tail.setAttribute("aria-live", "off");
    const words = document.createTextNode("");
    tail.append(words);
    root.append(pieces, tail, cut);
    return {
      root,
      set(p) { tail.classList.toggle("nba-mono", Boolean(p.code)); text(cut, p.cut || ""); },
      html(html) { pieces.append(htmlPiece(html, view)); },
      tail(value, drop, add) { grow(words, value, drop, add); },
    };
  },

  think() {
    const root = el("details", "nba-think");
    const label = el("span");
    const summary = el("summary");
    summary.append(label);
    const body = el("div", "nba-thoughts");
    const cut = el("div", "nba-quiet");
    const words = document.createTextNode("");
    body.dir = "auto";
    body.setAttribute("aria-live", "off");
    body.append(words);
    root.append(summary, body, cut);
    return {
      root,
      set(p) { text(label, p.label); text(cut, p.cut || ""); },
      tail(value, drop, add) { grow(words, value, drop, add); },
    };
  },

  card(view, node) {
    const root = el("details", "nba-card");
    const summary = el("summary");
    const name = el("span", "nba-name");
    const args = el("span", "nba-arg");
    const status = el("span", "nba-state");
    const body = el("div", "nba-body");
    const table = el("table", "nba-args");
    const more = el("pre", "nba-pre nba-more");
    const moreAll = el("button", "nba-all");
    const output = el("pre", "nba-pre nba-out");
    const media = el("div", "nba-media");
    const widgets = el("div", "nba-media");
    const result = el("pre", "nba-pre");
    const all = el("button", "nba-all");
    const cut = el("div", "nba-quiet");
    const words = document.createTextNode("");
    all.type = moreAll.type = "button";
    output.append(words);
    output.setAttribute("aria-live", "off");
    [more, output, result].forEach((pre) => { pre.tabIndex = 0; pre.dir = "auto"; });
    summary.append(name, args, status);
    body.append(table, more, moreAll, output, media, widgets, result, all, cut);
    root.append(summary, body);
    name.dir = args.dir = "auto";
    const lane = node.props.row ? null : el("div", "nba-row");
    if (lane) lane.append(root);
    let told = null;
    let touched = false;
    let shown = 0;
    let last = "";
    summary.onclick = () => { touched = true; };
    const settle = () => {
      const p = node.props;
      const empty = !p.rows.length && !p.more && !node.tail && !p.media.length && !p.result && !p.cut;
      root.classList.toggle("nba-empty", empty);
      output.hidden = !node.tail;
      media.hidden = !p.media.length;
      const short = node.tail && node.tail.length < 2000 && node.tail.split("\n").length < 16;
      if (!touched) root.open = Boolean(!empty && (p.bad || p.media.length || short || (p.since !== null && node.tail)));
    };
    let atEnd = true;
    output.onscroll = () => { atEnd = output.scrollTop + output.clientHeight >= output.scrollHeight - 8; };
    return {
      root: lane ?? root,
      lane,
      set(p) {
        text(name, p.name);
        text(args, p.args);
        summary.title = p.from ? `${p.name}, a tool of ${p.from}` : p.name;
        const key = p.tone + "|" + p.word;
        if (key !== last) { state(status, p.tone, p.word); last = key; }
        view.tick(status, p.since, p.asks || p.since !== null ? " · " : null);
        if (told !== p.rows) { told = p.rows; table.hidden = !told.length; rows(table, told); }
        more.hidden = !p.more;
        folded(more, moreAll, p.more);
        p.media.slice(shown).filter(Boolean).forEach((html) => media.append(htmlPiece(html, view)));
        shown = p.media.length;
        p.widgets.slice(widgets.children.length).forEach((id) => {
          const own = el("div", "nba-own");
          widgets.append(own);
          view.embed(own, id, "widget");
        });
        result.hidden = !p.result;
        result.classList.toggle("nba-bad-text", p.bad);
        folded(result, all, p.result, p.cut ? "the first" : "all");
        text(cut, p.cut);
        settle();
      },
      tail(value, drop, add) {
        grow(words, value, drop, add);
        settle();
        if (add && atEnd && node.props.since !== null) view.scroll(output);
      },
      gone() { [...widgets.children].forEach((own) => view.embed(own, "")); },
    };
  },

  ask(view) {
    const root = el("div", "nba-ask-box");
    const line = el("div", "nba-asked");
    const said = el("span", "nba-said");
    const status = el("span", "nba-state");
    const note = el("div", "nba-quiet");
    const form = el("div", "nba-form-slot");
    said.dir = "auto";
    line.append(said, status);
    root.append(line, note, form);
    let shown = "";
    return {
      root,
      set(p) {
        text(said, (p.from ? p.from + ": " : "") + p.message);
        state(status, p.tone, p.word);
        text(note, p.note);
        root.classList.toggle("nba-open", Boolean(p.form));
        if (p.form !== shown) { shown = p.form; view.embed(form, p.form); }
        if (p.tone === "wait") view.say("You are asked: " + p.message);
      },
      gone() { view.embed(form, ""); },
    };
  },

  note() {
    const root = el("div", "nba-note");
    const sign = el("span", "nba-sign");
    const words = el("span", "nba-said");
    const next = el("span", "nba-next");
    words.dir = "auto";
    const said = el("div", "nba-note-text");
    said.append(words, " ", next);
    root.append(sign, said);
    return {
      root,
      set(p) {
        root.className = "nba-note nba-" + p.level;
        root.setAttribute("role", p.level === "error" ? "alert" : "note");
        text(sign, { error: "✕", warning: "!", info: "i" }[p.level]);
        text(words, p.text);
        text(next, p.next);
      },
    };
  },

  group(view) {
    const root = el("details", "nba-sub");
    const summary = el("summary", "nba-who");
    const label = el("span");
    const status = el("span", "nba-state");
    const inside = el("div");
    let last = "";
    root.open = true;
    label.dir = "auto";
    summary.append(label, status);
    root.append(summary, inside);
    return {
      root,
      inside,
      set(p) {
        text(label, p.label);
        root.setAttribute("aria-label", p.label);
        const key = p.tone + "|" + p.word;
        if (key !== last) {
          state(status, p.tone, p.word);
          if (p.tone === "wait") root.open = true;  // a form that nobody sees is not answered
          last = key;
        }
        view.tick(status, p.since, " · ");
      },
    };
  },

  foot(view) {
    const root = el("div", "nba-foot");
    const parts = Object.fromEntries(["model", "tokens", "cost", "took", "doing"].map((n) => [n, el("span", "nba-" + n)]));
    const stop = el("button", "nba-stop", "Stop");
    stop.type = "button";
    stop.onclick = () => { stop.disabled = true; text(stop, "Stopping…"); view.model.send({ type: "stop" }); };
    root.append(...Object.values(parts), stop);
    return {
      root,
      set(p) {
        text(parts.model, p.model || p.agent);
        text(parts.tokens, p.tokens);
        text(parts.cost, p.cost);
        text(parts.doing, p.doing ? p.doing + "…" : "");
        if (p.took) text(parts.took, p.took);
        view.tick(parts.took, p.since, "");
        stop.hidden = !p.running;
        for (const part of Object.values(parts)) part.hidden = !part.textContent && part !== parts.took;
        view.root.classList.toggle("nba-running", p.running);
        view.root.setAttribute("aria-busy", String(p.running));
        view.root.setAttribute("aria-label", "Run of " + (p.agent || "an agent"));
        if (!p.running && p.reason) view.say("The run has ended: " + p.reason.replace("_", " ") + ".");
      },
    };
  },
};

// Appending to a text node keeps a selection and costs no new layout of what stands before.
function grow(words, value, drop, add) {
  if (add === undefined) words.data = value;
  else {
    if (drop) words.deleteData(words.length - drop, drop);
    words.appendData(add);
  }
}

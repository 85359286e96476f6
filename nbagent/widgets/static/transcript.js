// The view of a transcript. Protocol: see wire.py. Text is only ever set by textContent; innerHTML gets nothing but what
// the kernel sanitised ("html" ops, "media" and "pictures" props). A line that begins with two
// slashes does not go over the wire.

const FOLD = 12;
const DEAD = "The kernel of this run is gone: it was restarted or has ended. Nothing here can be answered any more; run the cell again.";
const SIGNS = { ok: "✓", bad: "✕", wait: "●", run: "", off: "–" };

// ---------------------------------------------------------------- the store: one per model, shared by its views

function makeStore(model) {
  const store = { seq: 0, nodes: new Map(), order: [], skew: Infinity, views: new Set(), synced: false, dead: false };
  let tries = 0;
  let timer = null;
  let plain = typeof DecompressionStream === "undefined";
  const ask = () => {
    if (timer !== null) return;
    model.send({ type: "sync", plain });
    timer = setTimeout(() => { timer = null; if (!store.synced && tries++ < 8) ask(); }, 1000 * 2 ** Math.min(tries, 4));
  };
  const put = ([id, parent, kind, props, html = "", tail = ""]) => {
    store.nodes.set(id, { id, parent, kind, props, html: html ? [html] : [], tail });
    store.order.push(id);
  };
  const apply = (op) => {
    const node = store.nodes.get(op[1]);
    if (op[0] === "add") put(op.slice(1));
    else if (op[0] === "set") Object.assign(node.props, op[2]);
    else if (op[0] === "html") { node.html.push(op[2]); node.tail = op[3]; }
    else if (op[0] === "text") node.tail = node.tail.slice(0, node.tail.length - op[2]) + op[3];
  };
  const take = (message) => {
    if (message.at) store.skew = Math.min(store.skew, Date.now() / 1000 - message.at);
    if (message.type === "document") {
      store.synced = true;
      store.id = message.model;
      store.views.forEach((view) => view.hold());
      if (message.seq < store.seq || (message.seq === store.seq && store.nodes.size)) return;
      store.seq = message.seq;
      store.nodes.clear();
      store.order = [];
      message.nodes.forEach(put);
      store.views.forEach((view) => view.reset());
    } else if (message.type === "patch") {
      if (message.seq <= store.seq) return;
      if (message.seq !== store.seq + 1) { store.synced = false; ask(); return; }
      store.seq = message.seq;
      for (const op of message.ops) {
        apply(op);
        store.views.forEach((view) => view.apply(op));
      }
      store.views.forEach((view) => view.settle());
    }
  };
  let inbox = Promise.resolve();
  let waiting = 0;
  model.on("msg:custom", (message, buffers) => {
    if (message.type !== "deflated" && !waiting) { take(message); return; }
    waiting += 1;
    inbox = inbox.then(async () => {
      try {
        take(message.type === "deflated" ? await inflate(buffers[0]) : message);
      } catch (error) {
        console.warn("nbagent: a patch could not be applied; asking for the whole.", error);
        plain = true;
        store.synced = false;
        ask();
      } finally { waiting -= 1; }
    });
  });
  store.running = () => [...store.nodes.values()].some((node) => node.kind === "foot" && node.props.running);
  // The front end calls the comm dead when the kernel restarts; where a run has come to its end, that is no news.
  model.on("comm_live_update", () => {
    store.dead = store.running();
    if (store.dead) store.views.forEach((view) => view.die());
  });
  ask();
  return store;
}

// Large messages come deflated, in a buffer.
async function inflate(buffer) {
  const stream = new Blob([buffer]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

// ---------------------------------------------------------------- small pieces

function el(tag, name, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
}

function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

function clock(seconds) {
  const whole = Math.max(Math.floor(seconds), 0);
  const two = (n) => String(n).padStart(2, "0");
  const h = Math.floor(whole / 3600);
  return (h ? h + ":" : "") + two(Math.floor(whole / 60) % 60) + ":" + two(whole % 60);
}

function htmlPiece(html, view) {
  const piece = el("div", "nba-piece");
  piece.dir = "auto";
  piece.innerHTML = html;
  piece.querySelectorAll("p, li, h1, h2, h3, h4, h5, h6, blockquote, td, th").forEach((e) => { e.dir = "auto"; });
  piece.querySelectorAll("table").forEach((table) => {
    const scroll = el("div", "nba-scroll");
    table.replaceWith(scroll);
    scroll.append(table);
  });
  piece.querySelectorAll("pre.nba-code").forEach((pre) => addCopy(pre, view));
  piece.querySelectorAll(".nba-img").forEach(addLoad);
  piece.querySelectorAll(".nba-math").forEach((formula) => typeset(formula, view));
  return piece;
}

// A formula is set by the page's own renderer: JupyterLab's, else MathJax 3 or 2. Without one, it stays as it was written.
function renderer(model) {
  const lab = model.widget_manager?.rendermime?.latexTypesetter;
  if (lab) return (element) => lab.typeset(element);
  const page = window.MathJax;
  if (page?.typesetPromise) return (element) => page.typesetPromise([element]);
  if (page?.Hub) return (element) => page.Hub.Queue(["Typeset", page.Hub, element]);
  return null;
}

async function typeset(formula, view) {
  const set = renderer(view.model);
  if (!set) return;
  const written = formula.textContent;
  const found = /^(\$\$?|\\\(|\\\[)([^]*?)(\$\$?|\\\)|\\\])$/.exec(written);
  if (!found) return;
  const display = found[1] === "$$" || found[1] === "\\[";
  await view.shown;
  if (!formula.isConnected) return;
  try {
    formula.textContent = display ? `\\[${found[2]}\\]` : `\\(${found[2]}\\)`;
    await set(formula);
    if (formula.firstElementChild) formula.classList.add("nba-set");
  } catch { formula.textContent = written; }
}

// Where the page is not a secure context (http, and not localhost) there is no clipboard, but an old command.
async function copy(words) {
  if (navigator.clipboard) {
    try { await navigator.clipboard.writeText(words); return true; } catch { /* not allowed, or the page has no focus */ }
  }
  const before = document.activeElement;
  const area = el("textarea", "nba-sr");
  area.value = words;
  area.readOnly = true;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  before?.focus({ preventScroll: true });
  return done;
}

function addCopy(pre, view) {
  const box = el("div", "nba-codebox");
  const button = el("button", "nba-copy", "Copy");
  button.type = "button";
  button.onclick = async () => {
    text(button, await copy(pre.textContent) ? "Copied" : "Select it and press Ctrl+C");
    view.say(button.textContent);
    setTimeout(() => text(button, "Copy"), 2000);
  };
  pre.tabIndex = 0;
  pre.replaceWith(box);
  box.append(pre, button);
}

// A remote image is fetched on the reader's click alone: the address itself can carry a secret out.
function addLoad(span) {
  const link = span.querySelector("a[href]");
  if (!link || !/^https?:\/\//i.test(link.href)) return;
  const button = el("button", "nba-load", "Load image");
  button.type = "button";
  button.onclick = () => {
    const image = el("img", "nba-image");
    image.referrerPolicy = "no-referrer";
    image.alt = "";
    image.src = link.href;
    button.replaceWith(image);
  };
  span.append(" ", button);
}

// Long text shows its first lines and a button for the rest.
function folded(pre, button, value, part = "all") {
  const lines = value.split("\n");
  if (lines[lines.length - 1] === "") lines.pop();
  const long = lines.length > FOLD + 3 || value.length > 4000;
  const open = pre.dataset.open === "1";
  text(pre, long && !open ? lines.slice(0, FOLD).join("\n").slice(0, 3000) : value);
  pre.classList.toggle("nba-cut", long && !open);
  button.hidden = !long;
  const size = lines.length > 1 ? `${lines.length.toLocaleString("en")} lines` : `${value.length.toLocaleString("en")} characters`;
  text(button, open ? "Show less" : `Show ${part} ${size}`);
  button.setAttribute("aria-expanded", String(open));
  button.onclick = () => { pre.dataset.open = open ? "" : "1"; folded(pre, button, value, part); };
}

// Something attached to a prompt: its name, under a small picture where it is one.
function chip(name, picture) {
  const one = el("span", "nba-chip");
  if (picture) one.innerHTML = picture;
  const image = one.querySelector("img");
  if (image) { image.alt = ""; one.classList.add("nba-thumb"); } else one.replaceChildren();
  const words = el("span", "", name);
  words.dir = "auto";
  one.append(words);
  return one;
}

// A call's arguments: a row each.
function rows(table, values) {
  table.replaceChildren(...values.map(([name, value]) => {
    const row = el("tr");
    const head = el("th", "", name);
    const cell = el("td", "", value);
    head.scope = "row";
    cell.dir = "auto";
    row.append(head, cell);
    return row;
  }));
}

function state(element, tone, word) {
  element.className = "nba-state nba-" + tone;
  element.replaceChildren();
  if (SIGNS[tone]) element.append(el("span", "nba-sign", SIGNS[tone]));
  else if (tone === "run") element.append(el("span", "nba-spin"));
  element.append(el("span", "nba-word", word));
}

// ---------------------------------------------------------------- the kinds of blocks: each returns {root, set, html?, tail?, inside?}

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
    return { root, set(p) { root.replaceChildren(htmlPiece(p.html, view)); } };
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
    const result = el("pre", "nba-pre");
    const all = el("button", "nba-all");
    const cut = el("div", "nba-quiet");
    const words = document.createTextNode("");
    all.type = moreAll.type = "button";
    output.append(words);
    output.setAttribute("aria-live", "off");
    [more, output, result].forEach((pre) => { pre.tabIndex = 0; pre.dir = "auto"; });
    summary.append(name, args, status);
    body.append(table, more, moreAll, output, media, result, all, cut);
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
        p.media.slice(shown).forEach((html) => media.append(htmlPiece(html, view)));
        shown = p.media.length;
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

// ---------------------------------------------------------------- a view

function makeView(model, store, host) {
  const root = el("div", "nba");
  const body = el("div", "nba-blocks");
  const foot = el("div");
  const status = el("div", "nba-sr");
  body.setAttribute("role", "log");
  status.setAttribute("role", "status");
  root.append(body, foot, status);
  host.append(root);
  const parts = new Map();
  const ticking = new Map();
  const embedded = new Map();
  const scrolled = new Set();

  const view = {
    model,
    root,
    reset() {
      parts.forEach((part) => part.gone && part.gone());
      parts.clear();
      ticking.clear();
      body.replaceChildren();
      foot.replaceChildren();
      store.order.forEach((id) => add(store.nodes.get(id)));
    },
    apply(op) {
      const node = store.nodes.get(op[1]);
      if (op[0] === "add") { add(node); return; }
      const part = parts.get(op[1]);
      if (!part) return;
      if (op[0] === "set") part.set(node.props);
      else if (op[0] === "html") { part.html(op[2]); part.tail(op[3]); }
      else if (op[0] === "text") part.tail(node.tail, op[2], op[3]);
    },
    scroll(element) { scrolled.add(element); },
    settle() {
      scrolled.forEach((element) => { element.scrollTop = element.scrollHeight; });
      scrolled.clear();
    },
    say(words) { text(status, words); },
    hold() { hold().catch(() => {}); },
    tick(element, since, joint) {
      if (since === null || joint === null) ticking.delete(element);
      else { ticking.set(element, { since, joint }); beat(); }
    },
    embed(slot, id) { void embed(slot, id); },
    // Nobody is left to take an answer: say so, and let nothing be pressed.
    die() {
      ticking.clear();
      root.classList.remove("nba-running");
      root.classList.add("nba-dead");
      root.setAttribute("aria-busy", "false");
      root.querySelectorAll(".nba-form-slot :is(input, select, textarea, button)").forEach((e) => { e.disabled = true; });
      root.querySelectorAll(".nba-stop").forEach((e) => e.remove());
      root.querySelectorAll(".nba-state:is(.nba-wait, .nba-run)").forEach((e) => state(e, "off", "over"));
      if (root.querySelector(".nba-gone")) return;
      const note = el("div", "nba-note nba-error nba-gone");
      note.setAttribute("role", "alert");
      note.append(el("div", "nba-sign", "✕"), el("div", "nba-note-text", DEAD));
      body.append(note);
    },
    dispose() {
      clearInterval(timer);
      view.gone = true;
      store.views.delete(view);
      parts.forEach((part) => part.gone && part.gone());
      setTimeout(keep);
    },
  };

  function add(node) {
    const part = kinds[node.kind](view, node);
    parts.set(node.id, part);
    const beside = node.props.row ? parts.get(node.props.row)?.lane : null;
    const into = node.kind === "foot" ? foot : (beside ?? parts.get(node.parent)?.inside ?? body);
    into.append(part.root);
    part.set(node.props);
    if (part.html) node.html.forEach((html) => part.html(html));
    if (part.tail) part.tail(node.tail);
  }

  function skew() { return Number.isFinite(store.skew) ? store.skew : 0; }

  function beat() {
    const now = Date.now() / 1000 - skew();
    ticking.forEach(({ since, joint }, element) => {
      let time = element;
      if (joint) {
        time = element.querySelector(".nba-time");
        if (!time) { time = el("span", "nba-time"); time.setAttribute("aria-hidden", "true"); element.append(time); }
      }
      text(time, joint + clock(now - since));
    });
  }

  // A form is an ordinary ipywidget: its view is made by the front end's own manager and attached as Lumino wants it.
  async function embed(slot, id) {
    const before = embedded.get(slot);
    if (before) { embedded.delete(slot); before.gone = true; before.untend?.(); if (before.view) before.view.remove(); }
    slot.replaceChildren();
    if (!id) return;
    const mine = { gone: false, view: null };
    embedded.set(slot, mine);
    try {
      const child = await model.widget_manager.get_model(id);
      const made = await model.widget_manager.create_view(child, {});
      if (mine.gone) { made.remove(); return; }
      mine.view = made;
      await connected(slot, mine);
      if (mine.gone) return;
      const lumino = made.luminoWidget ?? made.pWidget;
      const attach = lumino?.constructor?.attach;
      if (attach) attach.call(lumino.constructor, lumino, slot);
      else slot.append(made.el);
      mine.untend = tendForm(child, made, skew);
    } catch (error) {
      if (!mine.gone) slot.replaceChildren(el("div", "nba-quiet", "This form cannot be shown here: " + error));
    }
  }

  // JupyterLab replaces the view by the static document, but in a page that was reloaded in mid-run, or in a second tab, it
  // does not know which output that was, and hides the ended widget: there what was shown stays.
  function keep() {
    if (!area || !area.isConnected || area.contains(root) || store.running() || store.dead) return;
    const place = el("div", "jp-OutputArea-output nba-kept");
    place.append(root);
    area.append(place);
  }

  // A notebook that is saved in mid-run keeps text beside the view. JupyterLab would draw the view anew with each update of
  // that text, and a form in it would lose the focus: while the view is on the page, it stays as it is.
  async function hold() {
    if (held || !store.id) return;
    held = true;
    const kind = "application/vnd.jupyter.widget-view+json";
    const own = await model.widget_manager.get_model(store.id);
    const views = await Promise.all(Object.values(own.views ?? {}));
    const frame = views.find((made) => made.el?.contains(root))?.luminoWidget?.parent;
    if (typeof frame?.renderModel !== "function") return;
    const draw = frame.renderModel;
    frame.renderModel = function (output) {
      return output.data[kind]?.model_id === store.id && root.isConnected ? Promise.resolve() : draw.call(this, output);
    };
    model.send({ type: "steady" });
  }

  function connected(slot, mine) {
    return new Promise((resolve) => {
      const look = () => (mine.gone || slot.isConnected ? resolve() : requestAnimationFrame(look));
      look();
    });
  }

  const timer = setInterval(beat, 1000);
  let area = null;
  let held = false;
  view.shown = connected(host, view).then(() => { area = host.closest(".jp-OutputArea-child"); });
  store.views.add(view);
  view.reset();
  view.hold();
  if (store.dead) view.die();
  return view;
}

export default () => {
  let store = null;
  return {
    initialize({ model }) {
      store = makeStore(model);
    },
    render({ model, el }) {
      const view = makeView(model, store, el);
      model.send({ type: "ready" });
      return () => view.dispose();
    },
  };
};

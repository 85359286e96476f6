// A view of a run in one output: it makes the blocks, keeps them as the store says, embeds the forms, counts the seconds,
// and says what is wrong when its kernel is gone. Its default is what anywidget runs. Before it: store, pieces, blocks.

const DEAD = "The kernel of this run is gone: it was restarted or has ended. Nothing here can be answered any more; run the cell again.";

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
    embed(slot, id, what = "form") { void embed(slot, id, what); },
    // Nobody is left to take an answer: say so, and let nothing be pressed.
    die() {
      ticking.clear();
      root.classList.remove("nba-running");
      root.classList.add("nba-dead");
      root.setAttribute("aria-busy", "false");
      root.querySelectorAll(":is(.nba-form-slot, .nba-own) :is(input, select, textarea, button)").forEach((e) => { e.disabled = true; });
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

  // A form, and what a renderer of the user's own returned, is an ordinary ipywidget: its view is made by the front end's own manager and attached as Lumino wants it.
  async function embed(slot, id, what) {
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
      if (what === "form") mine.untend = tendForm(child, made, skew);
    } catch (error) {
      if (!mine.gone) slot.replaceChildren(el("div", "nba-quiet", `This ${what} cannot be shown here: ${error}`));
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

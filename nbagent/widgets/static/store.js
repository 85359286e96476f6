// What the page knows of a run: one store for each model, shared by its views. It takes the kernel's numbered patches in
// order, asks for the whole where one is missing, and tells every view what changed. Protocol: see wire.py. The scripts of
// this folder are one module, in the order that transcript.py names; a line that begins with two slashes does not go over
// the wire.

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

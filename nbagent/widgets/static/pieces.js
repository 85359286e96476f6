// The small pieces that blocks are made of: elements, text that folds, code with its Copy button, pictures that wait for a
// click, formulas, tables of arguments, words of state. Text is only ever set by textContent; innerHTML gets nothing but
// what the kernel sanitised.

const FOLD = 12;
const SIGNS = { ok: "✓", bad: "✕", wait: "●", run: "", off: "–" };

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

// What the page adds to a form's ipywidgets: a click and Enter that do not overtake what was typed, the focus on the first
// fault, what a screen reader needs to know of a field, and the countdown. `form` is the model, `made` its view, and `skew`
// tells by how many seconds this clock is ahead of the kernel's. Loaded before view.js, which shows the form.

const WRONG = ".nba-field.nba-invalid, .nba-field:has(+ .nba-form-note.nba-invalid)";
const INPUT = "input:not(.nba-filter), select, textarea";
const LINE = "input:not([type=checkbox]):not([type=radio])";
// Each transcript loads this module anew, into one page.
const PART = `nba-${Math.random().toString(36).slice(2)}-`;
let formParts = 0;

function tendForm(form, made, skew) {
  const root = made.el;
  let blocked = blockedBy(root);
  let over = false;

  // A field's next state goes out only after the idle of its last; a click would overtake what was typed last.
  const unsent = (widget) => widget._msg_buffer != null || (widget.get?.("children") ?? []).some(unsent);
  function whenSent(act) {
    const began = Date.now();
    const look = () => (unsent(form) && Date.now() - began < 10_000 ? setTimeout(look, 20) : over || act());
    look();
  }
  root.addEventListener("click", (event) => {
    const button = event.target.closest(".nba-primary, .nba-held");
    if (!button || !unsent(form)) return;
    event.stopImmediatePropagation();
    whenSent(() => button.click());
  }, true);

  // Enter ends one line of text. While an input method composes it only takes the word, and held down it means nothing.
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.matches(LINE)) return;
    if (event.isComposing || event.keyCode === 229 || event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return;
    const field = (form.get?.("children") ?? []).find((one) => (one.get("_dom_classes") ?? []).includes("nba-field"));
    if (!field || event.target.closest(".nba-combo, .nba-filter")) return;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat) whenSent(() => field.send({ event: "submit" }, {}));
  }, true);

  // Above a long list of which several may be chosen: what is typed hides the lines that do not hold it. A choice counts by
  // its line, so all lines stay in the list, and those that are hidden keep their choice whatever is done to the others.
  async function tendLists() {
    const views = await Promise.all(made.children_views?.views ?? []);
    for (const view of over ? [] : views.filter((one) => one.el.matches(".nba-filtered"))) {
      const { model } = view;
      const list = view.el.querySelector("select");
      const title = model.get("description");
      named(list);
      const filter = element("input", { className: "nba-filter", type: "search", autocomplete: "off", placeholder: "Filter…" });
      for (const [key, value] of [["aria-label", `Filter ${title}`], ["aria-controls", list.id], ["dir", "auto"]]) attribute(filter, key, value);
      const found = element("div", { className: "nba-found" });
      attribute(found, "role", "status");
      list.before(filter);
      list.after(found);
      const look = () => {
        const words = bare(filter.value).split(/\s+/).filter(Boolean);
        const lines = [...list.options];
        for (const line of lines) line.hidden = !words.every((word) => bare(line.text).includes(word));
        const shown = lines.filter((line) => !line.hidden).length;
        found.textContent = words.length ? `${shown || "None"} of ${lines.length} shown` : "";
      };
      // The keys go on from the line that was chosen last, which may be hidden: the first that is shown takes its place.
      const begin = () => {
        const chosen = new Set([...list.selectedOptions]);
        const first = [...list.options].find((line) => !line.hidden);
        if (first) list.selectedIndex = first.index;
        for (const line of list.options) line.selected = chosen.has(line);
        list.focus();
      };
      filter.addEventListener("input", look);
      filter.addEventListener("keydown", (event) => {
        if (event.isComposing) return;
        if (event.key === "Escape" && filter.value) { filter.value = ""; look(); }
        else if (event.key === "ArrowDown" || event.key === "Enter") begin();
        else return;
        event.preventDefault();
        event.stopPropagation();
      });
      view.el.addEventListener("change", (event) => {
        if (event.target !== list) return;
        const before = new Set(model.get("index"));
        for (const line of list.options) if (line.hidden) line.selected = before.has(line.index);
      }, true);
      view.listenTo(model, "msg:custom", (message) => {
        if (message.event === "show all") { filter.value = ""; look(); }
      });
      view.listenTo(model, "change:disabled", () => { filter.disabled = model.get("disabled"); });
    }
    describe();
  }

  // What is typed into a filter and is none of its options stays in the page: the kernel is told, so that it is no answer.
  async function tendFilters() {
    const views = await Promise.all(made.children_views?.views ?? []);
    for (const view of over ? [] : views.filter((one) => one.el.matches(".nba-combo"))) {
      const input = view.el.querySelector("input");
      const { model } = view;
      let unfit = false;
      const shown = (text) => { if (input.value !== text) { input.value = text; judge(); } };
      const judge = () => {
        const fits = (model.get("options") ?? []).includes(input.value);
        input.classList.toggle("jpwidgets-invalidComboValue", !fits);
        return fits;
      };
      input.addEventListener("input", () => {
        const fits = judge();
        if (!fits || unfit) model.send({ event: "typed", text: input.value }, {});
        unfit = !fits;
      });
      view.listenTo(model, "msg:custom", (message) => {
        if (message.event !== "show") return;
        shown(message.text);
        unfit = !judge();
      });
      model.send({ event: "ask" }, {});
    }
  }

  // ipywidgets labels its inputs and says no more of them.
  function describe() {
    attribute(root, "role", "form");
    const head = root.querySelector(".nba-form-head");
    if (head) { named(head); attribute(root, "aria-labelledby", head.id); }
    root.querySelector(".nba-form-status")?.setAttribute("aria-live", "polite");
    root.querySelectorAll(".nba-field").forEach((field) => {
      const input = field.querySelector(INPUT);
      if (!input) return;
      const note = field.nextElementSibling;
      if (note?.matches(".nba-form-note")) { named(note); attribute(input, "aria-describedby", note.id); }
      const wrong = field.matches(WRONG);
      attribute(input, "aria-invalid", wrong ? "true" : "false");
      if (field.classList.contains("nba-required")) attribute(input, "aria-required", "true");
    });
  }

  function focusFault() {
    const now = blockedBy(root);
    if (now === blocked) return;
    blocked = now;
    const active = document.activeElement;
    if (active && active !== document.body && !root.contains(active)) return;
    root.querySelector(`:is(${WRONG}) :is(${INPUT}):enabled`)?.focus();
  }

  // JupyterLab takes a letter typed into what is no text for a command: "d d" on a list of choices deletes the cell. What
  // is pressed with Ctrl stays its own, such as saving. It looks in the document's capture phase, so this must be before.
  function ownKeys(event) {
    if (!root.contains(event.target)) return;
    const command = (event.ctrlKey || event.metaKey) && event.key.length === 1 && event.key !== " ";
    event.target.toggleAttribute("data-lm-suppress-shortcuts", !command);
  }
  window.addEventListener("keydown", ownKeys, true);

  const watcher = new MutationObserver(() => { describe(); focusFault(); countDown(); });
  watcher.observe(root, { subtree: true, childList: true, attributes: true, attributeFilter: ["class"] });
  describe();
  void tendFilters();
  void tendLists();

  function countDown() {
    const line = root.querySelector(".nba-form-limit");
    if (!line) return;
    const left = Number(line.dataset.until) - Date.now() / 1000 + skew();
    const said = left > 0 ? `${span(Math.ceil(left))} left to answer` : "The time to answer is over.";
    if (line.textContent !== said) line.textContent = said;
    line.classList.toggle("nba-soon", left < 10);
  }
  const timer = setInterval(countDown, 1000);
  countDown();

  return () => {
    over = true;
    window.removeEventListener("keydown", ownKeys, true);
    watcher.disconnect();
    clearInterval(timer);
  };
}

function blockedBy(root) {
  return [...root.classList].find((name) => name.startsWith("nba-blocked-")) ?? "";
}

function attribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

function element(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}

// Without its case and accents.
function bare(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

function named(element) {
  if (!element.id) element.id = PART + (formParts += 1);
}

function span(seconds) {
  const minutes = Math.floor(seconds / 60);
  return minutes ? `${minutes} min ${String(seconds % 60).padStart(2, "0")} s` : `${seconds} s`;
}

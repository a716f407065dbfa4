// Conveniences only: every page works without this file. No eval, no innerHTML, no inline handlers (CSP).
(() => {
  "use strict";
  const UNREACHABLE = "We could not reach the server. Your text is still here. Try again.";
  const REFUSED = {
    403: "You may not do this. Your text is still here.",
    404: "This is no longer here. Your text is still here: copy it.",
    413: "That is too large. Your text is still here. Remove a file and try again.",
    429: "Too many tries. Your text is still here. Wait a minute and try again.",
  };
  const FAILED = "Something went wrong on our side. Your text is still here. Try again.";
  const OUTDATED = "We could not do that. Your text is still here: copy it, reload the page and try again.";
  const find = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // ---- a message when the server cannot answer; it stays until something succeeds
  const say = (words) => {
    const flash = find("#flash");
    if (!flash) return;
    const box = find("#bad").content.firstElementChild.cloneNode(true);
    find("div", box).textContent = words;
    flash.setAttribute("role", "alert");
    flash.classList.add("now");
    flash.replaceChildren(box);
  };
  const unsay = () => {
    const flash = find("#flash.now");
    if (!flash) return;
    flash.classList.remove("now");
    flash.setAttribute("role", "status");
    flash.replaceChildren();
  };

  // ---- one submission at a time
  const free = (form) => {
    form.removeAttribute("aria-busy");
    all("[data-upload]", form).forEach((bar) => { bar.hidden = true; });
  };
  const started = new WeakMap();
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.getAttribute("aria-busy") === "true") {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    form.setAttribute("aria-busy", "true");
    // A download leaves the page where it is, and nothing reports its end.
    setTimeout(free, 20000, form);
  }, true);
  addEventListener("pageshow", () => all("form[aria-busy]").forEach(free));

  // ---- htmx: its answers, its failures, the way of an upload
  const formOf = (event) => event.detail.elt?.closest("form");
  document.addEventListener("htmx:beforeRequest", (event) => {
    const form = formOf(event);
    // What refreshes itself rests while nobody looks.
    if (document.hidden && !asked(event)) event.preventDefault();
    else if (form) started.set(form, Date.now());
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const form = formOf(event);
    // A draft that saves itself while a submission is under way does not end that submission.
    if (form && pressed(event)) free(form);
    if (event.detail.successful && asked(event)) unsay();
  });
  // A draft is saved in every pause; here, for who writes without one: a trigger of htmx cannot do both.
  const unsaved = new WeakMap();
  document.addEventListener("input", ({ target: { form } }) => {
    if (!form) return;
    const now = Date.now();
    if (!unsaved.has(form)) unsaved.set(form, now);
    if (now - unsaved.get(form) < 8000) return;
    unsaved.set(form, now);
    form.dispatchEvent(new Event("keep"));
  });

  // Where the sign-in has ended the page is left, with all that is typed by now: the server holds it.
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    const leave = event.detail.xhr.getResponseHeader("HX-Redirect");
    const form = leave && formOf(event);
    // What refreshes itself takes nobody off their page.
    if (leave && !asked(event) && !form) event.preventDefault();
    const save = form && find("[hx-post$='/draft']", form);
    if (!save) return;
    event.preventDefault();
    form.removeAttribute("aria-busy");
    save.click();
  });
  // What refreshes itself worries nobody and takes no message away.
  const asked = (event) => event.detail.requestConfig?.triggeringEvent;
  const pressed = (event) => /submit|click/.test(asked(event)?.type);
  document.addEventListener("htmx:responseError", (event) => {
    if (!asked(event)) return;
    const status = event.detail.xhr.status;
    say(REFUSED[status] || (status < 500 ? OUTDATED : FAILED));
  });
  for (const name of ["htmx:sendError", "htmx:timeout"]) document.addEventListener(name, (event) => asked(event) && say(UNREACHABLE));
  document.addEventListener("htmx:xhr:progress", (event) => {
    const form = formOf(event);
    const bar = form && find("[data-upload]", form);
    const { loaded, total, lengthComputable } = event.detail;
    if (!bar || !lengthComputable || Date.now() - started.get(form) < 3000) return;
    bar.hidden = false;
    bar.value = (100 * loaded) / total;
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const region = event.detail.elt;
    if (!(region instanceof Element)) return;
    reveal(region);
    const target = region.matches("[data-focus]") ? region : find("[data-focus]", region);
    // Only what somebody pressed or sent moves the focus.
    if (!target || !pressed(event) || event.detail.requestConfig.elt.matches("form:not([method=post])")) return;
    if (target.tabIndex < 0) target.tabIndex = -1;
    target.focus();
  });

  // A live region that arrives with its words is not read out.
  document.addEventListener("htmx:oobAfterSwap", (event) => {
    const flash = find("#flash");
    if (event.detail.target.id !== "flash" || !flash) return;
    const words = [...flash.childNodes];
    flash.replaceChildren();
    requestAnimationFrame(() => flash.append(...words));
  });

  // What somebody is choosing stays, with what its form has seen.
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    if (event.detail.target.id === "handling" && find("#handling :focus, #handling option:checked:not([selected])")) event.preventDefault();
  });

  // ---- buttons that only a script can serve
  const reveal = (root) => all("[data-reveal][hidden]", root).forEach((button) => { button.hidden = false; });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-reveal]");
    if (!button) return;
    const input = find(`#${button.dataset.reveal}`);
    const shown = input.type === "text";
    input.type = shown ? "password" : "text";
    button.setAttribute("aria-pressed", !shown);
  });
  reveal(document);

  // ---- the keyboard
  const PLACES = { "?": "/shortcuts", "g r": "/requests", c: "/help" };
  const STEPS = { "]": 1, "[": -1 };
  // The list that one comes from, for the steps back and on.
  addEventListener("pagehide", () => {
    const rows = all("[data-row]").map((row) => row.pathname);
    if (rows.length) sessionStorage.rows = rows;
  });
  let before = "";
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.matches(".composer textarea")) {
      event.preventDefault();
      event.target.form.requestSubmit();
      return;
    }
    if (document.documentElement.dataset.keys !== "on") return;
    const ticking = typing && /checkbox|radio/.test(typing.type);
    if ((typing && !ticking) || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const key = before + event.key;
    before = event.key === "g" ? "g " : "";
    if (/^[jk]$/.test(key)) {
      const rows = all("[data-row]");
      rows[rows.indexOf(document.activeElement) + (key === "j" ? 1 : -1)]?.focus();
    }
    if (key === "x") find("tr:focus-within [data-pick]")?.click();
    // A page's own keys: what can be typed into is focused, all else pressed.
    const named = find(`[data-key="${CSS.escape(key)}"]`) || (key === "/" ? find("#q, [type=search]") : null);
    if (named) {
      event.preventDefault();
      named.focus();
      if (!named.matches("input:not([type=radio]), textarea, select")) named.click();
      // Whoever chooses the kind of message goes on to write it.
      if (named.type === "radio") find("#body").focus();
      return;
    }
    const list = (sessionStorage.rows || "").split(",");
    const to = PLACES[key] || list[list.indexOf(location.pathname) + STEPS[key]];
    if (to) location = to;
  });
})();

// Everything that is shown comes from anybody: it is put into the page as text, never as HTML.

/** Makes an element. Children are elements or texts; attributes whose name begins with `on` are listeners. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Says something to those who hear the page instead of seeing it. */
export function announce(text) {
  document.getElementById("status").textContent = text;
}

/** A table of names and values. */
export function facts(pairs) {
  return el("dl", { class: "facts" }, pairs.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value ?? "–")]));
}

const numbers = new Intl.NumberFormat("en");

export function number(value) {
  return numbers.format(value);
}

export function bytes(count) {
  const units = ["bytes", "kB", "MB", "GB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) {
    count /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? count : count.toFixed(1)} ${units[unit]}`;
}

/** A time as it is said here; `text` is ISO 8601. */
export function time(text) {
  if (text === null || text === undefined) return "at an unknown time";
  const date = new Date(typeof text === "number" ? text * 1000 : text);
  if (Number.isNaN(date.getTime())) return String(text);
  return date.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}

/** The beginning of a hash, with the whole of it for those who want it. */
export function short(hash) {
  return el("code", { title: hash, class: "hash" }, hash.length > 14 ? `${hash.slice(-10)}` : hash);
}

/** What has gone wrong, where its result would have been. */
export function problem(error) {
  return el("p", { class: "problem", role: "alert" }, error.message ?? String(error));
}

/** A button that adds to a list what follows: `ask` returns items and the next cursor. */
export function more(list, cursor, ask, row) {
  return el("button", {
    type: "button",
    onclick: async (event) => {
      const button = event.target;
      try {
        const [items, next] = await ask(cursor);
        list.append(...items.map(row));
        if (next) button.replaceWith(more(list, next, ask, row));
        else button.remove();
      } catch (error) {
        button.replaceWith(problem(error));
      }
    },
  }, "More");
}

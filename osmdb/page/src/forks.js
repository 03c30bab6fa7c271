// The elements of which there are several versions, none of which replaces the other.
import { el, more } from "./dom.js";

export async function showForks(app) {
  const { at } = app;
  const ask = async (cursor) => {
    const found = await app.api.forks({ at, cursor });
    return [found.forks, found.cursor];
  };
  const [forks, cursor] = await ask();
  if (forks.length === 0) {
    return [el("h2", {}, "Forks"), el("p", {}, "There are none: nobody has changed the same thing without knowing of the other's change.")];
  }
  const line = (fork) => row(app, fork);
  const list = el("ul", { class: "rows" }, forks.map(line));
  return [el("h2", {}, "Forks"), list, cursor ? more(list, cursor, ask, line) : null];
}

function row(app, fork) {
  return el("li", {}, el("button", { type: "button", class: "link", onclick: () => app.choose(fork.element, [], fork.bounds) },
    fork.name ? `${fork.name} (${fork.element})` : fork.element), ` ${fork.heads} versions`);
}

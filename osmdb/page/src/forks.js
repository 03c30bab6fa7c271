// The elements of which there are several versions, none of which replaces the other.
import { el, problem } from "./dom.js";

export async function showForks(app) {
  const { forks, cursor } = await app.api.forks({ at: app.at });
  if (forks.length === 0) {
    return [el("h2", {}, "Forks"), el("p", {}, "There are none: nobody has changed the same thing without knowing of the other's change.")];
  }
  const list = el("ul", { class: "rows" }, forks.map((fork) => row(app, fork)));
  return [el("h2", {}, "Forks"), list, cursor ? more(app, list, cursor) : null];
}

function row(app, fork) {
  return el("li", {}, el("button", { type: "button", class: "link", onclick: () => app.choose(fork.element, [], fork.bounds) },
    fork.name ? `${fork.name} (${fork.element})` : fork.element), ` ${fork.heads} versions`);
}

function more(app, list, cursor) {
  return el("button", {
    type: "button",
    onclick: async (event) => {
      const button = event.target;
      try {
        const next = await app.api.forks({ at: app.at, cursor });
        list.append(...next.forks.map((fork) => row(app, fork)));
        if (next.cursor) button.replaceWith(more(app, list, next.cursor));
        else button.remove();
      } catch (error) {
        button.replaceWith(problem(error));
      }
    },
  }, "More");
}

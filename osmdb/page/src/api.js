// What the page asks the server, and nobody else.

/** Asks for JSON; throws with the server's sentence if it refuses. */
async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { cache: "no-cache", credentials: "same-origin", ...options });
  } catch {
    throw new Error("The server does not answer. Is `osmdb serve` running?");
  }
  const text = await response.text();
  if (!response.ok) throw new Error(text || `The server answered ${response.status}.`);
  return text === "" ? null : JSON.parse(text);
}

function query(parameters) {
  const pairs = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined);
  return pairs.length === 0 ? "" : `?${new URLSearchParams(pairs)}`;
}

function post(path, body) {
  const headers = { "content-type": "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(body) });
}

export const api = {
  database: (at) => ask(`api/db${query({ at })}`),
  element: (element, at) => ask(`api/db/element/${element}${query({ at })}`),
  search: (filter, { at, cursor, limit = 50 } = {}) => ask(`api/db/search${query({ filter, at, cursor, limit })}`),
  forks: ({ at, cursor, limit = 50 } = {}) => ask(`api/db/forks${query({ at, cursor, limit })}`),
  resolve: (element, version) => post("api/db/resolve", { element, version }),
  reflog: () => ask("api/db/reflog"),
  trees: (at, other) => ask(`api/db/trees${query({ at, other })}`),
  tree: (name, at, other) => ask(`api/db/trees/${name}${query({ at, other })}`),
  page: (name, at, level, place) => ask(`api/db/trees/${name}/page${query({ at, level, place })}`),
  peers: () => ask("api/db/peers"),
  sync: (address, accept) => post("api/sync", { address, accept }),
};

/** Listens to what happens in the database: new roots, and syncs. */
export function listen(handlers) {
  const source = new EventSource("api/changes");
  for (const [name, handler] of Object.entries(handlers)) {
    source.addEventListener(name, (event) => handler(JSON.parse(event.data)));
  }
  return source;
}

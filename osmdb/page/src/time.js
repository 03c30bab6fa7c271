// The roots that the database had: a slider through them, and the map as it was.
import { el, short, time } from "./dom.js";

export async function showTime(app) {
  const { records } = await app.api.reflog();
  const last = records.length - 1;
  const place = app.at === null ? last : Math.max(0, records.findLastIndex((record) => record.root === app.at));
  const said = el("div", { id: "moment" });
  const say = (record, isNow) => said.replaceChildren(...[
    el("p", {}, el("strong", {}, `Number ${record.number}: ${record.what}`), ` ${time(record.time)}${isNow ? " (now)" : ""}`),
    el("p", { class: "quiet" }, "Root ", short(record.root), record.merged ? [", merged ", short(record.merged)] : ""),
    record.gone ? el("p", {}, "Its pages were collected: it cannot be shown any more.") : null,
  ].filter(Boolean));
  const slider = el("input", {
    type: "range", id: "moment-slider", min: 0, max: last, value: place, step: 1,
    oninput: () => { const at = Number(slider.value); say(records[at], at === last); slider.setAttribute("aria-valuetext", text(records[at])); },
    onchange: () => {
      const at = Number(slider.value);
      if (!records[at].gone) app.lookAt(at === last ? null : records[at]);
    },
  });
  slider.setAttribute("aria-valuetext", text(records[place]));
  say(records[place], place === last);
  return [
    el("h2", {}, "Time"),
    el("p", {}, `The database has had ${records.length} ${records.length === 1 ? "root" : "roots"}. The map shows any of them.`),
    el("label", { for: "moment-slider" }, "From the first to the present one"), slider, said,
  ];
}

function text(record) {
  return `number ${record.number}, ${record.what}, ${time(record.time)}`;
}

// Puts what was just metered on top of a table of events, as the server streams it. The browser connects again by itself.
import { showLocalTimes } from "./times.js";

const AGAIN = 3000;
const WORDS = { live: "Live", waiting: "No connection, trying again" };

export function followLive(root) {
  for (const place of root.querySelectorAll("[data-live]")) follow(place);
}

function follow(place) {
  const source = new EventSource(place.dataset.live);
  source.addEventListener("open", () => say(place, "live"));
  source.addEventListener("away", (event) => say(place, "away", event.data));
  source.addEventListener("minute", (event) => {
    say(place, "live");
    const minute = place.querySelector("[data-live-minute]");
    if (minute) minute.replaceChildren(...parsed(event.data).body.childNodes);
  });
  source.addEventListener("run-rate", (event) => {
    const card = document.querySelector("[data-live-run-rate]");
    if (!card) return;
    card.replaceChildren(...parsed(event.data).body.childNodes);
    showLocalTimes(card);
  });
  source.addEventListener("events", (event) => add(place, event.data));
  source.addEventListener("error", () => {
    say(place, "waiting");
    // a refusal ends a stream for good: the server is away, and will be back
    if (source.readyState === EventSource.CLOSED) setTimeout(() => follow(place), AGAIN);
  });
  addEventListener("pagehide", () => source.close(), { once: true });
}

function say(place, state, words = WORDS[state]) {
  const light = place.querySelector("[data-live-state]");
  if (!light) return;
  light.dataset.liveState = state;
  light.textContent = words;
}

function add(place, html) {
  const body = place.querySelector("tbody");
  if (!body) return location.reload(); // the first event of all
  const fresh = [...parsed(`<table><tbody>${html}</tbody></table>`).querySelectorAll("tr")].filter(
    (row) => !body.querySelector(`tr[data-event="${row.dataset.event}"]`),
  );
  const most = Math.max(body.rows.length, Number(place.dataset.liveMost || 10));
  for (const row of fresh) row.classList.add("fresh");
  body.prepend(...fresh);
  showLocalTimes(body);
  while (body.rows.length > most) body.rows[body.rows.length - 1].remove();
}

function parsed(html) {
  return new DOMParser().parseFromString(html, "text/html");
}

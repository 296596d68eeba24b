// The demo agent of the landing page: its calls as the server streams them. Amounts are exact text and never computed here.
const MOST = 8;
const AGAIN = 5000;
const WORDS = { live: "Live", waiting: "No connection, trying again" };

export function watchDemo(root) {
  for (const place of root.querySelectorAll("[data-demo]")) {
    watch(place);
    setInterval(() => document.hidden || count(place), AGAIN);
  }
}

async function count(place) {
  const answer = await fetch(place.dataset.demoStats).catch(() => null); // away: the figures stay
  if (!answer?.ok) return;
  const stats = await answer.json();
  place.querySelector("[data-demo-earned-24h]").textContent = `$${stats.earned_24h_dollars}`;
  place.querySelector("[data-demo-events-24h]").textContent = stats.events_24h.toLocaleString("en-US");
}

function watch(place) {
  const source = new EventSource(place.dataset.demo);
  source.addEventListener("open", () => say(place, "live"));
  source.addEventListener("call", (event) => show(place, JSON.parse(event.data)));
  source.addEventListener("error", () => {
    say(place, "waiting");
    if (source.readyState === EventSource.CLOSED) setTimeout(() => watch(place), AGAIN);
  });
  addEventListener("pagehide", () => source.close(), { once: true });
}

function say(place, state) {
  const light = place.querySelector("[data-live-state]");
  light.dataset.liveState = state;
  light.textContent = WORDS[state];
}

function show(place, call) {
  place.querySelector("[data-demo-earned]").textContent = `$${call.earned_dollars}`;
  const body = place.querySelector("tbody");
  const row = body.insertRow(0);
  row.className = "fresh";
  cell(row, "name", call.task ? call.endpoint.replace(call.task, "…") : call.endpoint, "code");
  cell(row, "wide quiet", call.agent_id);
  cell(row, "n wide quiet", call.status);
  cell(row, "n quiet", `${call.latency_ms} ms`);
  cell(row, "n", `${call.billed_cents} ¢`);
  while (body.rows.length > MOST) body.deleteRow(-1);
}

function cell(row, kind, text, tag) {
  const made = row.insertCell();
  made.className = kind;
  const holder = tag ? made.appendChild(document.createElement(tag)) : made;
  holder.textContent = text;
}

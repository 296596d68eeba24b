// Replaces a part of the page with its newest state every few seconds, while somebody looks.
import { showLocalTimes } from "./times.js";

export function refreshParts(root) {
  for (const part of root.querySelectorAll("[data-refresh]")) {
    setInterval(() => refresh(part), part.dataset.refresh * 1000);
  }
}

async function refresh(part) {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { redirect: "error" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById(part.id);
    if (!fresh) return;
    showLocalTimes(fresh);
    part.replaceChildren(...fresh.childNodes);
  } catch {
    // away for a moment: what was seen last stays, and the next time may succeed
  }
}

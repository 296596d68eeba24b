// A button beside each code block copies it.
import { toast } from "./toasts.js";

export function offerCopies(root) {
  for (const button of root.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
        toast("Copied");
      } catch {
        // not allowed here (plain http): select it, so that one key copies it
        getSelection().selectAllChildren(code);
        toast("Press Ctrl+C to copy");
      }
    });
  }
}

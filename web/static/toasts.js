// A short message in the corner.
const SECONDS = 2.5;

export function toast(text) {
  const message = document.createElement("p");
  message.className = "toast";
  message.textContent = text;
  document.querySelector(".toasts").append(message);
  setTimeout(() => message.remove(), SECONDS * 1000);
}

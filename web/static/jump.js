// "/" or Ctrl+K puts the cursor into the search of the side navigation.
export function offerJump(root) {
  const field = root.querySelector("[data-jump]");
  if (!field) return;
  root.addEventListener("keydown", (event) => {
    const writes = event.target.closest("input, textarea, select, [contenteditable]");
    const asks = (event.key === "/" && !writes) || (event.key === "k" && (event.ctrlKey || event.metaKey));
    if (!asks) return;
    event.preventDefault();
    const menu = root.querySelector(".menu-toggle");
    if (menu && !field.offsetParent) menu.checked = true;
    field.focus();
    field.select();
  });
}

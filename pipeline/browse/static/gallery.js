// Comforts only: every page works without this file.
"use strict";

document.documentElement.classList.add("js");

function makeSlider(compare) {
  const range = compare.querySelector("input[type=range]");
  const show = () => {
    compare.style.setProperty("--cut", `${range.value}%`);
    range.setAttribute("aria-valuetext", `${range.value} % original`);
  };
  range.hidden = false;
  range.addEventListener("input", show);
  show();
}

function addCopyButton(block) {
  if (!navigator.clipboard) return; // only where the browser trusts the address
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  const text = block.textContent.trim();
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not permitted";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  const frame = document.createElement("div");
  frame.className = "copyable";
  block.replaceWith(frame);
  frame.append(block, button);
}

// Left and right go to the neighbours, except where they already mean something.
function walk(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.defaultPrevented) return;
  if (event.target.closest("input, textarea, select, summary, .scroll")) return;
  const relation = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
  const link = relation && document.querySelector(`main a[rel=${relation}]`);
  if (link) {
    event.preventDefault();
    link.click();
  }
}

// A menu closes with Escape, and when something else is clicked.
function closeMenus(event) {
  if (event.type === "keydown" && event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (event.type === "click" && menu.contains(event.target)) continue;
    const inside = menu.contains(document.activeElement);
    menu.open = false;
    if (inside && event.type === "keydown") menu.querySelector("summary").focus();
  }
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("[data-compare]").forEach(makeSlider);
  document.querySelectorAll("[data-copy]").forEach(addCopyButton);
  document.addEventListener("keydown", walk);
  document.addEventListener("keydown", closeMenus);
  document.addEventListener("click", closeMenus);
});

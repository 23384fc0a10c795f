// A click on what has data-tab gives the video at data-url to that tab, as if it had been uploaded under data-label.
const soon = async (what) => {
  for (let tries = 0; tries < 100; tries += 1) {
    const found = what();
    if (found) return found;
    await new Promise((done) => { setTimeout(done, 100); });
  }
  return null;
};
const zone = (label) => {
  const blocks = [...document.querySelectorAll(".block")].filter((block) => block.textContent.includes(label));
  return blocks.filter((block) => block.offsetParent && !blocks.some((other) => other !== block && block.contains(other))).pop();
};
const tabs = () => [...document.querySelectorAll("[role=tab]")];
const tabOf = (button) => tabs().find((tab) => tab.textContent.trim() === button.dataset.tab);
watch("value", () => {  // a tool that is not shown is offered nothing
  for (const button of element.querySelectorAll("[data-tab]")) button.hidden = !tabOf(button);
});
element.addEventListener("click", async ({target}) => {
  const button = target.closest("[data-tab]");
  const tab = button && tabOf(button);
  if (!tab) return;
  const {label, url, name} = button.dataset;
  tab.click();
  const place = await soon(() => zone(label));
  if (!place) return;
  place.querySelector("button[aria-label=Clear]")?.click();
  const input = await soon(() => place.querySelector("input[type=file]"));
  const answer = await fetch(url);
  if (!input || !answer.ok) return;
  const given = new DataTransfer();
  given.items.add(new File([await answer.blob()], name, {type: "video/mp4"}));
  input.files = given.files;
  input.dispatchEvent(new Event("change", {bubbles: true}));
});

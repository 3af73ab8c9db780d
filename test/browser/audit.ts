/**
 * Checks of accessibility that run inside the page, as one expression, so that they need nothing from it: names, sizes,
 * headings, landmarks, and the contrast of every text that is seen against what lies behind it.
 */

/** Evaluates to a list of findings; empty is good. */
export const AUDIT = `(() => {
  const findings = [];
  const say = (rule, element, more = "") =>
    findings.push(rule + ": <" + element.tagName.toLowerCase() + (element.className && typeof element.className === "string" ? " class=" + element.className : "") + "> " + (element.textContent ?? "").trim().slice(0, 40) + " " + more);
  const seen = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && element.getClientRects().length > 0;
  const clipped = (element) => element.closest(".sr-only, .skip, thead") !== null && getComputedStyle(element.closest(".sr-only, .skip, thead")).position === "absolute";

  const nameOf = (element) => {
    const labelled = element.getAttribute("aria-labelledby");
    if (labelled !== null) return labelled.split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join(" ").trim();
    return (element.getAttribute("aria-label") ?? [...(element.labels ?? [])].map((label) => label.textContent).join(" ") ?? "").trim() || element.textContent.trim();
  };
  for (const element of document.querySelectorAll("a[href], button, input, summary, [tabindex='0'], dialog, [role=dialog], nav, fieldset")) {
    if (!seen(element) || element.getAttribute("aria-hidden") === "true") continue;
    if (element.tagName === "FIELDSET" ? element.querySelector("legend") === null : nameOf(element) === "") say("no name", element);
  }
  for (const element of document.querySelectorAll("button, input, summary, [role=button], nav a, .button")) {
    if (!seen(element) || clipped(element)) continue;
    // What stands for a hidden radio button is its label.
    const target = element.matches("input[type=radio]") ? element.closest("label") : element;
    const { width, height } = target.getBoundingClientRect();
    if ((width < 24 || height < 24) && element.type !== "checkbox") say("target below 24 px", element, width + "x" + height);
  }

  if (document.documentElement.lang === "") findings.push("no language");
  if (document.querySelectorAll("main").length !== 1) findings.push("not exactly one main");
  const headings = [...document.querySelectorAll("h1, h2, h3, h4")].filter((heading) => seen(heading) && heading.closest("dialog") === null);
  if (headings.filter((heading) => heading.tagName === "H1").length !== 1) findings.push("not exactly one h1");
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) findings.push("id twice: " + id);
  for (const element of document.querySelectorAll("[aria-describedby], [aria-labelledby]")) {
    for (const attribute of ["aria-describedby", "aria-labelledby"]) {
      for (const id of (element.getAttribute(attribute) ?? "").split(" ")) if (id !== "" && document.getElementById(id) === null) say(attribute + " points to nothing", element, id);
    }
  }
  for (const svg of document.querySelectorAll("svg")) if (svg.getAttribute("aria-hidden") !== "true" && !svg.hasAttribute("aria-label")) say("picture without a name", svg);

  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (front, back) => front.slice(0, 3).map((c, i) => c * front[3] + back[i] * (1 - front[3]));
  const behind = (element) => {
    const layers = [];
    for (let e = element; e !== null; e = e.parentElement) {
      const color = rgba(getComputedStyle(e).backgroundColor);
      layers.push(color);
      if (color[3] === 1) break;
    }
    return layers.reverse().reduce((back, layer) => over(layer, back), [255, 255, 255]);
  };
  const luminance = (color) => {
    const [r, g, b] = color.map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => {
    const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const element = node.parentElement;
    if (node.data.trim() === "" || !seen(element) || clipped(element) || element.closest(":disabled, noscript") !== null) continue;
    const back = behind(element);
    const contrast = ratio(over(rgba(getComputedStyle(element).color), back), back);
    if (contrast < 4.5) say("contrast " + contrast.toFixed(2), element);
  }

  const probe = document.createElement("span");
  document.body.append(probe);
  const token = (name) => {
    probe.style.color = "var(" + name + ")";
    return rgba(getComputedStyle(probe).color);
  };
  const surface = token("--surface");
  for (const name of ["--line-1", "--line-2", "--line-3", "--line-4", "--line-5", "--line-6", "--line-7", "--line-8", "--focus", "--border-strong", "--good", "--warning", "--critical"]) {
    const contrast = ratio(token(name), surface);
    if (contrast < 3) findings.push(name + " on --surface only " + contrast.toFixed(2));
  }
  probe.remove();
  return [...new Set(findings)];
})()`;

/** Evaluates to the elements that stick out of the page's right edge; empty where nothing scrolls sideways. */
export const OVERFLOW = `(() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  return [...document.querySelectorAll("body *")]
    .filter((element) => element.getBoundingClientRect().right > width + 1 && element.closest(".table-frame, .chart-table") === null)
    .map((element) => element.tagName + "." + element.className)
    .slice(0, 5)
    .concat("scrollWidth " + document.documentElement.scrollWidth);
})()`;

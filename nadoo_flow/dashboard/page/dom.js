// Elements: made once, and changed only where what they show has changed. Texts are set as texts and
// never parsed as markup, so whatever names and errors hold is shown as it is.

const SVG = 'http://www.w3.org/2000/svg';

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function draw(name, attributes = {}) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

function setHidden(element, hidden) {
  if (element.hidden !== hidden) element.hidden = hidden;
}

// A list of views, one for each value, in the order of the values. A view has an element and a
// method update(value). Views are kept by key, so that the focus stays where it is.
class Views {
  constructor(parent, create) {
    this.parent = parent;
    this.create = create;
    this.views = new Map();
  }

  update(values, getKey = (value, index) => index) {
    const kept = new Map();
    values.forEach((value, index) => {
      const key = getKey(value, index);
      const view = this.views.get(key) ?? this.create(value);
      view.update(value, index);
      kept.set(key, view);
    });
    for (const [key, view] of this.views) if (!kept.has(key)) view.element.remove();
    this.views = kept;
    [...kept.values()].forEach((view, index) => {
      const at = this.parent.children[index];
      if (at !== view.element) this.parent.insertBefore(view.element, at ?? null);
    });
  }
}

// What the page says about itself, partly read back from the document.

import type { Loaded, LoadedPanel } from './load';
import type { Drawn, PanelReport, Report } from './model';

const SLACK = 1.5;

/** Whether something around a text shows only a part of it: then a person cannot read it at this width. */
function clipped(text: Text, box: Element): boolean {
  const range = document.createRange();
  range.selectNodeContents(text);
  const { left, right, width } = range.getBoundingClientRect();
  for (let around = text.parentElement; width && around && around !== box; around = around.parentElement) {
    if (getComputedStyle(around).overflowX === 'visible') {
      continue;
    }
    const edge = around.getBoundingClientRect();
    if (left < edge.right && right > edge.left && (right > edge.right + SLACK || left < edge.left - SLACK)) {
      return true;
    }
  }
  return false;
}

/** What would have to be scrolled. */
function hidden(one: HTMLElement): string[] {
  const style = getComputedStyle(one);
  const right = one.scrollWidth - one.clientWidth;
  const below = one.scrollHeight - one.clientHeight;
  const scrolls = (overflow: string) => /auto|scroll/.test(overflow) || one.classList.contains('markdown-html');
  return [
    ...(right > SLACK && scrolls(style.overflowX) ? [`(${right} px to the right)`] : []),
    ...(below > SLACK && scrolls(style.overflowY) ? [`(${below} px below)`] : []),
  ];
}

/** Texts that are cut off, and how much lies outside of boxes that scroll. */
function cutIn(box: Element): string[] {
  const cut = [...box.querySelectorAll<HTMLElement>('*')].flatMap(hidden);
  const walker = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.textContent?.trim() && clipped(node as Text, box)) {
      cut.push(node.textContent.trim());
    }
  }
  return [...new Set(cut)];
}

export function reportOf(loaded: Loaded, counts: Map<LoadedPanel, Drawn>): Report {
  const panels = loaded.panels
    .filter(({ panel }) => panel.type !== 'row')
    .map((one): PanelReport => {
      const box = document.querySelector(`[data-panel="${one.panel.id}"]`);
      return {
        id: one.panel.id,
        title: one.title,
        kind: one.panel.type,
        drawn: counts.get(one) ?? null,
        errors: [...new Set(one.errors)],
        cut: box ? cutIn(box) : [],
      };
    });
  return {
    title: loaded.dashboard.title,
    panels,
    annotations: loaded.marks.map(({ name, hits }) => ({ name, hits: hits.length })),
    variables: Object.fromEntries(Object.entries(loaded.choices).map(([name, chosen]) => [name, chosen.values])),
    errors: loaded.errors,
  };
}

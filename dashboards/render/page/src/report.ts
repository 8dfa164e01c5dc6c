// What the page says about itself, partly read back from the document.

import type { Loaded, LoadedPanel } from './load';
import type { Drawn, PanelReport, Report } from './model';

/** Texts that their boxes cut off, and boxes that would have to be scrolled: what a person at this width cannot read. */
function cutIn(box: Element): string[] {
  const cut: string[] = [];
  for (const one of box.querySelectorAll<HTMLElement>('*')) {
    const style = getComputedStyle(one);
    const words = [...one.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.textContent);
    const text = words.join(' ').trim();
    if (text && style.overflowX !== 'visible' && one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0) {
      cut.push(text);
    } else if (/auto|scroll/.test(style.overflowX) && one.scrollWidth > one.clientWidth + 1) {
      cut.push(`(${one.scrollWidth - one.clientWidth} px to the right)`);
    }
    if (/auto|scroll/.test(style.overflowY) && one.scrollHeight > one.clientHeight + 1) {
      cut.push(`(${one.scrollHeight - one.clientHeight} px below)`);
    }
  }
  const text = box.querySelector<HTMLElement>('.markdown-html');
  if (text && text.scrollHeight > text.clientHeight + 1) {
    cut.push(`(${text.scrollHeight - text.clientHeight} px of text below)`);
  }
  return cut;
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

// A dashboard with the results of all its queries.

import { type DataFrame, type FieldConfigSource, type GrafanaTheme2 } from '@grafana/data';

import { fetchMarks, type Marks } from './annotations';
import { configured, transformed } from './fields';
import type { Dashboard, Panel, Request } from './model';
import { instant, range, seriesFrames, tableFrame, type Series } from './prometheus';
import { ownVariables, stepMs } from './time';
import { chooseAll, interpolate, type Choices } from './variables';

export interface LoadedPanel {
  panel: Panel;
  title: string;
  frames: DataFrame[];
  config: FieldConfigSource;
  errors: string[];
}

export interface Loaded {
  dashboard: Dashboard;
  choices: Choices;
  marks: Marks[];
  panels: LoadedPanel[];
  errors: string[];
  /** Put the variables' values into a text. */
  texts: (text: string) => string;
}

async function query(panel: Panel, request: Request, choices: Choices, widthPx: number): Promise<DataFrame[]> {
  const targets = (panel.targets ?? []).filter((target) => target.expr && !target.hide);
  const tables = targets.filter((target) => target.format === 'table').length;
  const asked = targets.map(async (target): Promise<DataFrame[]> => {
    const step = stepMs(request, panel, target, widthPx);
    const expr = interpolate(target.expr ?? '', choices, ownVariables(request, step), true);
    const answers: Promise<Series[]>[] = [];
    if (target.instant) {
      answers.push(instant(expr, request.to));
    }
    if (target.range || !target.instant) {
      answers.push(range(expr, request.from, request.to, step));
    }
    const series = (await Promise.all(answers)).flat();
    return target.format === 'table'
      ? [tableFrame(target, series, tables > 1)]
      : seriesFrames(target, series, step);
  });
  return (await Promise.all(asked)).flat();
}

async function loadPanel(
  panel: Panel,
  request: Request,
  choices: Choices,
  theme: GrafanaTheme2,
  texts: (text: string) => string
): Promise<LoadedPanel> {
  const errors: string[] = [];
  const fail = (message: string) => errors.push(message);
  let raw: DataFrame[] = [];
  try {
    const fetched = await query(panel, request, choices, (panel.gridPos.w / 24) * request.width);
    raw = await transformed(panel, fetched, texts, fail);
  } catch (error) {
    fail((error as Error).message);
  }
  if (panel.repeat) {
    fail('a repeated panel is drawn once here');
  }
  return { panel, title: texts(panel.title ?? ''), ...configured(panel, raw, theme, texts), errors };
}

/** Collapsed rows are opened: what they hold moves all that is below them down. */
export function unfolded(panels: Panel[]): Panel[] {
  const all: Panel[] = [];
  let down = 0;
  for (const panel of panels) {
    const moved = (one: Panel): Panel => ({ ...one, gridPos: { ...one.gridPos, y: one.gridPos.y + down } });
    all.push(moved(panel));
    const inside = panel.collapsed ? (panel.panels ?? []) : [];
    all.push(...inside.map(moved));
    const bottom = Math.max(0, ...inside.map((one) => one.gridPos.y + one.gridPos.h));
    down += Math.max(0, bottom - (panel.gridPos.y + panel.gridPos.h));
  }
  return all;
}

export async function load(request: Request, theme: GrafanaTheme2): Promise<Loaded> {
  const response = await fetch(request.dashboard);
  if (!response.ok) {
    throw new Error(`${request.dashboard}: ${response.status}`);
  }
  const dashboard: Dashboard = await response.json();
  const errors: string[] = [];
  const fail = (message: string) => errors.push(message);
  const choices = await chooseAll(dashboard.templating?.list ?? [], request, fail);
  const texts = (text: string) => interpolate(text, choices, ownVariables(request, request.scrapeMs), false);
  const marks = fetchMarks(dashboard.annotations?.list ?? [], request, choices, theme, fail);
  const panels = unfolded(dashboard.panels).map((panel) => loadPanel(panel, request, choices, theme, texts));
  return { dashboard, choices, marks: await marks, panels: await Promise.all(panels), errors, texts };
}

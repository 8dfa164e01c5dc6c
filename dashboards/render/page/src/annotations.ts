// Annotations: where their query has a value other than 0. Hits on neighbouring steps are one stretch.

import { rangeUtil, type GrafanaTheme2 } from '@grafana/data';
import uPlot from 'uplot';

import type { Annotation, Request } from './model';
import { range, type Series } from './prometheus';
import { interpolate, type Choices } from './variables';
import { ownVariables } from './time';

export interface Hit {
  from: number;
  to: number;
}

export interface Marks {
  name: string;
  color: string;
  hits: Hit[];
}

export function hitsOf(series: Series[], stepMs: number): Hit[] {
  const hits: Hit[] = [];
  for (const one of series) {
    let open: Hit | null = null;
    for (const [at, value] of one.points) {
      if (!value) {
        continue;
      }
      if (open && at - open.to <= stepMs) {
        open.to = at;
      } else {
        open = { from: at, to: at };
        hits.push(open);
      }
    }
  }
  return hits;
}

export async function fetchMarks(
  annotations: Annotation[],
  request: Request,
  choices: Choices,
  theme: GrafanaTheme2,
  fail: (message: string) => void
): Promise<Marks[]> {
  const wanted = annotations.filter((one) => one.enable !== false && !one.builtIn);
  const fetched = wanted.map(async (one): Promise<Marks> => {
    const step = rangeUtil.intervalToMs(one.step || '60s');
    const expr = interpolate(one.expr ?? one.target?.expr ?? '', choices, ownVariables(request, step), true);
    const color = theme.visualization.getColorByName(one.iconColor ?? 'red');
    try {
      return { name: one.name, color, hits: hitsOf(await range(expr, request.from, request.to, step), step) };
    } catch (error) {
      fail(`annotation ${one.name}: ${(error as Error).message}`);
      return { name: one.name, color, hits: [] };
    }
  });
  return Promise.all(fetched);
}

/** Draw every hit on a uPlot: a dashed line with a foot, and a shade between the ends of a stretch. */
export function drawMarks(plot: uPlot, marks: Marks[]): void {
  const { ctx, bbox } = plot;
  const foot = 5 * uPlot.pxRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left - foot, bbox.top, bbox.width + 2 * foot, bbox.height + 2 * foot);
  ctx.clip();
  for (const { color, hits } of marks) {
    for (const hit of hits) {
      const from = Math.round(plot.valToPos(hit.from, 'x', true));
      const to = Math.round(plot.valToPos(hit.to, 'x', true));
      ctx.fillStyle = color;
      ctx.strokeStyle = color;
      ctx.setLineDash([4, 4]);
      for (const x of new Set([from, to])) {
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
      }
      if (to > from) {
        ctx.globalAlpha = 0.1;
        ctx.fillRect(from, bbox.top, to - from, bbox.height);
        ctx.globalAlpha = 1;
        ctx.fillRect(from, bbox.top + bbox.height, to - from, foot);
      } else {
        ctx.beginPath();
        ctx.moveTo(from, bbox.top + bbox.height);
        ctx.lineTo(from - foot, bbox.top + bbox.height + foot);
        ctx.lineTo(from + foot, bbox.top + bbox.height + foot);
        ctx.fill();
      }
    }
  }
  ctx.restore();
}

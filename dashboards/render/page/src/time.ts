// Steps and durations as Grafana computes them.

import { dateTime, rangeUtil, type TimeRange } from '@grafana/data';

import type { Panel, Request, Target } from './model';

export function timeRangeOf(request: Request): TimeRange {
  const from = dateTime(request.from);
  const to = dateTime(request.to);
  return { from, to, raw: { from, to } };
}

/** A panel's step: about one point a pixel, never finer than the scrape interval or the panel's own least. */
export function stepMs(request: Request, panel: Panel, target: Target, widthPx: number): number {
  const points = panel.maxDataPoints ?? Math.max(1, Math.round(widthPx));
  const least = target.interval || panel.interval || `${request.scrapeMs}ms`;
  const plain = /^\$/.test(least) ? `${request.scrapeMs}ms` : least.replace(/^>/, '');
  const { intervalMs } = rangeUtil.calculateInterval(timeRangeOf(request), points, plain);
  // Prometheus refuses more than 11,000 points a series.
  return Math.max(intervalMs, Math.ceil((request.to - request.from) / 11_000));
}

const duration = (ms: number) => (ms % 1000 ? `${ms}ms` : `${ms / 1000}s`);

/** Grafana's own variables of a query with this step. */
export function ownVariables(request: Request, step: number): Record<string, string> {
  const span = request.to - request.from;
  return {
    __interval: duration(step),
    __interval_ms: String(step),
    // max($__interval + scrape interval, 4 × scrape interval): "Prometheus template variables" in Grafana's manual.
    __rate_interval: duration(Math.max(step + request.scrapeMs, 4 * request.scrapeMs)),
    __range: `${Math.round(span / 1000)}s`,
    __range_s: String(Math.round(span / 1000)),
    __range_ms: String(span),
    __from: String(request.from),
    __to: String(request.to),
  };
}

// Prometheus' HTTP API, and its answers as Grafana's data frames.

import { type DataFrame, FieldType, toDataFrame } from '@grafana/data';

import type { Target } from './model';

export interface Series {
  metric: Record<string, string>;
  /** [milliseconds, value] */
  points: [number, number][];
}

interface Answer {
  resultType: string;
  result: { metric: Record<string, string>; value?: [number, string]; values?: [number, string][] }[];
}

const SPECIAL: Record<string, number> = { '+Inf': Infinity, '-Inf': -Infinity, NaN: NaN };

const point = ([seconds, text]: [number, string]): [number, number] => [seconds * 1000, SPECIAL[text] ?? Number(text)];

async function ask<T>(path: string, query: Record<string, string>): Promise<T> {
  const response = await fetch(`/prometheus${path}?${new URLSearchParams(query)}`);
  const text = await response.text();
  let body: { status?: string; data?: T; error?: string };
  try {
    body = JSON.parse(text);
  } catch {
    throw new Error(`${path}: ${response.status} ${text.slice(0, 200)}`);
  }
  if (body.status !== 'success') {
    throw new Error(`${body.error ?? response.status} (${query.query ?? path})`);
  }
  return body.data as T;
}

export async function instant(expr: string, at: number): Promise<Series[]> {
  const data = await ask<Answer>('/api/v1/query', { query: expr, time: String(at / 1000) });
  if (data.resultType !== 'vector') {
    throw new Error(`a vector was expected, got a ${data.resultType} (${expr})`);
  }
  return data.result.map((row) => ({ metric: row.metric, points: row.value ? [point(row.value)] : [] }));
}

/** Both ends are put on the step's grid, so that a picture does not change with the millisecond in which it is asked for. */
export async function range(expr: string, from: number, to: number, stepMs: number): Promise<Series[]> {
  const grid = (at: number) => String((Math.floor(at / stepMs) * stepMs) / 1000);
  const query = { query: expr, start: grid(from), end: grid(to), step: String(stepMs / 1000) };
  const data = await ask<Answer>('/api/v1/query_range', query);
  return data.result.map((row) => ({ metric: row.metric, points: (row.values ?? []).map(point) }));
}

export async function labelValues(label: string, match: string | null, from: number, to: number): Promise<string[]> {
  const query: Record<string, string> = { start: String(from / 1000), end: String(to / 1000) };
  if (match) {
    query['match[]'] = match;
  }
  return ask<string[]>(`/api/v1/label/${label}/values`, query);
}

function legend(target: Target, metric: Record<string, string>): string | undefined {
  const format = target.legendFormat;
  if (!format || format === '__auto') {
    return Object.keys(metric).length ? undefined : target.expr;
  }
  return format.replace(/\{\{\s*([^}\s]+)\s*\}\}/g, (_, label: string) => metric[label] ?? '');
}

/** One frame a series. The interval on its times lets Grafana leave gaps where samples are missing. */
export function seriesFrames(target: Target, series: Series[], stepMs: number): DataFrame[] {
  return series.map((one) =>
    toDataFrame({
      refId: target.refId,
      fields: [
        {
          name: 'Time',
          type: FieldType.time,
          config: { interval: stepMs },
          values: one.points.map(([at]) => at),
        },
        {
          name: one.metric.__name__ ?? 'Value',
          type: FieldType.number,
          labels: one.metric,
          config: { displayNameFromDS: legend(target, one.metric) },
          values: one.points.map(([, value]) => value),
        },
      ],
    })
  );
}

/** The format `table`: one frame a query, labels as columns; the value is named by its query when there are several. */
export function tableFrame(target: Target, series: Series[], several: boolean): DataFrame {
  const labels = [...new Set(series.flatMap((one) => Object.keys(one.metric).sort()))];
  const rows = series.flatMap((one) => one.points.map((at) => ({ metric: one.metric, at })));
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: rows.map((row) => row.at[0]) },
      ...labels.map((label) => ({
        name: label,
        type: FieldType.string,
        values: rows.map((row) => row.metric[label] ?? ''),
      })),
      {
        name: several ? `Value #${target.refId}` : 'Value',
        type: FieldType.number,
        values: rows.map((row) => row.at[1]),
      },
    ],
  });
}

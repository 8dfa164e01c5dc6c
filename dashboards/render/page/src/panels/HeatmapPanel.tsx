// Heatmap of a Prometheus histogram's buckets (format `heatmap`): an imitation.

import { type DataFrame, FieldType, formattedValueToString, getValueFormat } from '@grafana/data';

import type { PanelProps } from './props';
import { type Canvas, TimeRows } from './TimeRows';

interface Bucket {
  bound: number;
  times: number[];
  values: number[];
  step: number;
}

/** Cumulative buckets, ordered by bound, made into counts between two bounds. */
export function bucketsOf(frames: DataFrame[]): Bucket[] {
  const cumulative = frames.flatMap((frame): Bucket[] => {
    const times = frame.fields.find((field) => field.type === FieldType.time);
    const values = frame.fields.find((field) => field.type === FieldType.number);
    const bound = values?.labels?.le;
    if (!times || !values || bound === undefined) {
      return [];
    }
    const number = bound === '+Inf' ? Infinity : Number(bound);
    return [{ bound: number, times: times.values, values: values.values, step: times.config.interval ?? 60_000 }];
  });
  cumulative.sort((one, other) => one.bound - other.bound);
  return cumulative.map((bucket, at) => {
    const below = new Map(cumulative[at - 1]?.times.map((time, k) => [time, cumulative[at - 1]?.values[k] ?? 0]));
    const values = bucket.values.map((value, k) => Math.max(0, value - (below.get(bucket.times[k] ?? 0) ?? 0)));
    return { ...bucket, values };
  });
}

export function HeatmapPanel(props: PanelProps) {
  const { panel, frames, width, height, theme, timeRange, marks, drawn } = props;
  const buckets = bucketsOf(frames).reverse();
  const format = getValueFormat(panel.options?.yAxis?.unit ?? 'short');
  const names = buckets.map(({ bound }) => (Number.isFinite(bound) ? formattedValueToString(format(bound)) : '+Inf'));
  const most = Math.max(1e-12, ...buckets.flatMap((bucket) => bucket.values));
  const hue = theme.visualization.getColorByName(panel.options?.color?.fill ?? 'orange');
  const draw = ({ ctx, ratio, x, y, rowHeight }: Canvas) => {
    buckets.forEach((bucket, row) => {
      bucket.values.forEach((value, k) => {
        const at = bucket.times[k] ?? 0;
        if (value <= 0) {
          return;
        }
        ctx.globalAlpha = 0.15 + 0.85 * Math.sqrt(value / most);
        ctx.fillStyle = hue;
        ctx.fillRect(x(at - bucket.step), y(row), x(at) - x(at - bucket.step) - ratio, rowHeight - ratio);
      });
    });
    ctx.globalAlpha = 1;
    drawn({ count: buckets.filter((bucket) => bucket.values.some((value) => value > 0)).length, unit: 'rows' });
  };
  return <TimeRows {...{ names, width, height, theme, timeRange, marks, draw }} />;
}

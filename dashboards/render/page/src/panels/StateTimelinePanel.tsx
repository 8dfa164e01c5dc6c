// State timeline: an imitation, for Grafana's own is not in its published packages. Equal neighbours are one stretch; where samples are missing, nothing is drawn.

import { type DataFrame, FieldType, getFieldDisplayName, MappingType, type ValueMapping } from '@grafana/data';
import { LegendDisplayMode } from '@grafana/schema';
import { VizLayout, VizLegend, type VizLegendItem } from '@grafana/ui';

import type { PanelProps } from './props';
import { type Canvas, TimeRows } from './TimeRows';

export interface Stretch {
  from: number;
  to: number;
  text: string;
  color: string;
}

export interface Row {
  name: string;
  stretches: Stretch[];
}

function stretchesOf(frame: DataFrame, fieldIndex: number, end: number): Stretch[] {
  const times = frame.fields.find((field) => field.type === FieldType.time);
  const field = frame.fields[fieldIndex];
  if (!times || !field?.display) {
    return [];
  }
  const step = times.config.interval ?? Infinity;
  const stretches: Stretch[] = [];
  for (let at = 0; at < frame.length; at++) {
    const value = field.values[at];
    if (value === null || value === undefined || Number.isNaN(value)) {
      continue;
    }
    const from: number = times.values[at];
    const to = Math.min(end, times.values[at + 1] ?? end, from + step);
    const shown = field.display(value);
    const last = stretches.at(-1);
    const color = shown.color ?? 'gray';
    if (last && last.to >= from && last.text === shown.text && last.color === color) {
      last.to = to;
    } else {
      stretches.push({ from, to, text: shown.text, color });
    }
  }
  return stretches;
}

export function rowsOf(frames: DataFrame[], end: number): Row[] {
  return frames.flatMap((frame) =>
    frame.fields.flatMap((field, at) =>
      field.type === FieldType.time
        ? []
        : [{ name: getFieldDisplayName(field, frame, frames), stretches: stretchesOf(frame, at, end) }]
    )
  );
}

const GAP = 1;

/** Paint rows; a text stands where it fits and its panel does not forbid it. Returns how many rows had anything. */
function paint(rows: Row[], canvas: Canvas, options: Record<string, unknown>, opacity: number, theme: PanelProps['theme']) {
  const { ctx, ratio } = canvas;
  const share = typeof options.rowHeight === 'number' ? options.rowHeight : 0.9;
  const height = Math.max(1, canvas.rowHeight * share);
  rows.forEach((row, at) => {
    const top = canvas.y(at) + (canvas.rowHeight - height) / 2;
    for (const { from, to, text, color } of row.stretches) {
      const left = canvas.x(from);
      const width = Math.max(ratio, canvas.x(to) - left - GAP * ratio);
      ctx.globalAlpha = opacity;
      ctx.fillStyle = color;
      ctx.fillRect(left, top, width, height);
      ctx.globalAlpha = 1;
      if (options.showValue === 'never' || ctx.measureText(text).width + 8 * ratio > width || height < 12 * ratio) {
        continue;
      }
      ctx.fillStyle = opacity > 0.5 ? theme.colors.getContrastText(color, 2) : theme.colors.text.primary;
      ctx.textBaseline = 'middle';
      ctx.textAlign = 'left';
      ctx.fillText(text, left + 4 * ratio, top + height / 2);
    }
  });
}

function legendItems(mappings: ValueMapping[], theme: PanelProps['theme']): VizLegendItem[] {
  return mappings.flatMap((mapping) => {
    const results = mapping.type === MappingType.ValueToText ? Object.values(mapping.options) : [mapping.options.result];
    return [...results]
      .sort((one, other) => (one.index ?? 0) - (other.index ?? 0))
      .filter((result) => result.text)
      .map((result) => ({
        label: result.text ?? '',
        color: theme.visualization.getColorByName(result.color ?? 'gray'),
        yAxis: 1,
      }));
  });
}

export function StateTimelinePanel(props: PanelProps) {
  const { panel, frames, config, width, height, theme, timeRange, marks, drawn } = props;
  const options = panel.options ?? {};
  const rows = rowsOf(frames, timeRange.to.valueOf());
  const opacity = (config.defaults.custom?.fillOpacity ?? 70) / 100;
  const items = legendItems(config.defaults.mappings ?? [], theme);
  const shown = (options.legend?.showLegend ?? true) && items.length > 0;
  const legend = shown ? (
    <VizLayout.Legend placement={options.legend?.placement ?? 'bottom'}>
      <VizLegend items={items} placement="bottom" displayMode={LegendDisplayMode.List} readonly />
    </VizLayout.Legend>
  ) : null;
  const draw = (canvas: Canvas) => {
    paint(rows, canvas, options, opacity, theme);
    drawn({ count: rows.filter((row) => row.stretches.length > 0).length, unit: 'rows' });
  };
  return (
    <VizLayout width={width} height={height} legend={legend}>
      {(inner, outer) => (
        <TimeRows
          names={rows.map((row) => row.name)}
          width={inner}
          height={outer}
          theme={theme}
          timeRange={timeRange}
          marks={marks}
          draw={draw}
        />
      )}
    </VizLayout>
  );
}

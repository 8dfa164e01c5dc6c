// Rows over time on a uPlot with Grafana's axes.

import type { GrafanaTheme2, TimeRange } from '@grafana/data';
import { AxisPlacement, ScaleDirection, ScaleOrientation } from '@grafana/schema';
import { measureText, UPlotChart, UPlotConfigBuilder } from '@grafana/ui';
import { useMemo } from 'react';
import uPlot from 'uplot';

import { drawMarks, type Marks } from '../annotations';

/** Where things stand on the canvas, in its own pixels. */
export interface Canvas {
  ctx: CanvasRenderingContext2D;
  ratio: number;
  rowHeight: number;
  x: (ms: number) => number;
  /** The upper edge of a row. */
  y: (row: number) => number;
}

interface Props {
  names: string[];
  width: number;
  height: number;
  theme: GrafanaTheme2;
  timeRange: TimeRange;
  marks: Marks[];
  draw: (canvas: Canvas) => void;
}

function canvasOf(plot: uPlot, rows: number): Canvas {
  const rowHeight = plot.bbox.height / Math.max(1, rows);
  return {
    ctx: plot.ctx,
    ratio: uPlot.pxRatio,
    rowHeight,
    x: (ms) => plot.valToPos(ms, 'x', true),
    y: (row) => plot.bbox.top + row * rowHeight,
  };
}

function configOf(props: Props): UPlotConfigBuilder {
  const { names, theme, timeRange, marks, draw } = props;
  const builder = new UPlotConfigBuilder('utc');
  const span: [number, number] = [timeRange.from.valueOf(), timeRange.to.valueOf()];
  builder.addScale({
    scaleKey: 'x',
    isTime: true,
    orientation: ScaleOrientation.Horizontal,
    direction: ScaleDirection.Right,
    range: () => span,
  });
  builder.addScale({
    scaleKey: 'y',
    isTime: false,
    orientation: ScaleOrientation.Vertical,
    direction: ScaleDirection.Up,
    range: () => [0, names.length],
  });
  builder.addAxis({ scaleKey: 'x', isTime: true, placement: AxisPlacement.Bottom, timeZone: 'utc', theme });
  const widest = Math.max(0, ...names.map((name) => measureText(name, 12).width));
  builder.addAxis({
    scaleKey: 'y',
    placement: AxisPlacement.Left,
    theme,
    size: Math.min(props.width * 0.4, widest + 18),
    gap: 8,
    grid: { show: false },
    ticks: { show: false },
    splits: () => names.map((_, row) => names.length - row - 0.5),
    values: () => names,
  });
  builder.addSeries({ scaleKey: 'y', theme, pathBuilder: () => null, pointsBuilder: () => null, pxAlign: false } as never);
  builder.setCursor({ show: false } as never);
  builder.addHook('draw', (plot) => {
    plot.ctx.save();
    plot.ctx.font = `${12 * uPlot.pxRatio}px ${theme.typography.fontFamily}`;
    draw(canvasOf(plot, names.length));
    plot.ctx.restore();
    drawMarks(plot, marks);
  });
  builder.setPrepData(() => [span, [0, 0]]);
  return builder;
}

export function TimeRows(props: Props) {
  const builder = useMemo(() => configOf(props), [props.width, props.height, props.names.join('\n')]);
  const span = [props.timeRange.from.valueOf(), props.timeRange.to.valueOf()];
  return <UPlotChart config={builder} data={[span, [0, 0]]} width={props.width} height={props.height} />;
}

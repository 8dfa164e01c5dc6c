// Time series: @grafana/ui's own component; annotations are drawn into its canvas.

import { DataFrame } from '@grafana/data';
import { LegendDisplayMode, type VizLegendOptions } from '@grafana/schema';
import { TimeSeries, type UPlotConfigBuilder } from '@grafana/ui';
import { useMemo } from 'react';
import type uPlot from 'uplot';

import { drawMarks } from '../annotations';
import type { PanelProps } from './props';

const hasValue = (values: ArrayLike<number | null | undefined>) =>
  Array.prototype.some.call(values, (value: unknown) => value !== null && value !== undefined);

function seriesDrawn(plot: uPlot): number {
  return plot.series.filter((one, at) => at > 0 && one.show && hasValue(plot.data[at] ?? [])).length;
}

function legendOf(options: PanelProps['panel']['options']): VizLegendOptions {
  const legend = { showLegend: true, displayMode: LegendDisplayMode.List, placement: 'bottom', calcs: [], ...options?.legend };
  return { ...legend, showLegend: legend.showLegend && legend.displayMode !== 'hidden' };
}

export function TimeSeriesPanel({ panel, frames, width, height, timeRange, marks, drawn }: PanelProps) {
  const hooked = useMemo(() => new WeakSet<UPlotConfigBuilder>(), []);
  const hook = (builder: UPlotConfigBuilder, _frame: DataFrame) => {
    if (!hooked.has(builder)) {
      hooked.add(builder);
      builder.addHook('draw', (plot) => {
        drawMarks(plot, marks);
        drawn({ count: seriesDrawn(plot), unit: 'series' });
      });
    }
    return null;
  };
  return (
    <TimeSeries
      frames={frames}
      width={width}
      height={height}
      timeRange={timeRange}
      timeZone="utc"
      legend={legendOf(panel.options)}
    >
      {hook}
    </TimeSeries>
  );
}

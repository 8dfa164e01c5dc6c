// Panels that show one value a series: stat and bar gauge, by @grafana/ui's own components.

import {
  type DisplayValueAlignmentFactors,
  type FieldDisplay,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
  VizOrientation,
} from '@grafana/data';
import { BarGaugeDisplayMode, BarGaugeNamePlacement, BarGaugeValueMode } from '@grafana/schema';
import {
  BarGauge,
  BigValue,
  BigValueColorMode,
  BigValueGraphMode,
  BigValueJustifyMode,
  BigValueTextMode,
  VizRepeater,
  type VizRepeaterRenderValueProps,
} from '@grafana/ui';
import { useEffect } from 'react';

import type { PanelProps } from './props';

type One = VizRepeaterRenderValueProps<FieldDisplay, DisplayValueAlignmentFactors>;

function valuesOf(props: PanelProps, sparkline: boolean): FieldDisplay[] {
  const { panel, frames, config, theme, texts, timeRange } = props;
  const values = getFieldDisplayValues({
    data: frames,
    reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false, ...panel.options?.reduceOptions },
    fieldConfig: config,
    replaceVariables: (text) => texts(text ?? ''),
    sparkline,
    theme,
    timeZone: 'utc',
  });
  for (const value of values) {
    if (value.sparkline) {
      value.sparkline.timeRange = timeRange;
    }
  }
  return values;
}

interface RepeatedProps {
  props: PanelProps;
  sparkline: boolean;
  spacing: number;
  autoGrid: boolean;
  least?: { width: number; height: number };
  render: (one: One) => React.JSX.Element;
}

/** All values side by side. A series counts as shown when it has a number, not for its "No data". */
function Repeated({ props, sparkline, spacing, autoGrid, least, render }: RepeatedProps) {
  const { panel, frames, width, height, drawn } = props;
  const values = valuesOf(props, sparkline);
  useEffect(() => {
    const numbers = values.filter((value) => frames.length > 0 && Number.isFinite(value.display.numeric));
    drawn({ count: numbers.length, unit: 'values' });
  });
  return (
    <VizRepeater<FieldDisplay, DisplayValueAlignmentFactors>
      getValues={() => values}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={render}
      width={width}
      height={height}
      source={frames}
      itemSpacing={spacing}
      renderCounter={0}
      autoGrid={autoGrid}
      minVizWidth={least?.width}
      minVizHeight={least?.height}
      orientation={panel.options?.orientation ?? VizOrientation.Auto}
    />
  );
}

export function StatPanel(props: PanelProps) {
  const { panel, config, theme } = props;
  const options = panel.options ?? {};
  const named = (options.textMode ?? 'auto') === 'auto' && (config.defaults.displayName || !panel.title);
  const graph = options.graphMode ?? BigValueGraphMode.Area;
  const render = ({ value, width, height, count, alignmentFactors }: One) => (
    <BigValue
      value={value.display}
      sparkline={value.sparkline}
      count={count}
      width={width}
      height={height}
      alignmentFactors={alignmentFactors}
      colorMode={options.colorMode ?? BigValueColorMode.Value}
      graphMode={graph}
      justifyMode={options.justifyMode ?? BigValueJustifyMode.Auto}
      textMode={named ? BigValueTextMode.ValueAndName : (options.textMode ?? BigValueTextMode.Auto)}
      text={options.text}
      disableWideLayout={options.wideLayout === false}
      theme={theme}
    />
  );
  return <Repeated props={props} sparkline={graph !== 'none'} spacing={3} autoGrid render={render} />;
}

export function BarGaugePanel(props: PanelProps) {
  const { panel, theme } = props;
  const options = panel.options ?? {};
  const render = ({ value, width, height, orientation, count, alignmentFactors }: One) => (
    <BarGauge
      value={count === 1 && !options.showSingleName ? { ...value.display, title: undefined } : value.display}
      field={value.field}
      display={value.view?.getFieldDisplayProcessor(value.colIndex ?? 0)}
      width={width}
      height={height}
      orientation={orientation}
      alignmentFactors={alignmentFactors}
      displayMode={options.displayMode ?? BarGaugeDisplayMode.Gradient}
      valueDisplayMode={options.valueMode ?? BarGaugeValueMode.Color}
      namePlacement={options.namePlacement ?? BarGaugeNamePlacement.Auto}
      showUnfilled={options.showUnfilled ?? true}
      text={options.text}
      itemSpacing={8}
      lcdCellWidth={8}
      theme={theme}
    />
  );
  const least = { width: options.minVizWidth ?? 8, height: options.minVizHeight ?? 16 };
  return <Repeated props={props} sparkline={false} spacing={8} autoGrid={false} least={least} render={render} />;
}

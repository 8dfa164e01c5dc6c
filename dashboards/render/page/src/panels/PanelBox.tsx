// One panel: its frame, its kind, and what it tells of itself.

import { PanelChrome } from '@grafana/ui';
import { Component, type ReactNode } from 'react';

import type { PanelProps } from './props';
import { StateTimelinePanel } from './StateTimelinePanel';
import { TablePanel } from './TablePanel';
import { TextPanel } from './TextPanel';
import { TimeSeriesPanel } from './TimeSeriesPanel';
import { BarGaugePanel, StatPanel } from './values';

const KINDS: Record<string, (props: PanelProps) => ReactNode> = {
  bargauge: BarGaugePanel,
  stat: StatPanel,
  'state-timeline': StateTimelinePanel,
  table: TablePanel,
  text: TextPanel,
  timeseries: TimeSeriesPanel,
};

class Guard extends Component<{ fail: (message: string) => void; children: ReactNode }, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };
  static getDerivedStateFromError(error: Error) {
    return { error };
  }
  override componentDidCatch(error: Error) {
    this.props.fail(error.message);
  }
  override render() {
    return this.state.error ? <pre>{this.state.error.message}</pre> : this.props.children;
  }
}

function Inside(props: PanelProps) {
  const Kind = KINDS[props.panel.type];
  if (!Kind) {
    throw new Error(`panels of the kind ${props.panel.type} are not drawn here`);
  }
  // The single-value panels say "No data" with their own value (`noValue`).
  const speaks = ['text', 'stat', 'bargauge'].includes(props.panel.type);
  if (!speaks && !props.frames.some((frame) => frame.length > 0)) {
    const { theme, config, height } = props;
    const style = { height, display: 'grid', placeItems: 'center', color: theme.colors.text.secondary };
    return <div style={style}>{config.defaults.noValue ?? 'No data'}</div>;
  }
  return <Kind {...props} />;
}

interface BoxProps extends PanelProps {
  title: string;
}

export function PanelBox({ title, ...props }: BoxProps) {
  const { panel, width, height, texts } = props;
  return (
    <PanelChrome
      title={title}
      description={panel.description ? texts(panel.description) : undefined}
      width={width}
      height={height}
      padding={panel.type === 'table' ? 'none' : 'md'}
      displayMode={panel.transparent ? 'transparent' : 'default'}
    >
      {(innerWidth, innerHeight) => (
        <Guard fail={props.fail}>
          <Inside {...props} width={innerWidth} height={innerHeight} />
        </Guard>
      )}
    </PanelChrome>
  );
}

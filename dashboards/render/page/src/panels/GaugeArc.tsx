// A gauge's arc: an imitation. Grafana's own is not in its published packages.

import { type FieldDisplay, formattedValueToString, getActiveThreshold, type GrafanaTheme2 } from '@grafana/data';

interface Props {
  value: FieldDisplay;
  width: number;
  height: number;
  named: boolean;
  theme: GrafanaTheme2;
}

// Degrees clockwise from twelve o'clock; the arc leaves the lower fifth open.
const START = -120;
const SWEEP = 240;

function arc(radius: number, from: number, to: number): string {
  const at = (share: number) => {
    const angle = ((START + share * SWEEP) * Math.PI) / 180;
    return `${radius * Math.sin(angle)} ${-radius * Math.cos(angle)}`;
  };
  return `M ${at(from)} A ${radius} ${radius} 0 ${(to - from) * SWEEP > 180 ? 1 : 0} 1 ${at(to)}`;
}

export function GaugeArc({ value, width, height, named, theme }: Props) {
  const { min = 0, max = 100, thresholds } = value.field;
  const low = min ?? 0;
  const share = (at: number) => Math.min(1, Math.max(0, (at - low) / ((max ?? 100) - low || 1)));
  const radius = Math.max(10, Math.min(width / 2, (height - (named ? 18 : 0)) / 1.6) - 8);
  const thick = radius * 0.22;
  const shown = share(value.display.numeric);
  const steps = thresholds?.steps ?? [];
  const edges = steps.map((step, at) => ({
    from: share(step.value),
    to: share(steps[at + 1]?.value ?? Infinity),
    color: theme.visualization.getColorByName(getActiveThreshold(step.value, steps).color),
  }));
  const line = { fill: 'none', strokeWidth: thick };
  return (
    <svg width={width} height={height} viewBox={`${-width / 2} ${-radius - 6} ${width} ${height}`}>
      <path {...line} d={arc(radius - thick, 0, 1)} stroke={theme.colors.background.secondary} />
      {shown > 0 && <path {...line} d={arc(radius - thick, 0, shown)} stroke={value.display.color} />}
      {edges.map(
        ({ from, to, color }) =>
          to > from && <path key={from} fill="none" strokeWidth={3} d={arc(radius - thick * 0.3, from, to)} stroke={color} />
      )}
      <text textAnchor="middle" y={radius * 0.15} fontSize={radius * 0.38} fill={value.display.color}>
        {formattedValueToString(value.display)}
      </text>
      {named && (
        <text textAnchor="middle" y={radius * 0.72} fontSize={13} fill={theme.colors.text.primary}>
          {value.display.title}
        </text>
      )}
    </svg>
  );
}

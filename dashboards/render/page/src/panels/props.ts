// What every kind of panel is given.

import type { DataFrame, FieldConfigSource, GrafanaTheme2, TimeRange } from '@grafana/data';

import type { Marks } from '../annotations';
import type { Drawn, Panel } from '../model';

export interface PanelProps {
  panel: Panel;
  frames: DataFrame[];
  config: FieldConfigSource;
  width: number;
  height: number;
  theme: GrafanaTheme2;
  timeRange: TimeRange;
  marks: Marks[];
  texts: (text: string) => string;
  /** Tell what was drawn; the last call counts. */
  drawn: (what: Drawn) => void;
  fail: (message: string) => void;
}

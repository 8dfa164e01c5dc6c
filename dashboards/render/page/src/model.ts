// The parts of a dashboard's JSON (schemaVersion 36 and later) that are drawn here, and what a drawing tells about itself.

import type { DataTransformerConfig, FieldConfigSource } from '@grafana/data';

export interface Target {
  refId: string;
  expr?: string;
  legendFormat?: string;
  instant?: boolean;
  range?: boolean;
  format?: 'time_series' | 'table';
  interval?: string;
  hide?: boolean;
}

export interface GridPos {
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface Panel {
  id: number;
  type: string;
  title?: string;
  description?: string;
  gridPos: GridPos;
  transparent?: boolean;
  targets?: Target[];
  transformations?: DataTransformerConfig[];
  fieldConfig?: FieldConfigSource;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- each kind of panel has options of its own
  options?: Record<string, any>;
  interval?: string;
  maxDataPoints?: number;
  links?: Link[];
  repeat?: string;
  collapsed?: boolean;
  panels?: Panel[];
}

export interface Link {
  title: string;
  url?: string;
  type?: string;
}

export interface Variable {
  name: string;
  label?: string;
  type: string;
  query?: string | { query?: string };
  regex?: string;
  sort?: number;
  multi?: boolean;
  includeAll?: boolean;
  allValue?: string;
  hide?: number;
  current?: { text?: string | string[]; value?: string | string[] };
}

export interface Annotation {
  name: string;
  enable?: boolean;
  expr?: string;
  target?: { expr?: string };
  step?: string;
  iconColor?: string;
  builtIn?: number;
}

export interface Dashboard {
  title: string;
  panels: Panel[];
  links?: Link[];
  templating?: { list?: Variable[] };
  annotations?: { list?: Annotation[] };
}

/** What was asked for: times in milliseconds of the epoch. */
export interface Request {
  dashboard: string;
  theme: 'light' | 'dark';
  from: number;
  to: number;
  width: number;
  scrapeMs: number;
  given: Record<string, string[]>;
}

/** What one panel shows: so many of its unit, read from what was drawn and not from what was fetched. */
export interface Drawn {
  count: number;
  unit: 'series' | 'values' | 'rows' | 'text';
}

export interface PanelReport {
  id: number;
  title: string;
  kind: string;
  drawn: Drawn | null;
  errors: string[];
  cut: string[];
}

export interface Report {
  title: string;
  panels: PanelReport[];
  annotations: { name: string; hits: number }[];
  variables: Record<string, string[]>;
  errors: string[];
}

// The whole picture: a bar with variables, annotations and links, and below it the panels in the dashboard's grid.

import { dateTimeFormat, type GrafanaTheme2 } from '@grafana/data';
import { Icon } from '@grafana/ui';
import type { CSSProperties, ReactNode } from 'react';

import type { Loaded, LoadedPanel } from './load';
import type { Drawn, Request } from './model';
import { PanelBox } from './panels/PanelBox';
import { timeRangeOf } from './time';

// Grafana's grid: 24 columns, cells of 30 px with 8 px between them.
const COLUMNS = 24;
const CELL = 30;
const GAP = 8;
const BAR = 72;

interface Props {
  loaded: Loaded;
  request: Request;
  theme: GrafanaTheme2;
  drawn: (panel: LoadedPanel, what: Drawn) => void;
}

function Box({ label, color, theme, children }: { label?: string; color?: string; theme: GrafanaTheme2; children: ReactNode }) {
  const style: CSSProperties = {
    display: 'inline-flex',
    alignItems: 'center',
    gap: 8,
    border: `1px solid ${theme.colors.border.medium}`,
    borderRadius: theme.shape.radius.default,
    padding: '3px 8px',
    background: theme.colors.background.primary,
  };
  return (
    <span style={style}>
      {color && <i style={{ width: 10, height: 10, borderRadius: 5, background: color }} />}
      {label && <span style={{ color: theme.colors.text.secondary }}>{label}</span>}
      <span>{children}</span>
    </span>
  );
}

function Bar({ loaded, request, theme }: Omit<Props, 'drawn'>) {
  const { dashboard, choices, marks } = loaded;
  const shown = (dashboard.templating?.list ?? []).filter((one) => !one.hide || one.hide < 2);
  const at = (ms: number, format: string) => dateTimeFormat(ms, { format, timeZone: 'utc' });
  const row: CSSProperties = { display: 'flex', gap: 8, alignItems: 'center', whiteSpace: 'nowrap' };
  return (
    <div style={{ padding: '8px 8px 0', fontSize: 12 }}>
      <div style={{ ...row, height: 26 }}>
        <b style={{ fontSize: 16, fontWeight: 500 }}>{loaded.texts(dashboard.title)}</b>
        <span style={{ flex: 1 }} />
        {(dashboard.links ?? []).map((link) => (
          <Box key={link.title} theme={theme}>
            <Icon name={link.type === 'dashboards' ? 'apps' : 'external-link-alt'} size="sm" /> {link.title}
          </Box>
        ))}
        <Box theme={theme}>
          <Icon name="clock-nine" size="sm" /> {at(request.from, 'YYYY-MM-DD HH:mm')} to {at(request.to, 'HH:mm')} UTC
        </Box>
      </div>
      <div style={{ ...row, height: 32 }}>
        {shown.map((one) => {
          const chosen = choices[one.name];
          return (
            <Box key={one.name} label={one.label || one.name} theme={theme}>
              {chosen?.all != null ? 'All' : chosen?.values.join(' + ')}
            </Box>
          );
        })}
        <span style={{ flex: 1 }} />
        {marks.map((one) => (
          <Box key={one.name} label={one.name} color={one.color} theme={theme}>
            {one.hits.length}
          </Box>
        ))}
      </div>
    </div>
  );
}

function Cell({ loaded, one, request, theme, drawn }: Props & { one: LoadedPanel }) {
  const { panel, title, frames, config, errors } = one;
  const column = (request.width - GAP) / COLUMNS;
  const { x, y, w, h } = panel.gridPos;
  const place = {
    position: 'absolute' as const,
    left: GAP + x * column,
    top: BAR + y * (CELL + GAP),
    width: w * column - GAP,
    height: h * (CELL + GAP) - GAP,
  };
  if (panel.type === 'row') {
    return (
      <div style={{ ...place, fontWeight: 500, lineHeight: `${place.height}px` }} data-panel={panel.id}>
        <Icon name="angle-down" /> {title}
      </div>
    );
  }
  return (
    <div style={place} data-panel={panel.id}>
      <PanelBox
        {...{ panel, title, frames, config, theme }}
        width={place.width}
        height={place.height}
        timeRange={timeRangeOf(request)}
        marks={loaded.marks}
        texts={loaded.texts}
        drawn={(what) => drawn(one, what)}
        fail={(message) => errors.push(message)}
      />
    </div>
  );
}

export function Page(props: Props) {
  const { loaded, request, theme } = props;
  const rows = Math.max(0, ...loaded.panels.map(({ panel }) => panel.gridPos.y + panel.gridPos.h));
  const style: CSSProperties = {
    position: 'relative',
    width: request.width,
    height: BAR + rows * (CELL + GAP),
    background: theme.colors.background.canvas,
    color: theme.colors.text.primary,
    overflow: 'hidden',
  };
  return (
    <div style={style}>
      <Bar {...{ loaded, request, theme }} />
      {loaded.panels.map((one, at) => (
        <Cell key={at} {...props} one={one} />
      ))}
    </div>
  );
}

// Tables: @grafana/ui's own component. All rows are drawn, so that they can be counted in the document.

import { TableNG } from '@grafana/ui/unstable';
import { useEffect, useRef } from 'react';

import type { PanelProps } from './props';

export function TablePanel({ panel, frames, config, width, height, timeRange, drawn, fail }: PanelProps) {
  const box = useRef<HTMLDivElement>(null);
  const options = panel.options ?? {};
  const header = options.showHeader ?? true;
  useEffect(() => {
    const timer = setInterval(() => {
      const rows = box.current?.querySelectorAll('[role="row"]:not([aria-rowindex="1"])') ?? [];
      const all = box.current?.querySelectorAll('[role="row"]').length ?? 0;
      drawn({ count: header ? rows.length : all, unit: 'rows' });
    }, 50);
    return () => clearInterval(timer);
  });
  useEffect(() => {
    if (frames.length > 1) {
      fail(`the transformations leave ${frames.length} frames; a table shows the first`);
    }
  }, []);
  const data = frames[0];
  return (
    <div ref={box} style={{ width, height }}>
      {data && (
        <TableNG
          data={data}
          width={width}
          height={height}
          fieldConfig={config}
          noHeader={!header}
          sortBy={options.sortBy}
          cellHeight={options.cellHeight}
          frozenColumns={options.frozenColumns?.left}
          timeRange={timeRange}
          enableVirtualization={false}
          structureRev={1}
        />
      )}
    </div>
  );
}

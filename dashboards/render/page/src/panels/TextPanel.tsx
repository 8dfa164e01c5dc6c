// Text: Markdown as @grafana/data renders it.

import { renderTextPanelMarkdown } from '@grafana/data';
import { useEffect } from 'react';

import type { PanelProps } from './props';

export function TextPanel({ panel, width, height, texts, drawn }: PanelProps) {
  const source = texts(panel.options?.content ?? '');
  const html = panel.options?.mode === 'html' ? source : renderTextPanelMarkdown(source);
  useEffect(() => {
    drawn({ count: source.trim().length, unit: 'text' });
  });
  return (
    <div
      className="markdown-html"
      style={{ width, height, overflow: 'hidden' }}
      dangerouslySetInnerHTML={{ __html: html }}
    />
  );
}

// Draws the dashboard that the page's address asks for. The driver waits for `window.drawing`, then asks it for a report.

import { createTheme } from '@grafana/data';
import { GlobalStyles, ThemeContext } from '@grafana/ui';
import { createRoot } from 'react-dom/client';
import { flushSync } from 'react-dom';

import { load, type LoadedPanel } from './load';
import type { Drawn, Report } from './model';
import { Page } from './Page';
import { reportOf } from './report';
import { readRequest } from './request';

declare global {
  interface Window {
    __grafana_public_path__: string;
    drawing?: { report: () => Report };
  }
}

const failed = (message: string): Report => ({ title: '', panels: [], annotations: [], variables: {}, errors: [message] });

async function main(): Promise<() => Report> {
  const request = readRequest(location.search);
  const theme = createTheme({ colors: { mode: request.theme } });
  const loaded = await load(request, theme);
  const counts = new Map<LoadedPanel, Drawn>();
  document.title = loaded.dashboard.title;
  document.documentElement.style.background = theme.colors.background.canvas;
  document.body.style.margin = '0';
  const root = createRoot(document.getElementById('root') as HTMLElement);
  // Texts are measured when they are drawn, so their fonts come first.
  const faces = ['400 14px Inter', '500 14px Inter', '400 14px "Roboto Mono"'];
  const tree = (page: React.ReactNode) => (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      {page}
    </ThemeContext.Provider>
  );
  flushSync(() => root.render(tree(null)));
  await Promise.all(faces.map((face) => document.fonts.load(face)));
  const drawn = (panel: LoadedPanel, what: Drawn): void => {
    counts.set(panel, what);
  };
  root.render(tree(<Page {...{ loaded, request, theme, drawn }} />));
  return () => reportOf(loaded, counts);
}

window.__grafana_public_path__ = '/public/';
main().then(
  (report) => (window.drawing = { report }),
  (error: Error) => (window.drawing = { report: () => failed(error.stack ?? error.message) })
);

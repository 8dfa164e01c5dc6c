// What the address of the page asks for.

import type { Request } from './model';

function whole(params: URLSearchParams, name: string): number {
  const value = Number(params.get(name));
  if (!Number.isFinite(value) || value <= 0) {
    throw new Error(`${name}: a positive number was expected, got ${params.get(name)}`);
  }
  return value;
}

export function readRequest(search: string): Request {
  const params = new URLSearchParams(search);
  const theme = params.get('theme');
  const dashboard = params.get('dashboard');
  if (theme !== 'light' && theme !== 'dark') {
    throw new Error(`theme: light or dark was expected, got ${theme}`);
  }
  if (!dashboard) {
    throw new Error('dashboard: the address of a JSON was expected');
  }
  const given: Record<string, string[]> = {};
  for (const key of new Set(params.keys())) {
    if (key.startsWith('var-')) {
      given[key.slice(4)] = params.getAll(key);
    }
  }
  return {
    dashboard,
    theme,
    from: whole(params, 'from'),
    to: whole(params, 'to'),
    width: whole(params, 'width'),
    scrapeMs: whole(params, 'scrape'),
    given,
  };
}

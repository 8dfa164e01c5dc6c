// Values of a dashboard's variables, and their places in queries and texts.

import { labelValues, instant } from './prometheus';
import type { Request, Variable } from './model';

/** Chosen values; `all` holds what stands for all of them. */
export interface Chosen {
  values: string[];
  all: string | null;
}

export type Choices = Record<string, Chosen>;

const escape = (value: string) => value.replace(/[\\^$*+?.()|[\]{}]/g, '\\\\$&');

function asRegex(chosen: Chosen): string {
  if (chosen.all !== null) {
    return chosen.all;
  }
  const escaped = chosen.values.map(escape);
  return escaped.length === 1 ? (escaped[0] ?? '') : `(${escaped.join('|')})`;
}

function formatted(chosen: Chosen, format: string | undefined, query: boolean): string {
  switch (format ?? (query ? 'regex' : 'text')) {
    case 'regex':
      return asRegex(chosen);
    case 'text':
      return chosen.all !== null ? 'All' : chosen.values.join(' + ');
    case 'pipe':
      return chosen.values.join('|');
    case 'csv':
      return chosen.values.join(',');
    default:
      return chosen.all ?? chosen.values.join(',');
  }
}

/** Put values for `$name`, `${name}`, `${name:format}` and `[[name]]`; what is unknown stays as it is. */
export function interpolate(text: string, choices: Choices, extra: Record<string, string>, query: boolean): string {
  return text.replace(/\$\{(\w+)(?::(\w+))?\}|\$(\w+)|\[\[(\w+)\]\]/g, (whole, braced, format, plain, old) => {
    const name: string = braced ?? plain ?? old;
    if (name in extra) {
      return extra[name] ?? '';
    }
    const chosen = choices[name];
    return chosen ? formatted(chosen, format, query) : whole;
  });
}

const listOf = (value: string | string[] | undefined): string[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value];

const queryOf = (variable: Variable): string =>
  typeof variable.query === 'string' ? variable.query : (variable.query?.query ?? '');

async function found(query: string, request: Request): Promise<string[]> {
  const labels = /^\s*label_values\((?:(.+),)?\s*(\w+)\s*\)\s*$/s.exec(query);
  if (labels) {
    return labelValues(labels[2] ?? '', labels[1]?.trim() ?? null, request.from, request.to);
  }
  const result = /^\s*query_result\((.+)\)\s*$/s.exec(query);
  if (result) {
    const series = await instant(result[1] ?? '', request.to);
    return series.map((one) => {
      const { __name__: name = '', ...rest } = one.metric;
      const labelled = Object.entries(rest).map(([label, value]) => `${label}="${value}"`);
      return `${name}{${labelled.join(',')}} ${one.points[0]?.[1]}`;
    });
  }
  throw new Error(`this variable's query is not understood here: ${query}`);
}

function picked(values: string[], regex: string | undefined): string[] {
  const body = regex && /^\/(.*)\/\w*$/s.exec(regex);
  if (!body) {
    return values;
  }
  const pattern = new RegExp(body[1] ?? '');
  const hits = values.map((value) => pattern.exec(value)).filter((hit) => hit !== null);
  return [...new Set(hits.map((hit) => hit[1] ?? hit[0]))];
}

async function optionsOf(variable: Variable, choices: Choices, request: Request): Promise<string[]> {
  if (variable.type === 'query') {
    const values = await found(interpolate(queryOf(variable), choices, {}, true), request);
    const sorted = picked(values, variable.regex);
    return variable.sort ? sorted.sort() : sorted;
  }
  if (variable.type === 'datasource') {
    return ['Prometheus'];
  }
  return queryOf(variable).split(',').map((value) => value.trim());
}

function choose(variable: Variable, options: string[], given: string[] | undefined): Chosen {
  const wanted = given ?? (variable.type === 'datasource' ? [] : listOf(variable.current?.value));
  if (variable.includeAll && (wanted.length === 0 || wanted.includes('$__all'))) {
    return { values: options, all: variable.allValue ?? `(${options.map(escape).join('|')})` };
  }
  const values = wanted.length ? wanted : options.slice(0, 1);
  return { values, all: null };
}

/** One after the other, because a variable may use those before it. An error is told; the others go on. */
export async function chooseAll(
  variables: Variable[],
  request: Request,
  fail: (message: string) => void
): Promise<Choices> {
  const choices: Choices = {};
  for (const variable of variables) {
    try {
      const options = await optionsOf(variable, choices, request);
      const given = request.given[variable.name];
      choices[variable.name] = choose(variable, options, given);
      // Where the label is nowhere, all of its values still match: a fleet of one cluster has no label `cluster`.
      if (variable.type === 'query' && options.length === 0 && !variable.allValue) {
        fail(`variable ${variable.name} has no value`);
      }
    } catch (error) {
      fail(`variable ${variable.name}: ${(error as Error).message}`);
      choices[variable.name] = { values: [], all: variable.allValue ?? null };
    }
  }
  return choices;
}

// From raw frames to what a panel shows: transformations, then field options and overrides.

import {
  applyFieldOverrides,
  cacheFieldDisplayNames,
  type DataFrame,
  FieldColorModeId,
  FieldConfigOptionsRegistry,
  type FieldConfigPropertyItem,
  type FieldConfigSource,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
  type GrafanaTheme2,
  ThresholdsMode,
} from '@grafana/data';
import { lastValueFrom } from 'rxjs';

import type { Panel } from './model';

standardTransformersRegistry.setInit(() =>
  Object.values(standardTransformers).flatMap((one, at, all) =>
    all.findIndex((other) => other.id === one.id) < at
      ? []
      : [
          {
            id: one.id,
            name: one.name,
            transformation: () => Promise.resolve(one),
            editor: () => null,
            imageDark: '',
            imageLight: '',
          },
        ]
  )
);

export async function transformed(
  panel: Panel,
  frames: DataFrame[],
  replace: (text: string) => string,
  fail: (message: string) => void
): Promise<DataFrame[]> {
  const wanted = panel.transformations ?? [];
  for (const one of wanted) {
    if (!standardTransformersRegistry.getIfExists(one.id)) {
      fail(`the transformation ${one.id} is not known to @grafana/data`);
    }
  }
  return lastValueFrom(transformDataFrame(wanted, frames, { interpolate: replace }));
}

const STANDARD = [
  'unit',
  'min',
  'max',
  'fieldMinMax',
  'decimals',
  'displayName',
  'noValue',
  'thresholds',
  'mappings',
  'links',
  'color',
  'filterable',
];

/** Every option that this panel names is known: the panels' own registries are not in the published packages. */
function registryOf(config: FieldConfigSource): FieldConfigOptionsRegistry {
  const own = Object.keys(config.defaults.custom ?? {}).map((key) => `custom.${key}`);
  const overridden = config.overrides.flatMap((one) => one.properties.map((property) => property.id));
  return new FieldConfigOptionsRegistry(() =>
    [...new Set([...STANDARD, ...own, ...overridden])].map((id): FieldConfigPropertyItem => {
      const isCustom = id.startsWith('custom.');
      return {
        id,
        name: id,
        path: isCustom ? id.slice(7) : id,
        isCustom,
        editor: () => null,
        override: () => null,
        process: (value) => value,
        shouldApply: () => true,
      };
    })
  );
}

// What each panel takes for an option that its JSON leaves out, as far as it is seen in a picture (Grafana's manual,
// "Configure standard options", and the pages of the visualizations).
const CUSTOM: Record<string, object> = {
  timeseries: {
    drawStyle: 'line',
    lineInterpolation: 'linear',
    lineWidth: 1,
    fillOpacity: 0,
    showPoints: 'auto',
    pointSize: 5,
    axisPlacement: 'auto',
    axisGridShow: true,
  },
  'state-timeline': { fillOpacity: 70, lineWidth: 0 },
};

function withDefaults(panel: Panel): FieldConfigSource {
  const given: FieldConfigSource = panel.fieldConfig ?? { defaults: {}, overrides: [] };
  const palette = panel.type === 'timeseries' || panel.type === 'piechart';
  const custom = { ...CUSTOM[panel.type], ...given.defaults.custom };
  if (custom.stacking) {
    custom.stacking = { group: 'A', ...custom.stacking };
  }
  return {
    overrides: given.overrides ?? [],
    defaults: {
      color: { mode: palette ? FieldColorModeId.PaletteClassic : FieldColorModeId.Thresholds },
      thresholds: {
        mode: ThresholdsMode.Absolute,
        steps: [
          { value: -Infinity, color: 'green' },
          { value: 80, color: 'red' },
        ],
      },
      ...given.defaults,
      custom,
    },
  };
}

export function configured(
  panel: Panel,
  frames: DataFrame[],
  theme: GrafanaTheme2,
  replace: (text: string) => string
): { frames: DataFrame[]; config: FieldConfigSource } {
  const config = withDefaults(panel);
  const data = applyFieldOverrides({
    data: frames,
    fieldConfig: config,
    fieldConfigRegistry: registryOf(config),
    replaceVariables: (text) => replace(text ?? ''),
    theme,
    timeZone: 'utc',
  });
  cacheFieldDisplayNames(data); // a table takes its headings from there
  return { frames: data, config };
}

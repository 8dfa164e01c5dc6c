import { cpSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { defineConfig } from 'vite';

// @grafana/ui asks its server for fonts and icons by these paths (themes/GlobalStyles/fonts, components/Icon/utils). The
// variable font stands for each weight of Inter.
const FONTS = {
  'inter/Inter-Regular.woff2': '@fontsource-variable/inter/files/inter-latin-wght-normal.woff2',
  'inter/Inter-Medium.woff2': '@fontsource-variable/inter/files/inter-latin-wght-normal.woff2',
  'inter/Inter-Italic.woff2': '@fontsource-variable/inter/files/inter-latin-wght-italic.woff2',
  'inter/Inter-MediumItalic.woff2': '@fontsource-variable/inter/files/inter-latin-wght-italic.woff2',
  'roboto/L0xTDF4xlVMF-BfR8bXMIhJHg45mwgGEFl0_3vrtSM1J-gEPT5Ese6hmHSh0mQ.woff2':
    '@fontsource/roboto-mono/files/roboto-mono-latin-400-normal.woff2',
};

function localFiles() {
  return {
    name: 'local-fonts-and-icons',
    closeBundle() {
      for (const [to, from] of Object.entries(FONTS)) {
        const target = join('dist/public/fonts', to);
        mkdirSync(dirname(target), { recursive: true });
        cpSync(join('node_modules', from), target);
      }
      cpSync('node_modules/@grafana/ui/dist/public/img/icons', 'dist/public/build/img/icons', { recursive: true });
    },
  };
}

export default defineConfig({
  plugins: [localFiles()],
  define: { 'process.env': {}, global: 'globalThis' },
  build: { chunkSizeWarningLimit: 20000, minify: false, reportCompressedSize: false, modulePreload: false },
});

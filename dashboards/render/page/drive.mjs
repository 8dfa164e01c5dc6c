// Drives one headless Chromium: reads jobs as JSON from standard input, writes one JSON list of results.
// A job: {url, png, width, height, ready, report, patience}. `ready` and `report` are expressions in the page.
// A picture is taken when two in a row are the same, so that nothing is still moving or loading.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import puppeteer from 'puppeteer-core';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
  '--force-prefers-reduced-motion',
  '--font-render-hinting=none',
  '--hide-scrollbars',
  '--lang=en-US',
  // No name is looked up: what asks for another host fails, and is told below.
  '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1',
];

async function settled(page) {
  let before = null;
  for (let tries = 0; tries < 25; tries++) {
    const now = await page.screenshot({ fullPage: true });
    if (before && Buffer.compare(before, now) === 0) {
      return now;
    }
    before = now;
    await new Promise((done) => setTimeout(done, 150));
  }
  throw new Error('the page does not come to rest');
}

async function draw(browser, job) {
  const page = await browser.newPage();
  const outside = [];
  const errors = [];
  page.on('request', (request) => {
    const { protocol, hostname } = new URL(request.url());
    if (protocol !== 'data:' && protocol !== 'blob:' && hostname !== '127.0.0.1') {
      outside.push(request.url());
    }
  });
  page.on('response', (answer) => answer.status() >= 400 && errors.push(`${answer.status()} ${answer.url()}`));
  page.on('pageerror', (error) => errors.push(`page: ${error.message}`));
  page.on('console', (message) => message.type() === 'error' && errors.push(`console: ${message.text()} ${message.location().url ?? ''}`));
  await page.evaluateOnNewDocument(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
    });
  });
  try {
    await page.setViewport({ width: job.width, height: job.height, deviceScaleFactor: 1 });
    await page.goto(job.url, { waitUntil: 'load', timeout: job.patience });
    await page.waitForFunction(job.ready, { timeout: job.patience });
    // What is below the fold is not painted by every component, so the fold goes below everything.
    const height = await page.evaluate('document.documentElement.scrollHeight');
    await page.setViewport({ width: job.width, height: Math.max(job.height, height), deviceScaleFactor: 1 });
    await page.waitForNetworkIdle({ idleTime: 200, timeout: job.patience });
    const picture = await settled(page);
    writeFileSync(job.png, picture);
    const report = job.report ? await page.evaluate(job.report) : null;
    return { report, outside, errors };
  } catch (error) {
    return { report: null, outside, errors: [...errors, `driver: ${error.message}`] };
  } finally {
    await page.close();
  }
}

const { chromium, jobs } = JSON.parse(await text(process.stdin));
const profile = mkdtempSync(join(tmpdir(), 'render-'));
const browser = await puppeteer.launch({
  executablePath: chromium,
  userDataDir: profile,
  headless: true,
  args: FLAGS,
});
try {
  const results = [];
  for (const job of jobs) {
    results.push(await draw(browser, job));
  }
  process.stdout.write(JSON.stringify(results));
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}

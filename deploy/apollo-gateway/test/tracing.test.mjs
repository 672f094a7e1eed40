// The spans of a real gateway with a real tracer provider. It is registered
// before the gateway is imported, so these tests have a file of their own.
import assert from 'node:assert/strict';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { context, trace } from '@opentelemetry/api';
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';

const spans = new InMemorySpanExporter();
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
provider.register();
const { start } = await import('./harness.mjs');
const { untraced } = await import('../tracing.mjs');

const SHELF = 'query Shelf { shelf { items { id name left } } }';

// names are those of the spans since the last call.
function names() {
  const all = spans.getFinishedSpans().map((s) => s.name);
  spans.reset();
  return all;
}

test('what planwarm plans leaves no span, live requests leave theirs', async (t) => {
  const g = await start(t);
  names();
  assert.equal((await g.warm(SHELF)).extensions.planwarm.hit, false);
  assert.equal((await g.warm(SHELF)).extensions.planwarm.hit, true);
  await g.warm('mutation { clear }');
  assert.deepEqual(names(), []);

  await g.post({ query: SHELF });
  const hit = names();
  assert.ok(hit.includes('gateway.request'), String(hit));
  assert.equal(hit.includes('gateway.plan'), false, 'it was planned before');

  await g.post({ query: `${SHELF} ` });
  const miss = names();
  assert.ok(miss.includes('gateway.request') && miss.includes('gateway.plan'), String(miss));
});

test('live requests beside plan-only ones keep their spans', async (t) => {
  const g = await start(t, { maxWaiting: 20 });
  names();
  await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 ? g.warm(SHELF) : g.post({ query: SHELF }))));
  assert.equal(names().filter((n) => n === 'gateway.request').length, 10);
});

test('tracing goes on after the work, and an error of the work is its caller\'s', async () => {
  const tracer = trace.getTracer('tests');
  names();
  const before = context.active();
  await assert.rejects(untraced(async () => {
    tracer.startSpan('within').end();
    await null;
    tracer.startSpan('within, later').end();
    throw new Error('of the work');
  }), /of the work/);
  assert.equal(context.active(), before);
  tracer.startSpan('after').end();
  assert.deepEqual(names(), ['after']);
});

test('without OpenTelemetry the work is done all the same', async (t) => {
  const alone = await mkdtemp(join(tmpdir(), 'planwarm-'));
  t.after(() => rm(alone, { recursive: true }));
  await copyFile(new URL('../tracing.mjs', import.meta.url), join(alone, 'tracing.mjs'));
  const { untraced: bare } = await import(pathToFileURL(join(alone, 'tracing.mjs')).href);
  assert.equal(await bare(async () => 7), 7);
});

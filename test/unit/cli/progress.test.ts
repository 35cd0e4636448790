import { describe, expect, it } from 'vitest';
import { ProgressView } from '#cli/presentation/progress-view.js';
import { Rate } from '#cli/presentation/rate.js';
import { Screen } from '#cli/presentation/screen.js';

describe('Rate', () => {
  it('forgets what was before its window', () => {
    const rate = new Rate(10_000);
    rate.add(0, 0);
    rate.add(1000, 1_000_000);
    for (let at = 2000; at <= 30_000; at += 1000) rate.add(at, 1_000_000 + at);
    expect(rate.perSecond).toBeCloseTo(1000);
  });

  it('knows none before there is something to measure, nor after a new beginning', () => {
    const rate = new Rate();
    expect(rate.perSecond).toBeUndefined();
    rate.add(0, 0);
    rate.add(100, 50);
    expect(rate.perSecond).toBeUndefined();
    rate.add(1000, 500);
    expect(rate.perSecond).toBeCloseTo(500);
    rate.add(2000, 3);
    expect(rate.perSecond).toBeUndefined();
  });
});

describe('ProgressView', () => {
  function viewAfter(progress: { bytesTotal?: number }) {
    let now = 0;
    const view = new ProgressView(() => now);
    for (const share of [0, 0.25, 0.5]) {
      const done = { entries: share * 100, bytes: share * 1_000_000 };
      view.update({ phase: 'content', entriesTotal: 200, ...done, ...progress });
      now += 3000;
    }
    return view;
  }

  it('counts the time left in bytes where their total is known, else in entries', () => {
    expect(viewAfter({ bytesTotal: 1_000_000 }).secondsLeft).toBeCloseTo(6);
    expect(viewAfter({}).secondsLeft).toBeCloseTo(18);
  });

  it('never makes a line longer than there is room for, and keeps the share longest', () => {
    const view = viewAfter({ bytesTotal: 1_000_000 });
    for (let columns = 1; columns < 150; columns++)
      expect(view.line(columns).length).toBeLessThanOrEqual(columns);
    expect(view.line(150)).toContain('[====');
    expect(view.line(150)).toContain('/s');
    expect(view.line(150)).toContain('left');
    expect(view.line(14)).toMatch(/^content\s+50%$/);
  });

  it('has a bar on a terminal of the usual width, and uses all of it', () => {
    let now = 0;
    const view = new ProgressView(() => now);
    for (const share of [0.1, 0.2, 0.3]) {
      const total = { entriesTotal: 1_234_567, bytesTotal: 98_765_432_109 };
      view.update({ phase: 'restore', entries: share * 1e6, bytes: share * total.bytesTotal, ...total });
      now += 60_000;
    }
    expect(view.line(80)).toMatch(/^restoring  \[={3,9} {7,21}\]  {2}30%  27\.6 GiB of 92\.0 GiB .*left$/);
    expect(view.line(80).length).toBeGreaterThan(70);
    expect(view.line(120)).toContain('of 1,234,567');
  });

  it('begins anew with a new phase', () => {
    const view = viewAfter({ bytesTotal: 1_000_000 });
    view.enter('manifest');
    expect(view.line(100)).not.toMatch(/%|left/);
    expect(view.secondsLeft).toBeUndefined();
  });
});

/** What a terminal shows after all that was written to it. */
function shown(written: string): string[] {
  const lines = [''];
  for (const [token] of written.matchAll(/\r|\n|\x1b\[K|[^\r\n\x1b]+/g)) {
    const last = lines.length - 1;
    if (token === '\n') lines.push('');
    else if (token === '\x1b[K') lines[last] = '';
    else if (token !== '\r') lines[last] += token;
  }
  return lines;
}

it('a line takes the place of the status, which is drawn again below it', () => {
  let written = '';
  const screen = new Screen({ write: (text: string) => (written += text), columns: 80 });
  screen.line('first');
  screen.status('10%');
  screen.line('second');
  screen.status('20%');
  screen.line('third');
  expect(shown(written)).toEqual(['first', 'second', 'third', '20%']);
  screen.status('');
  screen.line('fourth');
  expect(shown(written)).toEqual(['first', 'second', 'third', 'fourth', '']);
});

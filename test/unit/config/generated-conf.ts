/** Makes awkward confs that are often valid, the same ones for the same seed. */

type Random = () => number;

/** mulberry32: small, and the same everywhere. */
function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

const SPACES = [
  ' ',
  '\t',
  '  ',
  '    ',
  '\u00a0',
  '\u2003',
  '\u3000',
  '\x1c',
  '\x1f',
  '\x0b',
  '\x0c',
  '\x85',
];
const SPACES_LOOKALIKE = ['\ufeff', '\u200b', '\u180e', '\u2060', '\0'];
const SECTIONS = 'aws|s3|content|DEFAULT|default|Content| s3|s3 |a]b|[|ä ö|%'.split('|');
const NAMES = (
  'bucket|Bucket|PREFIX|days_retained|a|b|c|d|a b|ä|Ä|İ|ΑΣ|ΣΑ|ß|ẞ|Ǆ|K|' +
  '__proto__|__name__|constructor|toString|x.y|x/y|"q"|%|(a)|[x'
).split('|');
const WORDS = (
  `soon|14|yes|/srv/a b|x=y|x:y|a # b|a ; b|"quoted"|'|[a]|\\|é|💾|=|` +
  '%%|%(a)s|%(b)s|%(A)s|%(ä)s|%(a b)s|%%(a)s|%(c)s%(d)s|%(bucket)s|%%%%'
).split('|');
const BAD_WORDS = '%|%(a)|%(a|%()s|%(nowhere)s|%d|%(a)d|%(a))s|%(__proto__)s|% (a)s'.split('|');

/** One conf, as text that may stand for itself or be spoiled by {@link spoiled}. */
function confText(random: Random): string {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const chance = (likelihood: number): boolean => random() < likelihood;
  const space = (): string =>
    chance(0.6) ? '' : chance(0.03) ? pick(SPACES_LOOKALIKE) : chance(0.7) ? ' ' : pick(SPACES);
  const word = (): string => (chance(0.02) ? pick(BAD_WORDS) : pick(WORDS));
  const value = (): string => {
    const words: string[] = [];
    while (chance(0.6)) words.push(word());
    return words.join(chance(0.5) ? ' ' : '');
  };
  const blank = (): string => space() + space();
  const comment = (): string => `${blank()}${pick(['#', ';', '# a = b', ';[s]', '#%', '; %(x)s'])}`;

  const reuse = chance(0.1);
  const sections = new Set<string>();
  const lines: string[] = [];
  while (chance(0.3)) lines.push(chance(0.5) ? comment() : blank());
  const count = chance(0.03) ? 0 : 1 + Math.floor(random() * 4);
  for (let nth = 0; nth < count; nth++) {
    const section = pick(SECTIONS);
    if (sections.has(section) && section !== 'DEFAULT' && !reuse) continue;
    sections.add(section);
    lines.push(`${chance(0.1) ? pick(SPACES) : ''}[${section}]${chance(0.1) ? `${space()}${word()}` : ''}`);
    const names = new Set<string>();
    while (chance(0.75)) {
      const name = pick(NAMES);
      if (names.has(name.toLowerCase()) && !reuse) continue;
      names.add(name.toLowerCase());
      const indent = chance(0.15) ? pick(SPACES).repeat(1 + Math.floor(random() * 3)) : '';
      const delimiter = chance(0.01) ? '' : pick(['=', ':']);
      lines.push(`${indent}${name}${space()}${delimiter}${space()}${value()}${space()}`);
      while (chance(0.3)) {
        const kind = random();
        if (kind < 0.2) lines.push(blank());
        else if (kind < 0.4) lines.push(comment());
        else lines.push(`${indent}${pick(SPACES)}${value()}${chance(0.1) ? '[s]' : ''}${space()}`);
      }
    }
  }
  return joined(lines, random);
}

function joined(lines: readonly string[], random: Random): string {
  const style = random();
  const ending = (): string =>
    style < 0.7
      ? '\n'
      : style < 0.8
        ? '\r\n'
        : style < 0.85
          ? '\r'
          : (['\n', '\r\n', '\r', '\n\r'][Math.floor(random() * 4)] ?? '');
  return lines
    .map((line, index) => (index === lines.length - 1 && random() < 0.3 ? line : line + ending()))
    .join('');
}

/** Bytes with a few of them changed, left out or put in. */
function spoiled(bytes: Buffer, random: Random): Buffer {
  const result = [...bytes];
  const changes = 1 + Math.floor(random() * 3);
  for (let nth = 0; nth < changes; nth++) {
    const at = Math.floor(random() * (result.length + 1));
    const kind = random();
    if (kind < 0.3) result.splice(at, 1);
    else if (kind < 0.6) result.splice(at, 0, Math.floor(random() * 128));
    else if (kind < 0.8) result.splice(at, 0, ...Buffer.from(random() < 0.5 ? '\n[' : '\n '));
    else result.splice(at, 1, Math.floor(random() * 256));
  }
  return Buffer.from(result);
}

export function generatedConfs(count: number, seed: number): Buffer[] {
  const random = randomFrom(seed);
  return Array.from({ length: count }, () => {
    const bytes = Buffer.from(confText(random));
    if (random() < 0.01) return Buffer.concat([Buffer.from('\ufeff'), bytes]);
    return random() < 0.15 ? spoiled(bytes, random) : bytes;
  });
}

import { linkSync, mkdirSync, symlinkSync } from 'node:fs';
import type { TreeSection } from './tree-section.js';

/** Names that programs trip over. */
const NAMES: Buffer[] = [
  'line\nbreak',
  '\n',
  'ends in a newline\n',
  '\r\n',
  '\t\ttabs\t',
  '\u001b[31mred\u001b[0m',
  '-rf',
  '--',
  '--help',
  '-',
  ' ',
  ' leading',
  'trailing ',
  'trailing dot.',
  '...',
  '.hidden',
  '~',
  '#comment',
  '"double"',
  "'single'",
  '`date`',
  '$(date)',
  '$HOME',
  'back\\slash',
  '\\n',
  '\\',
  '*',
  '?[a-z]{x,y}',
  '%00%2f',
  '&amp;<b>',
  'a:b',
  'a=b;c|d>e',
  'con',
  'Zürich',
  'Zu\u0308rich',
  '日本語',
  '🗄️',
  '\u202eright to left',
  '\ufeffbom',
  'zero\u200bwidth',
  'n'.repeat(255),
  'ü'.repeat(127),
  '__proto__',
  'constructor',
  'null',
  '{"typ":"f"}',
  '@0123456789abcdef0123456789abcdef',
].map((name) => Buffer.from(name));

/** No valid UTF-8, each for a reason of its own. */
const NO_UTF8: Buffer[] = [
  Buffer.of(0xff),
  Buffer.of(0xfe, 0xff, 0x0a),
  Buffer.from('latin-1 gr\xfc\xdfe', 'latin1'),
  // Truncated, overlong, a surrogate, beyond the last code point, a continuation alone.
  Buffer.of(0xe2, 0x82),
  Buffer.of(0xc0, 0xaf),
  Buffer.of(0xed, 0xa0, 0x80),
  Buffer.of(0xf4, 0x90, 0x80, 0x80),
  Buffer.of(0x61, 0x80, 0x62),
  Buffer.alloc(255, 0xe9),
];

/** Each name as a file, as a folder and as a symlink, and every byte a name may have as a name of its own. */
export function makeNames(section: TreeSection): void {
  const kinds = ['files', 'folders', 'links', 'targets', 'hard'].map((kind) => section.folder(kind));
  const [files = section, folders = section, links = section, targets = section, hard = section] = kinds;
  for (const [index, name] of [...NAMES, ...NO_UTF8].entries()) {
    const file = files.file(name, `content of name ${index}`);
    folders.folder(name).file(name, `inside ${index % 10}`);
    symlinkSync(Buffer.concat([Buffer.from('../files/'), name]), links.at(name));
    symlinkSync(name, targets.at(`to ${index}`));
    linkSync(file, hard.at(name));
  }
  const bytes = section.folder('bytes');
  for (let byte = 1; byte < 256; byte++) {
    if (byte === 0x2f) continue;
    if (byte !== 0x2e) bytes.file(Buffer.of(byte), Buffer.of(byte));
    bytes.file(Buffer.of(0x61, byte, 0x62), Buffer.of(byte, byte));
  }
  // What sorts differently by name and by whole path, since "/" lies between "." and "0".
  const order = section.folder('order');
  for (const name of ['a', 'a-b', 'a.b', 'a b', 'ab', 'a0', 'A', 'aa']) order.folder(name).file('x', name);
  for (const name of ['a!', 'a-', 'a.', 'a+b', 'a\u0001']) order.file(name, name);
}

/** A chain of folders whose deepest path is just as long as the system takes. */
export function makeDeep(section: TreeSection): void {
  // PATH_MAX counts the NUL (limits.h).
  const longest = 4095;
  let at = section.path;
  const step = Buffer.from(`/${'d'.repeat(99)}`);
  while (at.length + step.length + 20 < longest) {
    at = Buffer.concat([at, step]);
    mkdirSync(at);
  }
  const rest = longest - at.length - 1;
  section.file(
    Buffer.concat([at.subarray(section.path.length + 1), Buffer.from(`/${'f'.repeat(rest)}`)]),
    'deep',
  );
  // Many levels of short names.
  let narrow = section.folder('narrow');
  for (let level = 0; level < 150; level++) narrow = narrow.folder(String(level % 10));
  narrow.file('bottom', 'bottom');
}

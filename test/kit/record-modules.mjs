// Loaded into a process by --import: writes the file of each module that the process loads to $RECORD_MODULES, a line
// each. ES modules are seen by a loader hook; what CommonJS modules require of each other only in their cache.
import { appendFileSync } from 'node:fs';
import { createRequire, register } from 'node:module';

const hook = `
import { appendFileSync } from 'node:fs';
export async function load(url, context, next) {
  if (url.startsWith('file:')) appendFileSync(process.env.RECORD_MODULES, new URL(url).pathname + '\\n');
  return await next(url, context);
}`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);

process.on('exit', () => {
  const required = Object.keys(createRequire(import.meta.url).cache);
  appendFileSync(process.env.RECORD_MODULES, `${required.join('\n')}\n`);
});

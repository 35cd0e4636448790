import { readFileSync, writeFileSync } from 'node:fs';

/** Changes fields of a sidecar, as time or another clock would have made them: without the check of what it said. */
export function changeSidecar(path: string, change: (sidecar: { received: number }) => object): void {
  const { check: _, ...sidecar } = JSON.parse(readFileSync(path, 'utf8')) as {
    check?: string;
    received: number;
  };
  writeFileSync(path, `${JSON.stringify({ ...sidecar, ...change(sidecar) })}\n`);
}

import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { findProgram } from './programs.js';

/** A name or a path as its bytes: text stands for its UTF-8. */
export type Name = string | Buffer;

/** A folder of a tree that is being made, and what could not be made in it. */
export class TreeSection {
  readonly path: Buffer;
  /** What this machine or user could not make, in words. */
  readonly left: string[];

  constructor(path: Name, left: string[] = []) {
    this.path = Buffer.from(path);
    this.left = left;
    mkdirSync(this.path, { recursive: true });
  }

  at(...names: Name[]): Buffer {
    return Buffer.concat([this.path, ...names.flatMap((name) => [Buffer.from('/'), Buffer.from(name)])]);
  }

  /** A folder in this one. */
  folder(name: Name): TreeSection {
    return new TreeSection(this.at(name), this.left);
  }

  file(name: Name, content: string | Uint8Array = '', mode = 0o644): Buffer {
    const path = this.at(name);
    writeFileSync(path, content);
    chmodSync(path, mode);
    return path;
  }

  /** A change of owner takes setuid and setgid away, so that the mode comes after it. */
  owned(path: Buffer, uid: number, gid: number, mode: number): void {
    chownSync(path, uid, gid);
    chmodSync(path, mode);
  }

  /** Runs a program on paths that are plain text, or notes that it was not there or refused. */
  run(program: string, ...args: (string | Buffer)[]): void {
    const found = findProgram(program);
    if (found === undefined) {
      this.left.push(`${program} is not there`);
      return;
    }
    try {
      execFileSync(found, args.map(String), { stdio: ['ignore', 'ignore', 'pipe'] });
    } catch (error) {
      this.left.push(
        `${program} ${args.slice(0, -1).join(' ')}: ${String(error).split('\n').slice(1, 2).join('')}`,
      );
    }
  }
}

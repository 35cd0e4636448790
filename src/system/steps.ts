import { SysbackupError } from '../errors.js';
import { shellWord } from '../shell-word.js';

/** Names, for the users that a plan is to make have no numbers yet. */
export interface Owner {
  user: string;
  group: string;
}

/** A folder that is made where it is missing, and left as it is where it is not. */
export interface FolderStep {
  kind: 'folder';
  path: string;
  mode: number;
  /** Undefined: whoever carries out the plan. */
  owner?: Owner;
}

/** A directory store: a folder as above, and in it the marker, unless it has one. */
export interface StoreStep {
  kind: 'store';
  path: string;
  mode: number;
  owner?: Owner;
  /** The state directory of those who store there. */
  statePath?: string;
}

export interface FileStep {
  kind: 'file';
  path: string;
  mode: number;
  owner?: Owner;
  content: string;
  /** Whether what it holds must not be shown. */
  secret?: true;
  /** What becomes of a file that is there: it stays; it is replaced; it is replaced and kept beside the new one. */
  existing: 'keep' | 'replace' | 'keep-beside';
}

export interface CommandStep {
  kind: 'command';
  command: readonly string[];
  /** What takes it back. */
  undo?: readonly string[];
}

/** What is to be done on a machine. A plan is a list of these, carried out in order, and taken back if one fails. */
export type Step = FolderStep | StoreStep | FileStep | CommandStep;

/** What is told of a file that is there. */
const EXISTING: Record<FileStep['existing'], string> = {
  keep: ' (unless it is there)',
  replace: '',
  'keep-beside': ' (one that is there is kept beside it)',
};

/** One line for a person: mode, owner and path, or the command. */
export function describeStep(step: Step): string {
  if (step.kind === 'command') return `run     ${step.command.map(shellWord).join(' ')}`;
  const { kind, path, mode, owner } = step;
  const who = owner === undefined ? '' : ` ${owner.user}:${owner.group}`;
  const existing =
    step.kind === 'file' ? EXISTING[step.existing] : step.kind === 'store' ? ' with its marker file' : '';
  return `${kind.padEnd(7)} ${mode.toString(8).padStart(4, '0')}${who} ${path}${existing}`;
}

/** A plan as JSON text, for a process with more rights. */
export function formatSteps(steps: readonly Step[]): string {
  return JSON.stringify(steps);
}

/** Reads {@link formatSteps}. Throws USAGE where it is something else. */
export function parseSteps(text: string): Step[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (Array.isArray(value) && value.every(isStep)) return value;
  throw new SysbackupError('USAGE', 'what was handed over is no plan');
}

function isStep(value: unknown): value is Step {
  if (typeof value !== 'object' || value === null || !('kind' in value)) return false;
  const step: Partial<Record<string, unknown>> = { ...value };
  if (step['kind'] === 'command')
    return isWords(step['command']) && (step['undo'] === undefined || isWords(step['undo']));
  if (typeof step['path'] !== 'string' || !step['path'].startsWith('/')) return false;
  if (typeof step['mode'] !== 'number' || (step['mode'] & ~0o777) !== 0) return false;
  if (step['owner'] !== undefined && !isOwner(step['owner'])) return false;
  if (step['kind'] === 'folder') return true;
  if (step['kind'] === 'store')
    return step['statePath'] === undefined || typeof step['statePath'] === 'string';
  const { content, existing } = step;
  return (
    step['kind'] === 'file' &&
    typeof content === 'string' &&
    (existing === 'keep' || existing === 'replace' || existing === 'keep-beside')
  );
}

function isWords(value: unknown): value is string[] {
  return Array.isArray(value) && value.length > 0 && value.every((word) => typeof word === 'string');
}

function isOwner(value: unknown): value is Owner {
  if (typeof value !== 'object' || value === null) return false;
  const { user, group }: { user?: unknown; group?: unknown } = value;
  return typeof user === 'string' && typeof group === 'string';
}

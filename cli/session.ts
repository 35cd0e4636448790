import type { LogLevel } from '../src/index.js';
import type { Log } from './presentation/log.js';
import type { Screen } from './presentation/screen.js';
import type { Question } from './question.js';
import type { StandardOutput } from './standard-output.js';

/** Options that every command takes, before or after its name. */
export interface GlobalFlags {
  confDir: string;
  json?: true;
  logLevel: LogLevel;
  logTo?: string;
  quiet?: true;
}

/** What a command has to work with: all that the library must not find out by itself. */
export interface Session {
  globals: GlobalFlags;
  /** Whether --conf-dir stands on the command line. */
  confDirGiven: boolean;
  env: Readonly<Record<string, string>>;
  user: { uid: number; home: string };
  host: string;
  /** What a session of an assumed role is called. */
  userAtHost: string;
  workingFolder: string;
  /** Program and version, for manifests. */
  tool: string;
  output: StandardOutput;
  /** Standard error, and the file of --log-to. */
  log: Log;
  /** That file alone; a log without sinks where there is none. */
  fileLog: Log;
  screen: Screen;
  /** Whether nothing is to be said where all went well, the summary included. JSON is not meant. */
  quiet: boolean;
  /** Whether the screen is a terminal that can draw a line anew. */
  terminal: boolean;
  /** Asks the person at the terminal; undefined where nobody is there to ask. */
  question: Question | undefined;
  signal: AbortSignal;
}

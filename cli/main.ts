#!/usr/bin/env node
import { runCommandLine } from './run.js';

// Not left to the end of all timers and sockets: when the command is done, the program is.
process.exit(await runCommandLine());

#!/usr/bin/env node

import { SysbackupError } from '../src/index.js';
process.exitCode = new SysbackupError('USAGE', '').exitCode;

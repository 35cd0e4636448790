#!/usr/bin/env node

// Read by the AWS SDK when it makes its first client. Which Node this program runs on is its own business.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';

const { runCommandLine } = await import('./run.js');
// Not left to the end of all timers and sockets: when the command is done, the program is.
process.exit(await runCommandLine());

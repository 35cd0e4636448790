// Backs up, looks into the manifest, and brings everything back, from a program of one's own:
//   node backup.mjs <folder with conf, pickers.d and snapshots.d> <folder to restore to>
// Ctrl-C stops it in order; what was stored until then is used by the next run.
import { homedir, hostname, tmpdir, userInfo } from 'node:os';
import {
  archive,
  loadSettings,
  openDestination,
  readManifest,
  restore,
  restoreSnapshots,
  SysbackupError,
} from 's3-sysbackup';

const [confDir, target] = process.argv.slice(2);
if (confDir === undefined || target === undefined) {
  process.stderr.write('usage: node backup.mjs <conf folder> <target folder>\n');
  process.exit(2);
}

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort(signal));

/**
 * The library prints nothing: it tells what happens, and this makes lines of what matters here.
 * @param {import('s3-sysbackup').SysbackupEvent} event
 */
function tell(event) {
  if (event.type === 'phase') process.stderr.write(`${event.phase} ...\n`);
  else if (event.type === 'problem')
    process.stderr.write(`${event.problem.severity}: ${event.problem.message}\n`);
  else if (event.type === 'log' && event.level !== 'debug') process.stderr.write(`${event.message}\n`);
}

try {
  process.exitCode = await backUpAndRestore(confDir, target);
} catch (error) {
  if (!(error instanceof SysbackupError)) throw error;
  process.stderr.write(`${error.code}: ${error.message}\n`);
  if (error.hint !== undefined) process.stderr.write(`hint: ${error.hint}\n`);
  process.exitCode = error.exitCode;
}

/**
 * @param {string} confDir
 * @param {string} target
 */
async function backUpAndRestore(confDir, target) {
  const { env } = process;
  const user = { uid: process.geteuid?.() ?? 0, home: homedir() };
  const { settings, warnings } = await loadSettings({
    confDir,
    hostname: hostname(),
    env,
    user,
    // A misspelt setting is no setting.
    refuseMisspelt: true,
  });
  for (const warning of warnings) process.stderr.write(`${warning}\n`);

  const { store, requests } = await openDestination(settings.destination, {
    env,
    userAtHost: `${userInfo().username}@${hostname()}`,
    // Which directory stores it has stored to, this machine remembers there.
    archiving: { statePath: settings.statePath },
    onEvent: tell,
    signal: stop.signal,
  });
  try {
    const summary = await archive({
      settings,
      store,
      requests,
      // Of pickers and snapshotters: they get this and nothing else.
      env: { PATH: env.PATH ?? '/usr/bin:/bin' },
      uid: user.uid,
      host: hostname(),
      tool: 'library example',
      onEvent: tell,
      signal: stop.signal,
    });
    const { run, outcome, manifest, stored, lockedUntil } = summary;
    print(`run ${run} is ${outcome}: ${stored.objects} objects stored, locked until ${lockedUntil}`);
    // Only a dry run has none.
    if (manifest === undefined) return 1;

    // Lines come in batches; that the last is there and right is checked before the loop ends.
    /** @type {{ path?: string; path64?: string; size?: number } | undefined} */
    let longest;
    for await (const lines of readManifest(store, manifest)) {
      for (const line of lines)
        if (line.typ === 'f' && (line.size ?? 0) > (longest?.size ?? -1)) longest = line;
    }
    // A path that is no UTF-8 is in `path64` instead.
    if (longest !== undefined)
      print(`the longest file: ${longest.path ?? longest.path64}, ${longest.size} bytes`);

    const common = { store, run: manifest, spoolFolder: tmpdir(), onEvent: tell, signal: stop.signal };
    const files = await restore({ ...common, target: `${target}/files` });
    const snapshots = await restoreSnapshots({ ...common, into: `${target}/snapshots` });
    print(`restored ${files.selected.f} files and ${snapshots.restored.length} snapshots to ${target}`);
    return outcome === 'complete' && files.failed === 0 && snapshots.problems.length === 0 ? 0 : 3;
  } finally {
    await store.close();
  }
}

/** @param {string} line */
function print(line) {
  process.stdout.write(`${line}\n`);
}

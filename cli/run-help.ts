/** What a RUN on the command line can be: the same in the help of all commands that take one. */
export const RUN_HELP = `
RUN is a run id, or as much of its beginning as no other run has; a backup name (its newest usable run); "latest" or
"latest~2" (the usable run two before the newest); or a date like 2026-11-20 (the newest usable run that the store
received on that day, UTC). All but a whole id and a name mean the configured backup, or the only one there is;
NAME/latest~2 is of another. Usable is what is not broken, empty, unreadable or dated ahead.`;

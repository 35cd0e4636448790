export { SysbackupError, type ErrorCode } from './errors.js';
export type { SysbackupEvent, EventListener, Problem } from './events.js';

/** What a conf's meaning depends on besides its text. */
export interface ConfSurroundings {
  /** Absolute. Relative paths in the conf count from here. */
  confDir: string;
  /** `AWS_PROFILE` and `XDG_STATE_HOME` are read. Nothing else is, and `process.env` is not. */
  env: Readonly<Record<string, string | undefined>>;
  /** Who backs up: user id 0 keeps its state in `/var/lib`, others in their home. */
  user: { uid: number; home: string };
}

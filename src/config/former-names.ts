/** Section → setting → what became of it. */
export type FormerNames = Readonly<Record<string, Readonly<Record<string, string>>>>;

const OF_THE_PYTHON_PROGRAM = 'a setting of the Python program s3-sysbackup, which this one does not need';

/**
 * Settings that a conf may still hold although nothing reads them any more: those of earlier versions, and those of the
 * Python program that this one follows. They are no mistakes, so they are only noted, also where they are near a name
 * that is read. At present each of them is read; one that is to go stays here, so that no machine's backup stops for it.
 */
export const FORMER_NAMES: FormerNames = {
  aws: {
    profile: OF_THE_PYTHON_PROGRAM,
    credentials_file: OF_THE_PYTHON_PROGRAM,
    role_arn: OF_THE_PYTHON_PROGRAM,
  },
  s3: { bucket: OF_THE_PYTHON_PROGRAM },
  cloudformation: { region: OF_THE_PYTHON_PROGRAM, export: OF_THE_PYTHON_PROGRAM },
  content: { lock_timeout: OF_THE_PYTHON_PROGRAM, days_retained: OF_THE_PYTHON_PROGRAM },
};

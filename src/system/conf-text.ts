import { readTemplate } from '../aws/resource-template.js';
import { ConfEditor } from './conf-editor.js';

/** Where a conf is to store. */
export type ConfStore =
  | { kind: 'directory'; path: string }
  | {
      kind: 's3';
      bucket: string;
      region: string | undefined;
      endpointUrl: string | undefined;
    };

/** As whom. */
export type ConfCredentials =
  /** The conf's own [aws] stays as it is. */
  | { kind: 'unchanged' }
  | { kind: 'file'; path: string; profile: string | undefined }
  | { kind: 'profile'; profile: string }
  /** What the machine or its environment has. */
  | { kind: 'ambient' };

export interface ConfChanges {
  store: ConfStore;
  credentials: ConfCredentials;
  /** Undefined: as it is, or the default. */
  daysRetained: number | undefined;
  mode: string | undefined;
  /** Undefined: as it is, or the default. */
  statePath: string | undefined;
}

/** The conf with these changes: a new one, or the one that is there with all else in it as it was. */
export async function changedConf(
  existing: string | undefined,
  path: string,
  changes: ConfChanges,
): Promise<string> {
  const editor = new ConfEditor(existing ?? (await readTemplate('conf')), path);
  const { store, credentials, daysRetained, mode, statePath } = changes;
  if (store.kind === 'directory') {
    for (const name of S3_SETTINGS) editor.disable('s3', name);
    for (const name of AWS_SETTINGS) editor.disable('aws', name);
    editor.set('directory', 'path', store.path);
  } else {
    editor.disable('directory', 'path');
    editor.set('s3', 'bucket', store.bucket);
    setOrDisable(editor, 's3', 'region', store.region);
    setOrDisable(editor, 's3', 'endpoint_url', store.endpointUrl);
    applyCredentials(editor, credentials);
  }
  if (daysRetained !== undefined) editor.set('content', 'days_retained', String(daysRetained));
  if (mode !== undefined) editor.set('content', 'mode', mode);
  if (statePath !== undefined && !editor.has('state', 'path')) editor.set('state', 'path', statePath);
  return editor.text;
}

/** A directory store allows none of them. */
const S3_SETTINGS = [
  'bucket',
  'endpoint_url',
  'region',
  'prefix',
  'storage_class',
  'force_path_style',
  'require_object_lock',
];
const AWS_SETTINGS = ['profile', 'credentials_file', 'role_arn'];

function applyCredentials(editor: ConfEditor, credentials: ConfCredentials): void {
  if (credentials.kind === 'unchanged') return;
  // A role that another key was for.
  editor.disable('aws', 'role_arn');
  const { path, profile } =
    credentials.kind === 'file'
      ? credentials
      : { path: undefined, profile: credentials.kind === 'profile' ? credentials.profile : undefined };
  setOrDisable(editor, 'aws', 'credentials_file', path);
  setOrDisable(editor, 'aws', 'profile', profile);
}

function setOrDisable(editor: ConfEditor, section: string, name: string, value: string | undefined): void {
  if (value === undefined) editor.disable(section, name);
  else editor.set(section, name, value);
}
